"""Turns errors of the user into a message and an exit status; leaves our own bugs alone."""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from kerasar.cli.support.signals import answered, requests_arrive
from kerasar.data.plain_text import plain_text
from kerasar.disk import NotWrittenError, disk_refusal
from kerasar.memory import available_memory, in_gib

#: What the library raises for bad input, and the system for files that are not as they should be.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError)
#: Options by which what a command holds at once grows.
_MAKE_LARGE = ("--batch-size", "--num", "--levels", "--context", "--length", "--images")
_HOME = str(Path(__file__).parents[2])


class ErrorsAsMessages(TyperGroup):
    """The group of all commands.

    Exit status 2 for bad input, 1 for training that went wrong, 130 for one that was stopped.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except BrokenPipeError:
            raise
        except OSError as error:  # what `--help` prints cannot be written
            _print(error)
            raise typer.Exit(2) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            with requests_arrive():
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            raise  # `kerasar score … | head`: typer ends quietly
        except KeyboardInterrupt as stop:
            answered()
            notes = _notes(stop) or "\nNothing half-written is left."
            typer.echo(f"Stopped.{notes}", err=True)
            raise typer.Exit(130) from None
        except FloatingPointError as error:
            _print(error)
            raise typer.Exit(1) from None
        except _USER_ERRORS as error:
            _print(error)
            raise typer.Exit(2) from None
        except Exception as error:
            if not _is_of_memory(error):
                raise
            _print(_out_of_memory(error, ctx))
            raise typer.Exit(2) from None


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, in Python or in TensorFlow, which must not be imported for this."""
    if error is None:
        return False
    named = type(error).__name__ == "ResourceExhaustedError"
    return isinstance(error, MemoryError) or named or _is_of_memory(error.__cause__)


def _out_of_memory(error: Exception, ctx: Any) -> Exception:
    """The error to show, with what the command lets the user make smaller."""
    command = ctx.command.commands.get(ctx.invoked_subcommand)
    options = [name for part in command.params for name in part.opts if name in _MAKE_LARGE]
    advice = f"Take less, with {' or '.join(options)}, or a" if options else "Take a"
    shown = MemoryError(
        f"Memory ran out: {in_gib(available_memory())} are available. {advice} smaller model, or "
        "close other programs."
    )
    for note in getattr(error, "__notes__", ()):
        shown.add_note(note)
    shown.__cause__ = error
    return shown


def _print(error: Exception) -> None:
    if os.environ.get("KERASAR_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    origin = _origin(error)
    # Ours are one line, so that a line break in one is that of a file's name.
    message = plain_text(error, keep="\n\t" if origin else "") + origin
    if _is_of_stdout(error):
        message = f"The output cannot be written: {disk_refusal(error)}."
        # Python writes what is left at its end, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(message + _notes(error), err=True)


def _notes(error: BaseException) -> str:
    """What is kept, as those say that the error passed."""
    return "".join(f"\n{plain_text(note)}" for note in getattr(error, "__notes__", ()))


def _is_of_stdout(error: Exception) -> bool:
    """Whether it comes from a `print`: of all that is written only this has no name."""
    if not isinstance(error, OSError) or isinstance(error, NotWrittenError) or error.filename:
        return False
    return error.errno is not None and disk_refusal(error) is not None


def _origin(error: Exception) -> str:
    """Nothing for messages of ours. Others may be too terse, so say where to learn more."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith(_HOME):
        return ""
    return f" ({type(error).__name__}; KERASAR_TRACEBACK=1 shows where it arose.)"
