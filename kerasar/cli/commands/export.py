"""`kerasar export`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import Run
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
) -> None:
    """Write a trained model as a SavedModel for TensorFlow Serving.

    Its signatures hold everything, so a server needs neither Keras nor kerasar: log_prob; sample,
    inpaint and continuation of autoregressive models; sample and latent of flows. Servers pick
    the folder with the highest number; docs/serving.md says more.

        kerasar export runs/shifted-pixelcnn-digits
        kerasar export runs/shifted-pixelcnn-digits --out /srv/models/digits/1
    """
    folder = RunFolder.open(run)
    target = next_free(folder.path / "export" / "{}", first=1) if out is None else out
    check_new(target, "--out")
    start_tensorflow()
    model = folder.load_model()
    with heartbeat("exporting"), atomic_write(target) as path:
        kind_of_run(folder).export(folder, model, path)
    typer.echo(plain_text(target))
