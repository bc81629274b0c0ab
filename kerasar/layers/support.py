"""Where the values of a series can lie, and the monotone map from there to the real line.

A density on the line, times the derivative of the map, is one on the support: a model of values
that are never negative gives negative ones no probability.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.typing import Tensor

#: The farthest points of the line that are mapped back: exp() of them is finite in float32.
_FARTHEST = 80.0
#: Supports whose values are not mapped.
_AS_THEY_ARE = ("real", "counts")


class Support:
    """The values that a series can have.

    Args:
        kind: "real"; "positive", above 0, by the logarithm; (low, high), between these two, by the
            logit; or "counts", 0, 1, 2, …, as they are.

    Raises:
        ValueError: for anything else.
    """

    def __init__(self, kind: Any = "real") -> None:
        interval = isinstance(kind, (tuple, list)) and len(kind) == 2
        if interval:
            low, high = (float(end) for end in kind)
            interval = math.isfinite(low) and math.isfinite(high) and low < high
        if not interval and kind not in ("real", "positive", "counts"):
            raise ValueError(
                'support must be "real", "positive", "counts" or an interval (low, high) of finite '
                f"numbers, but got {kind!r}."
            )
        self.kind: Any = (low, high) if interval else kind

    def __str__(self) -> str:
        if self.kind in _AS_THEY_ARE:
            return {"real": "real numbers", "counts": "counts 0, 1, 2, …"}[self.kind]
        return (
            "above 0" if self.kind == "positive" else f"between {self.kind[0]} and {self.kind[1]}"
        )

    def contains(self, x: np.ndarray) -> np.ndarray:
        """Which values it contains, Boolean; NaN is in each."""
        if self.kind == "real":
            return np.ones(x.shape, bool)
        if self.kind == "counts":
            return np.isnan(x) | ((x >= 0) & (x == np.round(x)))
        low, high = (0.0, np.inf) if self.kind == "positive" else self.kind
        return np.isnan(x) | ((x > low) & (x < high))

    def to_line(self, x: Tensor) -> Tensor:
        """The points of the line for values; not finite for what is not in the support."""
        if self.kind in _AS_THEY_ARE:
            return x
        if self.kind == "positive":
            return tf.math.log(x)
        low, high = self.kind
        return tf.math.log(x - low) - tf.math.log(high - x)

    def from_line(self, y: Tensor) -> Tensor:
        """The inverse of `to_line`."""
        if self.kind in _AS_THEY_ARE:
            return y
        y = tf.clip_by_value(y, -_FARTHEST, _FARTHEST)
        if self.kind == "positive":
            return tf.exp(y)
        low, high = self.kind
        return low + (high - low) * tf.sigmoid(y)

    def log_derivative(self, x: Tensor) -> Tensor:
        """The natural log of the derivative of `to_line` at values."""
        if self.kind in _AS_THEY_ARE:
            return tf.zeros_like(x)
        if self.kind == "positive":
            return -tf.math.log(x)
        low, high = self.kind
        return math.log(high - low) - tf.math.log(x - low) - tf.math.log(high - x)
