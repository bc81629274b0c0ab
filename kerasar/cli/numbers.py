"""Checks of numbers on the command line, before anything slow begins."""

import math
from collections.abc import Callable

import typer

Check = Callable[[typer.CallbackParam, int | None], int | None]


def whole(least: int, most: int | None = None) -> Check:
    """A check that a whole number lies in `[least, most]`, where one is given."""

    def check(option: typer.CallbackParam, value: int | None) -> int | None:
        if value is None or (value >= least and (most is None or value <= most)):
            return value
        bounds = f"at least {least}" if most is None else f"from {least} to {most:,}"
        raise ValueError(f"{option.opts[0]} must be {bounds}, but got {value}.")

    return check


def above_zero(option: typer.CallbackParam, value: float | None) -> float | None:
    """A check that a number is above 0 and finite, where one is given."""
    if value is None or 0 < value < math.inf:
        return value
    raise ValueError(f"{option.opts[0]} must be a finite number above 0, but got {value:g}.")


def probability(option: typer.CallbackParam, value: float | None) -> float | None:
    """A check that a number lies in (0, 1], where one is given."""
    if value is None or 0 < value <= 1:
        return value
    raise ValueError(f"{option.opts[0]} must lie above 0 and at most at 1, but got {value:g}.")
