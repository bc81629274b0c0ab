"""Samples for the pictures of a run: few, soon, and of every class in turn."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder


def soon(model: Any) -> dict[str, Any]:
    """The sampler that starts soonest on images, as an option; a few passes suffice for them."""
    takes_method = "method" in inspect.signature(model.sample).parameters
    return {"method": "parallel"} if takes_method else {}


def quick_samples(
    run: RunFolder, model: Any, num: int, length: int | None = None, **options: Any
) -> NDArray[Any]:
    """Draws `num` samples with seed 0.

    Args:
        run: whose samples; it knows the classes that the model is conditioned on.
        model: its model.
        num: how many.
        length: steps, where the model leaves its length open.
        **options: for `model.sample`.
    """
    if len(model.data_shape) == 3:
        options.update(soon(model))
    if length is not None and model.data_shape[0] is None:
        options["length"] = length
    if is_conditional(model):
        options["condition"] = np.arange(num) % len(run.config["classes"])
    samples: NDArray[Any] = model.sample(num, seed=0, verbose=False, **options)
    return samples
