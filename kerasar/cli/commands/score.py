"""`kerasar score`: the log-probability of each example, and a map of its terms."""

import csv
import math
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import numpy as np
import typer
from numpy.typing import NDArray

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.kinds.kind import DataKind, in_words
from kerasar.cli.support.detector import (
    describe,
    draw_strangest,
    fit_detector,
    keep_detector,
    load_detector,
    say_what_it_was_fitted_on,
)
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import DataDir, Run, probability
from kerasar.cli.support.outputs import atomic_write, check_distinct, check_ending, check_new
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import csv_cell, plain_text

if TYPE_CHECKING:
    from kerasar.scores import AnomalyDetector, Explanation
    from kerasar.training import DensityModel


class Part(Enum):
    """Which examples are scored."""

    auto = "auto"
    test = "test"
    train = "train"
    all = "all"


def score(
    run: Run,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Name, file or folder, as for train.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The CSV file, which must be new.", show_default="print it")
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Also write the term of each pixel: NAME.npz for arrays, else a folder."
        ),
    ] = None,
    part: Annotated[
        Part,
        typer.Option(help="Which examples. auto: test data if DATA has its own, else all."),
    ] = Part.auto,
    data_dir: DataDir = None,
    detector: Annotated[
        bool, typer.Option("--detector", help="Also tell anomalies, with p-values.")
    ] = False,
    good: Annotated[
        str | None,
        typer.Option(
            help="Good examples that the model has not seen, for the detector.",
            show_default="those that chose the best epoch",
        ),
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(callback=probability, help="Share of good examples that are alarms.")
    ] = 0.05,
    picture: Annotated[
        Path | None,
        typer.Option(help="With --detector: a PNG of the strangest images, and where."),
    ] = None,
) -> None:
    """Compute the likelihood of each example: a CSV of name, nats and bits_per_dim.

    Nats are -ln p of the whole example, bits_per_dim the same in bits for each value in it (a
    channel of a pixel, a sample of a recording): the higher, the less likely the example.

    Less likely is not stranger: simple examples are likely whatever they show. To a model of
    photographs every digit is likelier than every photograph, and so is a blank image.
    --detector tells anomalies on either side: columns score (the higher, the stranger), p_value,
    alarm (1 or 0) and statistic, which speaks against the example; docs/anomalies.md says more.
    It is fitted once, on the examples that chose the best epoch, and kept in RUN.

        kerasar score runs/shifted-pixelcnn-digits digits --out scores.csv
        kerasar score runs/shifted-pixelcnn-digits photos/ --map surprises
        kerasar score runs/shifted-pixelcnn-digits digits --detector --picture strangest.png

    --map NAME.npz holds "names" and "log_prob_map" in nats, for images (n, height, width,
    channels). --map FOLDER is for images: a PNG of each, next to the bits of each pixel.
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    given = (("--out", out), ("--map", map_), ("--picture", picture))
    outputs = [(option, path) for option, path in given if path]
    check_distinct(*outputs)
    for option, path in outputs:
        check_new(path, option)
    if out is not None:
        check_ending(out, (".csv",), "--out")
    if not detector and (good is not None or picture is not None):
        option = "--good" if good is not None else "--picture"
        raise ValueError(f"{option} is for the detector. Add --detector, or leave it out.")
    if picture is not None:
        check_ending(picture, (".png",), "--picture")
        if kind.name != "images":
            raise ValueError(
                f"--picture shows images, but '{run}' was trained on {kind.noun}. Leave it out; "
                "--map NAME.npz writes where they surprise."
            )
    if map_ is not None and map_.suffix.lower() != ".npz" and kind.name != "images":
        raise ValueError(
            f"--map draws pictures of images, but '{run}' was trained on {kind.noun}. Write "
            f"arrays: --map {map_.stem or 'map'}.npz."
        )
    start_tensorflow()
    model = folder.load_model()
    if map_ is not None and not hasattr(model, "likelihood"):
        raise ValueError(
            f"--map shows the term of each pixel or step, but a {type(model).__name__} scores "
            "whole examples only. Leave it out."
        )
    if picture is not None and not hasattr(model, "likelihood"):
        raise ValueError(
            f"--picture shows where images surprise, but a {type(model).__name__} scores whole "
            "images only. Leave it out."
        )
    batch, names = kind.load_named(folder, model, data, data_dir, part.value)
    x = batch["x"] if isinstance(batch, dict) else batch
    shape = np.shape(x)
    with heartbeat("scoring"):
        terms, nats = _log_prob(model, batch)
    sizes = np.full(len(names), math.prod(shape[1:]), "float64")
    if isinstance(batch, dict) and "length" in batch:
        steps = np.asarray(batch["length"], "float64") - np.asarray(batch.get("start", 0))
        sizes = steps * math.prod(shape[2:])
    bits = nats / math.log(2) / sizes
    columns = {"nats": [f"{n:.4f}" for n in nats], "bits_per_dim": [f"{b:.5f}" for b in bits]}
    judged = None
    if detector:
        judged = _detect(folder, kind, model, batch, good, data_dir)
        limit = judged[1].threshold(false_alarms)
        columns |= _columns(judged[0], limit)

    if out is None:
        _write_rows(sys.stdout, names, columns)
    else:
        with atomic_write(out) as path, path.open("w", newline="", encoding="utf-8") as file:
            _write_rows(file, names, columns)
    if map_ is not None and terms is not None:
        with atomic_write(map_) as path:
            _write_map(path, x, names, terms, model.data_levels)
    least = int(nats.argmax())
    more = in_words(kind.more_results(folder, batch, float(nats.sum())))
    typer.echo(
        f"{len(nats):,} {kind.noun}: {bits.mean():.3f} bits/{kind.unit} on average{more}; "
        f"the least likely is {plain_text(names[least])} with {bits[least]:.3f}.",
        err=True,
    )
    if judged is not None:
        found, fitted = judged
        typer.echo(describe(found, names, false_alarms, fitted.threshold(false_alarms)), err=True)
        if picture is not None:
            draw_strangest(picture, x, found, names, model.data_levels, folder.title)


def _detect(
    folder: RunFolder,
    kind: DataKind,
    model: "DensityModel",
    batch: Any,
    good: str | None,
    data_dir: Path | None,
) -> "tuple[Explanation, AnomalyDetector]":
    """What a detector says of the examples, and the detector: the one that RUN keeps, if any."""
    with heartbeat("fitting the detector"):
        if good is not None:
            examples, _ = kind.load_named(folder, model, good, data_dir, "auto")
            detector = fit_detector(model, examples, f"those of '{good}'")
        else:
            kept = load_detector(folder, model)
            if kept is None:
                source, where = folder.data_source(None, None)
                settings = dict(folder.config)
                if settings.get("data_path") is None:  # columns are chosen of files alone
                    settings.pop("column", None)
                # A text has a level for each of its characters, whatever the user says.
                levels = None if kind.name == "text" else settings.get("levels")
                data = kind.load(source, where, levels, settings)
                whose = "the examples that chose the best epoch"
                kept = fit_detector(model, data.for_model(model).validation, whose)
                keep_detector(folder, kept)
                say_what_it_was_fitted_on(folder, kept)
            detector = kept
    with heartbeat("judging"):
        return detector.explain(batch), detector


def _columns(found: "Explanation", limit: float) -> dict[str, list[str]]:
    """What the detector says, as text."""
    return {
        "score": [f"{score:.4f}" for score in found.score],
        "p_value": [f"{p:.5f}" for p in found.p_value],
        "alarm": [str(int(score > limit)) for score in found.score],
        "statistic": found.statistic,
    }


def _log_prob(model: "DensityModel", batch: Any) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    """The term of each event (None if the model has none), and -ln p of each example."""
    if not hasattr(model, "likelihood"):
        return None, -model.log_prob(batch).astype("float64")
    terms = model.log_prob_map(batch)
    return terms, -terms.sum(axis=tuple(range(1, terms.ndim)), dtype="float64")


def _write_rows(file: TextIO, names: list[str], columns: dict[str, list[str]]) -> None:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["name", *columns])
    for name, *cells in zip(names, *columns.values(), strict=True):
        rows.writerow([csv_cell(name), *cells])


def _write_map(
    path: Path, images: NDArray[Any], names: list[str], terms: NDArray[Any], levels: int
) -> None:
    if path.suffix.lower() == ".npz":
        np.savez_compressed(path, names=np.array(names), log_prob_map=terms)
        return
    from matplotlib.image import imsave

    from kerasar.pictures import surprise_image

    # One scale for all, so that they can be compared; a rare outlier may not darken the rest.
    most = max(float(np.quantile(-terms / math.log(2), 0.999)), 1e-3)
    for image, name, term in zip(images, names, terms, strict=True):
        file = path / (name if name.lower().endswith(".png") else f"{name}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        imsave(file, surprise_image(image, term, levels, most))
    (path / "README.txt").write_text(
        "Left: the image. Right: the bits that each pixel costs the model, -log2 p(pixel | pixels "
        f"before it),\nfrom black, 0, over violet and orange to yellow, {most:.1f} and more.\n",
        encoding="utf-8",
    )
