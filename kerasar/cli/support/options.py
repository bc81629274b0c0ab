"""Options that several commands share, each defined once."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from kerasar.checks import user_path

Check = Callable[[typer.CallbackParam, int | None], int | None]


def integer_between(least: int, most: int | None = None) -> Check:
    """A callback that checks that an integer is in `[least, most]`, if it is given."""

    def check(option: typer.CallbackParam, value: int | None) -> int | None:
        if value is None or (value >= least and (most is None or value <= most)):
            return value
        bounds = f"at least {least}" if most is None else f"from {least} to {most:,}"
        raise ValueError(f"{option.opts[0]} must be {bounds}, but got {value}.")

    return check


def positive(option: typer.CallbackParam, value: float | None) -> float | None:
    """A callback that checks that a value is above 0 and finite, if it is given."""
    if value is None or 0 < value < math.inf:
        return value
    raise ValueError(f"{option.opts[0]} must be a finite number above 0, but got {value:g}.")


def probability(option: typer.CallbackParam, value: float | None) -> float | None:
    """A callback that checks that a value is in (0, 1], if it is given."""
    if value is None or 0 < value <= 1:
        return value
    raise ValueError(f"{option.opts[0]} must lie above 0 and be at most 1, but got {value:g}.")


def fraction(option: typer.CallbackParam, value: float | None) -> float | None:
    """A callback that checks that a value is in (0, 1), if it is given."""
    if value is None or 0 < value < 1:
        return value
    raise ValueError(f"{option.opts[0]} must lie above 0 and below 1, but got {value:g}.")


class WithUserPaths(TyperCommand):
    """A command in whose paths `~` is the home folder; a shell leaves it in `--out=~/a`."""

    def invoke(self, ctx: Any) -> Any:
        ctx.params = {name: _expanded(value, name) for name, value in ctx.params.items()}
        return super().invoke(ctx)


def _expanded(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_expanded(part, name) for part in value]
    return user_path(value, f"--{name.strip('_')}") if isinstance(value, Path) else value


def without_none(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that kerasar train made.")]
Seed = Annotated[
    int,
    typer.Option(
        callback=integer_between(0, 2**31 - 1), help="The same seed gives the same result."
    ),
]
Temperature = Annotated[
    float,
    typer.Option(callback=positive, help="Above 0. Below 1 likelier, above 1 more varied values."),
]
TopK = Annotated[
    int | None,
    typer.Option(callback=integer_between(1), help="Draw from this many likeliest values only."),
]
TopP = Annotated[
    float | None,
    typer.Option(
        callback=probability, help="Draw from the likeliest values of this total probability only."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where TensorFlow Datasets keeps its data.", show_default="$TFDS_DATA_DIR"),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Sampler: cached, parallel or sequential; the same result at another speed.",
        show_default="the fastest that the model has",
    ),
]
PictureOrArrays = Annotated[
    list[Path] | None,
    typer.Option(
        help="Where to write, .png or .npz; may be given twice.",
        show_default="a new .png in RUN",
    ),
]
