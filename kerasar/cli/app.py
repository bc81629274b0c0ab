"""Puts the commands together. Nothing here imports TensorFlow, Keras or matplotlib."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

import kerasar
from kerasar.cli.commands.backtest import backtest
from kerasar.cli.commands.compress import compress
from kerasar.cli.commands.data import data
from kerasar.cli.commands.decompress import decompress
from kerasar.cli.commands.export import export
from kerasar.cli.commands.forecast import forecast
from kerasar.cli.commands.gallery import gallery
from kerasar.cli.commands.inpaint import inpaint
from kerasar.cli.commands.inspect import inspect as inspect_
from kerasar.cli.commands.models import models
from kerasar.cli.commands.runs import runs
from kerasar.cli.commands.sample import sample
from kerasar.cli.commands.score import score
from kerasar.cli.commands.serve import serve
from kerasar.cli.commands.show import show
from kerasar.cli.commands.train import train
from kerasar.cli.support.errors import ErrorsAsMessages
from kerasar.cli.support.options import WithUserPaths
from kerasar.cli.support.signals import answered, end_as_ctrl_c


def _help_of(function: Callable[..., None]) -> str:
    """The function's docstring for a terminal: text flows to its width, indented lines stay."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(
        "\b\n" + "\n".join(f"[bold]{line}[/bold]" for line in paragraph.split("\n"))
        if paragraph.startswith(" ")
        else " ".join(paragraph.split("\n"))
        for paragraph in paragraphs
    )


app = typer.Typer(
    name="kerasar",
    cls=ErrorsAsMessages,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    train, runs, sample, forecast, backtest, inpaint, score, compress, decompress, export,
    serve, show, inspect_, gallery, models, data,
)  # fmt: skip
for command in _COMMANDS:
    app.command(name=command.__name__, cls=WithUserPaths, help=_help_of(command))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kerasar {kerasar.__version__}")
        raise typer.Exit()


def kerasar_(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Train models with an exact likelihood; sample, in-paint, score and serve them.

    Begin with a model of handwritten digits, a minute on a laptop:

        kerasar train shifted-pixelcnn --data digits

    It writes a folder, runs/shifted-pixelcnn-digits, which the other commands take. Each of
    them explains itself: kerasar score --help.

    Wrong input ends with a message and exit status 2; the environment variable KERASAR_TRACEBACK=1
    adds where it was found.
    """


app.callback(help=_help_of(kerasar_))(kerasar_)


def main() -> None:
    """The console script."""
    end_as_ctrl_c()
    try:
        app()
    finally:
        answered()
