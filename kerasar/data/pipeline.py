"""Feeds arrays to training: shuffled over the whole data set, batched, prepared ahead."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasar.arguments import checks_arguments
from kerasar.checks import as_array, check_count
from kerasar.data.batching import array_batches
from kerasar.data.lazy_rows import is_lazy
from kerasar.typing import Tensor


@checks_arguments
def pipeline(
    x: ArrayLike | Mapping[str, Any],
    batch_size: int,
    shuffle: bool = True,
    seed: int | None = 0,
    condition: ArrayLike | Mapping[str, ArrayLike] | None = None,
) -> Tensor:
    """Makes a `tf.data.Dataset` of batches for `fit`, `evaluate` or a loop of your own.

    Each pass gives every example once, in a new order; the last batch may be smaller. The orders
    follow from `seed` (and from `tf.random.set_seed`, if that was called): two pipelines with the
    same seed give the same batches in their first pass, their second, and so on.

    Args:
        x: array, `(n, ...)`, whose dtype is kept; or what `fit` takes, a dict of such arrays with
            `x` and perhaps `condition` and `length`.
        batch_size: int, at least 1.
        shuffle: bool. False keeps the order of `x`.
        seed: int. Determines the orders. None follows `tf.random.set_seed` alone: every pipeline
            has orders of its own.
        condition: array, `(n, ...)`, or a dict of such arrays by input name; row i belongs to
            example i.

    Returns:
        A data set of `x` batches or, with a condition or lengths, of dicts `{"x": ..., …}`.

    Raises:
        ValueError: if there are no examples, `condition` has another number of rows, or
            `batch_size` is below 1.

    Example:
        >>> import kerasar
        >>> batches = kerasar.data.pipeline([10, 11, 12], batch_size=2, shuffle=False)
        >>> [batch.tolist() for batch in batches.as_numpy_iterator()]
        [[10, 11], [12]]
    """
    batch_size = check_count(batch_size, "batch_size", most=None)
    if not isinstance(x, Mapping):
        x = {"x": x} if condition is None else {"x": x, "condition": condition}
    elif condition is not None or "x" not in x:
        raise ValueError(
            "A dict of examples holds 'x' and, if there is one, 'condition', but got "
            f"{sorted(x)}{' and a condition' if condition is not None else ''}."
        )
    count = _count(_rows_or_array(x["x"], "x"))
    examples: Any = {name: _rows(part, count, name) for name, part in x.items()}
    if set(examples) == {"x"}:
        examples = examples["x"]

    return array_batches(examples, batch_size, shuffle, seed)


def _rows_or_array(x: Any, name: str) -> Any:
    return x if is_lazy(x) else as_array(x, name)


def _count(x: np.ndarray[Any, Any]) -> int:
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(
            f"x must hold at least one example along its first axis, but got shape {x.shape}. Pass "
            "an array of shape (n, ...)."
        )
    return len(x)


def _rows(part: Any, count: int, name: str) -> Any:
    """A part, or a dict of parts, as arrays of so many rows."""
    if isinstance(part, Mapping):
        return {key: _rows(value, count, f"{name}['{key}']") for key, value in part.items()}
    rows = _rows_or_array(part, name)
    if rows.ndim == 0 or len(rows) != count:
        raise ValueError(
            f"Each of the {count} examples of x needs its row of {name}, but that has shape "
            f"{rows.shape}. Pass an array of shape ({count}, ...)."
        )
    return rows
