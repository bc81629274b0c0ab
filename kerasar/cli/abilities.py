"""What a model can do: the commands offer and try nothing else."""

from typing import Any


def is_conditional(model: Any) -> bool:
    """Whether the model takes a condition."""
    return bool(getattr(model, "condition_shapes", None))


def can(model: Any, command: str) -> bool:
    """Whether "sample", "inpaint" or "reconstruct" gives something from this model alone."""
    if command == "sample" and can(model, "reconstruct"):
        return model.prior is not None  # an autoencoder draws nothing without a latent
    return hasattr(model, command)
