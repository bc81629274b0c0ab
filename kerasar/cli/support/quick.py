"""Samples for the pictures of a run: few, of each class in turn, and without a long start."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder

if TYPE_CHECKING:
    from kerasar.training import DensityModel


def fast_start_options(model: DensityModel) -> dict[str, Any]:
    """Options of `model.sample` for the sampler that starts fastest on images."""
    return {"method": "parallel"} if "method" in signature(model.sample).parameters else {}


def quick_samples(
    run: RunFolder, model: DensityModel, num: int, length: int | None = None
) -> NDArray[Any]:
    """Draws samples with seed 0.

    Args:
        run: a run, which knows the classes that its model is conditioned on.
        model: its model.
        num: the number of samples.
        length: their steps, used where the model leaves the length open.
    """
    options = fast_start_options(model) if len(model.data_shape) == 3 else {}
    if length is not None and model.data_shape[0] is None:
        options["length"] = length
    if is_conditional(model):
        options["condition"] = np.arange(num) % len(run.config["classes"])
    samples: NDArray[Any] = model.sample(num, seed=0, verbose=False, **options)
    return samples
