"""What a model supports: the commands offer and try nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from kerasar.training import DensityModel


def is_conditional(model: DensityModel) -> bool:
    """Whether the model takes a condition."""
    return bool(getattr(model, "conditions", None))


def levels_of(model: DensityModel) -> int:
    """The number of values of a model of audio or images, which are whole numbers."""
    return cast(int, model.data_levels)


def supports(model: DensityModel, command: str) -> bool:
    """Whether this model alone can "sample", "forecast", "inpaint" or "reconstruct"."""
    if command in ("forecast", "backtest"):
        command = "sample"  # a series goes on by drawing
    if command == "sample" and supports(model, "reconstruct"):
        return model.prior is not None  # without one, an autoencoder draws given a latent only
    return hasattr(model, command)


def describe_result(model: DensityModel, result: str) -> str:
    """A test result in words: exact, an upper bound, or of data given their latents."""
    if model.exact:
        return result
    return f"at most {result}" if supports(model, "sample") else f"{result} given their latents"


def check_options(model: DensityModel, options: Iterable[str]) -> None:
    """Raises a ValueError if `model.sample` does not take one of these options."""
    known = inspect.signature(model.sample).parameters
    passes_on = any(part.kind is part.VAR_KEYWORD for part in known.values())
    for name in options:
        if name not in known and not passes_on:
            raise ValueError(
                f"--{name.replace('_', '-')} is for models that draw one value after the other, "
                f"but this is a {type(model).__name__}. Leave it out."
            )
