"""Turns errors of the user into a message and an exit status; leaves our own bugs alone."""

import os
import traceback
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

#: What the library raises for bad input, and the system for files that are not as they should be.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError)
_HOME = str(Path(__file__).parents[1])


class ErrorsAsMessages(TyperGroup):
    """The group of all commands. Exit status 2 for bad input, 1 for training that went wrong."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `kerasar score … | head`: typer ends quietly
        except FloatingPointError as error:
            _print(error)
            raise typer.Exit(1) from None
        except _USER_ERRORS as error:
            _print(error)
            raise typer.Exit(2) from None


def _print(error: Exception) -> None:
    if os.environ.get("KERASAR_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(f"{error}{_origin(error)}", err=True)


def _origin(error: Exception) -> str:
    """Nothing for messages of ours. Others may be too terse, so say where to learn more."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith(_HOME):
        return ""
    return f" ({type(error).__name__}; KERASAR_TRACEBACK=1 shows where it arose.)"
