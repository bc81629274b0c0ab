"""`kerasar sample`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.capabilities import check_options, is_conditional
from kerasar.cli.support.options import (
    Method,
    Run,
    Seed,
    Temperature,
    TopK,
    TopP,
    positive,
    whole,
)
from kerasar.cli.support.outputs import check_ending, check_new, written
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow

if TYPE_CHECKING:
    from kerasar.cli.kinds import Kind


def sample(
    run: Run,
    num: Annotated[
        int | None,
        typer.Option(
            callback=whole(1),
            help="How many; with --classes, of each.",
            show_default="64; 4 recordings; 200 forecasts; 1000 points",
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
        Path | None, typer.Option(help="A file to go on with: .wav, .csv, .npy or .npz.")
    ] = None,
    method: Method = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Where to write: .npz for all data; .png; .wav; .csv. May be given twice.",
            show_default="new files in RUN",
        ),
    ] = None,
) -> None:
    """Draw new examples from a trained model, or go on with a recording or a series.

        kerasar sample runs/shifted-pixelcnn-digits --num 64 --seed 1
        kerasar sample runs/shifted-pixelcnn-digits --num 1000 --out drawn.npz
        kerasar sample runs/gated-pixelcnn-mnist --classes 0-9 --num 8
        kerasar sample runs/wavenet-speech --classes 0-9 --num 1
        kerasar sample runs/wavenet-tide --prompt tide.csv --length 48 --num 200

    A .png shows them; an .npz holds the numbers, as the array "samples"; a .wav has recordings one
    after the other. A series is forecast: a .csv holds the paths, or their quantiles if its name
    ends in "quantiles", and the .png a fan chart. Points are a .csv with a row for each; the .png
    shows them beside the density.
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    files = out or [folder.free(name) for name in kind.sampled]
    check_outputs(files, kind)
    if prompt is not None and not prompt.is_file():
        raise FileNotFoundError(f"--prompt must be a file, but there is no '{prompt}'.")
    start_tensorflow()
    model = folder.load_model()
    options: dict[str, Any] = dict(seed=seed, temperature=temperature)
    given = {"top_k": top_k, "top_p": top_p, "method": method}
    given = {name: value for name, value in given.items() if value is not None}
    check_options(model, given)
    options |= given
    count = kind.num if num is None else num
    chosen = folder.classes(classes, is_conditional(model))
    if chosen is not None:
        import numpy as np

        options["condition"] = np.repeat(chosen, count) if classes else np.resize(chosen, count)
        count = len(options["condition"])
    drawn = kind.draw(folder, model, count, length, prompt, options)
    if chosen is not None:
        known = folder.config["classes"]
        drawn = drawn._replace(labels=[known[number] for number in options["condition"]])
    for file in files:
        with written(file) as path:
            kind.write(path, drawn, folder, model)
        typer.echo(str(file))


def check_outputs(files: list[Path], kind: Kind) -> None:
    """Raises an error unless each can be written: an ending we know, and nothing there yet."""
    for file in files:
        check_ending(file, kind.endings, "--out")
        check_new(file, "--out")
