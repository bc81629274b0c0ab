"""`kerasar serve`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.server.export_folder import ExportFolder
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import integer_between, positive
from kerasar.cli.support.ports import check_port


def serve(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="The folder of a run, whose newest export is served; or an export.",
            show_default=False,
        ),
    ],
    port: Annotated[
        int, typer.Option(help="The port to listen to.", callback=integer_between(1, 65535))
    ] = 8501,
    host: Annotated[
        str, typer.Option(help="The address to listen to; 0.0.0.0 is all of them.")
    ] = "127.0.0.1",
    name: Annotated[
        str | None,
        typer.Option(help="The model's name in URLs.", show_default="that of the run"),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a request is given up.", callback=positive)
    ] = 60.0,
    max_megabytes: Annotated[
        float, typer.Option(help="Largest request, in 10^6 bytes.", callback=positive)
    ] = 32.0,
    warm_up: Annotated[
        bool, typer.Option("--warm-up", help="Send one request to each signature before listening.")
    ] = False,
) -> None:
    """Serve an exported model over HTTP.

    TensorFlow Serving's URL and the Open Inference Protocol, metrics and health, by KServe's
    model server: pip install 'kerasar[serve]'. The model runs in TensorFlow's C++ library.
    kerasar export prints requests to try; docs/serving.md says more.

        kerasar serve runs/shifted-pixelcnn-digits --warm-up
        curl localhost:8501/v1/models/shifted-pixelcnn-digits
    """
    folder = ExportFolder(run)
    _import_kserve()
    from kerasar.cli.server.adapter import ServedExport
    from kerasar.cli.server.run import run_server

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # what its log says is not of requests
    check_port(host, port)
    with heartbeat("loading"):
        model = ServedExport(name or folder.model_name, folder, timeout)
    if warm_up:
        with heartbeat("warming up"):
            model.warm_up()
    typer.echo(f"Serving '{model.name}' of {folder.path} at http://{host}:{port}. Ctrl-C ends it.")
    sys.stdout.flush()
    run_server(model, host, port, int(max_megabytes * 1e6))


def _import_kserve() -> None:
    """Imports KServe, which reads the command line at its import as if it were its own."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve.model_server  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"kerasar serve runs KServe's model server, but {error.name} is not installed. Install "
            "it: pip install 'kerasar[serve]'."
        ) from None
    finally:
        sys.argv = arguments
