"""What a model supports: the commands offer and try nothing else."""

import inspect
from collections.abc import Iterable
from typing import Any


def is_conditional(model: Any) -> bool:
    """Whether the model takes a condition."""
    return bool(getattr(model, "conditions", None))


def supports(model: Any, command: str) -> bool:
    """Whether this model alone can "sample", "inpaint" or "reconstruct"."""
    if command == "sample" and supports(model, "reconstruct"):
        return model.prior is not None  # without one, an autoencoder draws given a latent only
    return hasattr(model, command)


def describe_result(model: Any, result: str) -> str:
    """A test result in words: exact, an upper bound, or of data given their latents."""
    if model.exact:
        return result
    return f"at most {result}" if supports(model, "sample") else f"{result} given their latents"


def check_options(model: Any, options: Iterable[str]) -> None:
    """Raises a ValueError if `model.sample` does not take one of these options."""
    known = inspect.signature(model.sample).parameters
    passes_on = any(part.kind is part.VAR_KEYWORD for part in known.values())
    for name in options:
        if name not in known and not passes_on:
            raise ValueError(
                f"--{name.replace('_', '-')} is for models that draw one value after the other, "
                f"but this is a {type(model).__name__}. Leave it out."
            )
