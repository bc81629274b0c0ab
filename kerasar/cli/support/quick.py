"""Samples for the pictures of a run: few, of each class in turn, and without a long start."""

from __future__ import annotations

import math
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: Parameters of distributions that are computed at once, of 4 bytes each.
_VALUES = 1 << 24


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
    condition = options.pop("condition", None)
    found = []
    for seed, rows in enumerate(portions(model, num)):
        if condition is not None:
            options["condition"] = condition[rows]
        found.append(model.sample(rows.stop - rows.start, seed=seed, verbose=False, **options))
    return np.concatenate(found)


def portions(model: DensityModel, num: int, each: int = 1) -> list[slice]:
    """Parts of `num` examples that are small enough to be drawn at once beside a training.

    Args:
        model: draws them.
        num: how many there are.
        each: draws of each.
    """
    values = math.prod(size or 1 for size in model.data_shape) * (model.data_levels or 1)
    most = max(1, _VALUES // (values * each))
    size = math.ceil(num / math.ceil(num / most))  # about equal: each size is traced
    return [slice(start, min(start + size, num)) for start in range(0, num, size)]
