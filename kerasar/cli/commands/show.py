"""`kerasar show`."""

import os
import tempfile
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.capabilities import is_conditional, supports
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import Run, integer_between
from kerasar.cli.support.ports import address, check_port
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: So many test images can be chosen from.
_MOST = 200


def show(
    run: Run,
    port: Annotated[
        int, typer.Option(help="The port to listen to.", callback=integer_between(1, 65535))
    ] = 7860,
    host: Annotated[
        str, typer.Option(help="The address to listen to; 0.0.0.0 is all of them.")
    ] = "127.0.0.1",
) -> None:
    """Look at a run in the browser: draw, complete what you paint over, see where images surprise.

    The page is Gradio's, pip install 'kerasar[show]', and needs no network.

        kerasar show runs/shifted-pixelcnn-digits
    """
    folder = RunFolder.open(run)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory(prefix="kerasar-show-") as copies:
        os.environ["GRADIO_TEMP_DIR"] = copies  # of all pictures that were shown
        _serve(folder, host, port)


def _serve(folder: RunFolder, host: str, port: int) -> None:
    """Shows the page until somebody ends it."""
    kind = kind_of_run(folder)
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(
            f"kerasar show makes its page by Gradio, but {error.name} is not installed. Install "
            "it: pip install 'kerasar[show]'."
        ) from None
    check_port(host, port)
    start_tensorflow()
    from kerasar.cli.show.page import build

    with heartbeat("loading"):
        model = folder.load_model()
        examples = _examples(folder, model) if kind.name == "images" else (None, None)
        page = build(folder, kind, model, *examples)
    typer.echo(f"Open {address(host, port)} in a browser. Ctrl-C ends it.")
    page.launch(server_name=host, server_port=port, quiet=True, share=False)


def _examples(folder: RunFolder, model: "DensityModel") -> tuple[Any, Any]:
    """Test images of the run, and their classes if the model takes them; or images that it draws.

    The model draws them where the data of the run are gone.
    """
    from kerasar.cli.kinds.images.run_data import load_for

    conditional = is_conditional(model)
    try:
        source, where = folder.data_source(None, None)
        data = load_for(model, source, where)
        if not conditional:
            return data.test[:_MOST], None
        if data.test_labels is not None:
            return data.test[:_MOST], data.test_labels[:_MOST]
        raise ValueError("the images have no classes.")
    except (OSError, ValueError) as error:
        if not supports(model, "sample"):
            raise
        typer.echo(f"The data of the run are not there, so drawn images are shown: {error}")
        classes = np.resize(folder.classes(None, True) or [], 16) if conditional else None
        options = {} if classes is None else {"condition": classes}
        return model.sample(16, seed=0, **options), classes
