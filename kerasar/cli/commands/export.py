"""`kerasar export`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.server.guide import serving_guide
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import Run, integer_between
from kerasar.cli.support.outputs import atomic_write, check_new, next_free
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


def export(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to write, which must be new.",
            show_default="RUN/export/N, the next number",
        ),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1),
            help="The number N of the folder RUN/export/N; servers take the highest.",
            show_default="the next number",
        ),
    ] = None,
    jit_compile: Annotated[
        bool,
        typer.Option(
            "--jit-compile",
            help="Let XLA compile the samplers, on servers that are started with XLA.",
        ),
    ] = False,
) -> None:
    """Write a trained model as a SavedModel for TensorFlow Serving, and say how to serve it.

    Its signatures hold everything, so a server needs neither Keras nor kerasar: log_prob; sample,
    inpaint and continuation of autoregressive models; sample and latent of flows. Servers pick
    the folder with the highest number; docs/serving.md says more.

        kerasar export runs/shifted-pixelcnn-digits
        kerasar export runs/shifted-pixelcnn-digits --version 7
        kerasar export runs/shifted-pixelcnn-digits --out /srv/models/digits/1
    """
    if out is not None and version is not None:
        raise ValueError("Give --out or --version, not both: each says which folder to write.")
    folder = RunFolder.open(run)
    exports = folder.path / "export"
    if version is not None:
        out = exports / str(version)
    target = next_free(exports / "{}", first=1) if out is None else out
    check_new(target, "--out" if version is None else "--version")
    start_tensorflow()
    model = folder.load_model()
    with heartbeat("exporting"), atomic_write(target) as path:
        kind_of_run(folder).export(folder, model, path, jit_compile)
    typer.echo(plain_text(target))
    typer.echo(plain_text(serving_guide(target), keep="\n"), err=True)
