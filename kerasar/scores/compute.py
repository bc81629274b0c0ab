"""Runs a model over examples once, and computes what the scores are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasar.checks import check_count
from kerasar.scores.models import ScoredModel
from kerasar.scores.statistics import Example, as_example
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Tensor


def checked_batch(model: ScoredModel, x: Any, condition: Any, name: str = "x") -> Batch:
    """Examples as the model takes them.

    Raises:
        TypeError: for a model that has no likelihood.
        ValueError, TypeError: for data that do not fit the model.
    """
    if not hasattr(model, "compute_surprise"):
        raise TypeError(
            "model must be a density model of kerasar's, which has a log_prob, but got "
            f"{type(model).__name__}. kerasar.AutoregressiveModel makes one of a network."
        )
    batch = unpack(x)
    if condition is not None:
        batch = batch._replace(condition=condition)
    return model.check_batch(batch, name)


def compute_example(model: ScoredModel, batch: Batch) -> Example:
    """A batch, and what it costs the model, on tensors and without checks."""
    return as_example(model.compute_surprise(batch), batch.x, batch.length, is_map(model))


def run_over(
    model: ScoredModel,
    batch: Batch,
    function: Callable[[Example], dict[str, Tensor]],
    key: str,
    batch_size: int,
) -> dict[str, np.ndarray]:
    """What a function gives for each example, traced once and run in batches.

    Args:
        model: the model.
        batch: checked examples.
        function: from an `Example` to tensors by name, each with one row for each example.
        key: says which function it is.
        batch_size: how many examples go through the network at once.
    """
    check_count(batch_size, "batch_size", most=None)

    def compute(part: Batch) -> dict[str, Tensor]:
        return function(compute_example(model, part))

    graph = model.function_cache.traced_open(f"scores: {key}", compute)
    found = []
    for start in range(0, len(batch.x), batch_size):
        part = graph(batch.rows(start, start + batch_size))
        found.append({name: values.numpy() for name, values in part.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def is_map(model: ScoredModel) -> bool:
    """Whether the model has a term for each position of the data: a flow has none."""
    return hasattr(model, "likelihood") or hasattr(model, "decoder")
