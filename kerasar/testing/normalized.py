"""Whether a model's probabilities are probabilities: on a tiny domain, all of them sum to one."""

import math
from typing import Any

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_values
from kerasar.testing.models import ScoredModel

#: Above this many examples, enumerating takes longer than a test should.
MAX_DOMAIN = 2**17


@checks_arguments
def check_normalized(model: ScoredModel, condition: Any = None, tolerance: float = 1e-5) -> None:
    """The probabilities of all possible inputs must sum to one.

    Args:
        model: an autoregressive model of discrete data, small enough: `levels ** values` inputs are
            tried (81 for a 2×2 image with 3 levels).
        condition: for a conditional model, one row of each condition: `(1, …)`, or a dict of such.
        tolerance: by how much the sum may differ from 1.

    Raises:
        AssertionError: if the sum is another, or a probability is above 1 or NaN.
        ValueError: if the domain is open, not discrete, or too large to be enumerated.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be above 0 and below 1, but got {tolerance}.")
    examples = every_example(model)
    nats = np.asarray(model.log_prob(examples, condition=repeated(condition, len(examples))))
    assert nats.shape == (len(examples),), (
        f"log_prob must give one value for each of {len(examples)} examples, not {nats.shape}"
    )
    assert not np.isnan(nats).any(), f"log_prob is NaN for {examples[np.isnan(nats)][0].tolist()}"
    assert nats.max() <= tolerance, f"a log_prob is positive: {nats.max()}"
    total = float(np.exp(nats.astype("float64")).sum())
    assert abs(total - 1) <= tolerance, (
        f"the probabilities of all {len(examples)} inputs sum to {total:.8f}, not to 1"
    )


def every_example(model: ScoredModel) -> np.ndarray:
    """All inputs that a model of discrete data can have, `(levels ** values, *data shape)`."""
    shape, levels = tuple(model.data_shape), model.data_levels
    if levels is None or None in shape:
        raise ValueError(
            f"Only discrete data of a known size can be enumerated, but model '{model.name}' has "
            f"data of shape {shape} and levels {levels}."
        )
    values = math.prod(size or 0 for size in shape)
    if levels**values > MAX_DOMAIN:
        raise ValueError(
            f"Model '{model.name}' has {levels} ** {values} possible inputs, more than the "
            f"{MAX_DOMAIN} that are enumerated. Build a smaller one of its kind."
        )
    digits = np.indices((levels,) * values).reshape(values, -1).T
    return digits.reshape(-1, *shape).astype("int32")


def _one_row(part: Any) -> np.ndarray:
    rows = check_values(part, "condition")
    if rows.ndim == 0:
        raise ValueError("condition must be one row, (1, …), but it has no axis.")
    return rows[:1]


def repeated(condition: Any, count: int) -> Any:
    """One row of each condition, `count` times; None stays None."""
    if condition is None:
        return None
    return keras.tree.map_structure(
        lambda part: np.repeat(_one_row(part), count, axis=0), condition
    )
