"""Finding the bin that a value falls in, for the piecewise maps.

By comparison with all knots and sums: a few wide operations that XLA fuses, while a search and a
gather would process one element after the other.
"""

from keras import ops

from kerasar.typing import Tensor


def bin_of(values: Tensor, inner_knots: Tensor) -> Tensor:
    """The bin of each value, one-hot, `(…, bins)`. The outer bins extend to infinity.

    Args:
        values: `(…)`.
        inner_knots: `(…, bins - 1)`, ascending; `…` broadcasts to that of `values`.
    """
    above = ops.cast(values[..., None] >= inner_knots, values.dtype)
    edge = ops.zeros_like(values)[..., None]
    return ops.concatenate([edge + 1, above], axis=-1) - ops.concatenate([above, edge], axis=-1)


def pick(chosen: Tensor, values: Tensor) -> Tensor:
    """The value of the chosen bin.

    Args:
        chosen: one-hot, `(…, bins)`.
        values: finite, `(…, bins)`; `…` broadcasts to that of `chosen`.
    """
    return ops.sum(chosen * values, axis=-1)
