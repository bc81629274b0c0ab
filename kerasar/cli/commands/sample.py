"""`kerasar sample`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from kerasar.cli.kinds import DataKind, SamplingRequest, kind_of_run
from kerasar.cli.kinds.kind import check_drawn
from kerasar.cli.support.capabilities import check_options, is_conditional
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import (
    Method,
    Run,
    Seed,
    Temperature,
    TopK,
    TopP,
    integer_between,
    positive,
    without_none,
)
from kerasar.cli.support.outputs import atomic_write, check_distinct, check_ending, check_new
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


class OnRunaway(Enum):
    """What happens to paths that leave the range of the data."""

    error = "error"
    clip = "clip"


def sample(
    run: Run,
    num: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1),
            help="Number of samples; with --classes, of each.",
            show_default="64; 4 recordings; 1 text; 200 forecasts; 1000 points",
        ),
    ] = None,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    classes: Annotated[
        str | None,
        typer.Option(help="For a conditional model: 0-9, or 3,5, or names.", show_default="all"),
    ] = None,
    length: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Steps to draw beyond the prompt; for recordings, seconds.",
            show_default="as in training",
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="What to continue: a .wav, .csv, .npy or .npz file, or the text itself."),
    ] = None,
    on_runaway: Annotated[
        OnRunaway,
        typer.Option(
            help="What happens if paths of a series leave ten times the range of its data: an "
            "error, or they are held there."
        ),
    ] = OnRunaway.error,
    method: Method = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Where to write: .npz for all data; .png; .wav; .csv; .txt. May be given twice.",
            show_default="new files in RUN; a text is printed",
        ),
    ] = None,
) -> None:
    """Draw new examples from a trained model, or continue a recording, a series or a text.

        kerasar sample runs/shifted-pixelcnn-digits --num 64 --seed 1
        kerasar sample runs/shifted-pixelcnn-digits --num 1000 --out drawn.npz
        kerasar sample runs/gated-pixelcnn-mnist --classes 0-9 --num 8
        kerasar sample runs/wavenet-speech --classes 0-9 --num 1
        kerasar sample runs/wavenet-tide --prompt tide.csv --length 48 --num 200
        kerasar sample runs/transformer-shakespeare --prompt "O Romeo" --temperature 0.8

    A .png shows them; an .npz holds them as the array "samples"; a .wav has recordings one after
    the other. A series is forecast: a .csv holds the paths, or their quantiles if its name ends in
    "quantiles", and the .png a fan chart. Points are a .csv with a row for each; the .png shows
    them next to the density. A model that was trained on pieces of a text of one length writes on
    beyond it: whenever a piece is full, it goes on from the piece's last half.
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    files = out or [folder.free(name) for name in kind.sample_files]
    check_outputs(files, kind)
    if prompt is not None:
        kind.check_prompt(folder, prompt)
    start_tensorflow()
    model = folder.load_model()
    options = without_none(top_k=top_k, top_p=top_p, method=method)
    check_options(model, options)
    options |= {"seed": seed, "temperature": temperature}
    num = kind.num_samples if num is None else num
    chosen = folder.classes(classes, is_conditional(model))
    if chosen is not None:
        options["condition"] = np.repeat(chosen, num) if classes else np.resize(chosen, num)
        num = len(options["condition"])
    with heartbeat("drawing samples"):
        request = SamplingRequest(num, length, prompt, options, on_runaway.value)
        samples = kind.draw(folder, model, request)
    check_drawn(samples)
    if chosen is not None:
        names = folder.config["classes"]
        samples = samples._replace(labels=[names[i] for i in options["condition"]])
    if not files:
        typer.echo(kind.print_text(samples, folder))
    for file in files:
        with atomic_write(file) as path:
            kind.write(path, samples, folder, model)
        typer.echo(plain_text(file))


def check_outputs(files: list[Path], kind: DataKind) -> None:
    """Raises an error unless each can be written: a known ending, and a new name."""
    check_distinct(*(("--out", file) for file in files))
    for file in files:
        check_ending(file, kind.endings, "--out")
        check_new(file, "--out")
