"""How far examples are from typical ones, in a few statistics taken together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasar.typing import Config, Tensor

#: How much correlations are shrunk towards none at least; by the number of statistics for each
#: example if that is more, so that few examples do not feign dependence.
_SHRINKAGE = 0.02
#: By how many deviations suspicious statistics are shifted, and the number of examples at which it
#: is one more: the fewer they are, the less does what is unlike them on the modest side say.
_SHIFT, _FEW = 2.0, 120.0
#: The smallest standard deviation, relative to the size of a statistic: of one that is constant.
_SMALLEST = 1e-5
#: The share of good examples from whose distances the tail is fitted.
_TAIL = 0.1
_MOST = 1e9


class Distance(NamedTuple):
    """A Mahalanobis distance from good examples, measured from a point on their modest side.

    Some statistics are suspicious mainly when they are large. Their distances are measured from a
    point some deviations below the mean: examples a little above the mean are then further away
    than those a little below, and whatever is far is far on both sides.

    The distances of good examples beyond their 90th percentile are taken as exponential, which
    turns a distance into nats, -ln of the share of good examples that lie further.
    """

    names: tuple[str, ...]
    """of the statistics"""
    mean: np.ndarray
    scale: np.ndarray
    whitening: np.ndarray
    """decorrelates standardized statistics and keeps each as near to itself as possible (ZCA)"""
    shift: np.ndarray
    start: float
    """distance beyond which a tenth of good examples lie"""
    slope: float
    """mean distance by which they do"""

    @classmethod
    def fit(cls, good: Mapping[str, np.ndarray], large: Sequence[str]) -> "Distance":
        """Fits a distance.

        Args:
            good: statistics of good examples, `(examples,)`, by name.
            large: the names of those that are suspicious mainly when large.
        """
        values = np.stack(list(good.values()), axis=1)
        mean = values.mean(axis=0)
        scale = np.maximum(values.std(axis=0), _SMALLEST * (1 + np.abs(mean)))
        standard = (values - mean) / scale
        shrinkage = min(max(_SHRINKAGE, len(mean) / len(standard)), 1.0)
        correlation = (1 - shrinkage) * standard.T @ standard / len(standard)
        np.fill_diagonal(correlation, 1.0)
        eigenvalues, vectors = np.linalg.eigh(correlation)
        whitening = vectors / np.sqrt(np.maximum(eigenvalues, _SHRINKAGE / 10)) @ vectors.T
        shift = _SHIFT + (_FEW / len(standard)) ** 2
        moved = np.array([shift * (name in large) for name in good])
        found = cls(tuple(good), mean, scale, whitening, moved, 0.0, 1.0)
        distances = found._distances(good).numpy()
        start = float(np.quantile(distances, 1 - _TAIL))
        beyond = distances[distances > start]
        slope = float((beyond - start).mean()) if len(beyond) else 0.0
        return found._replace(start=start, slope=max(slope, 0.1))

    def nats(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """-ln of the share of good examples that are further away, roughly; float64 `(batch,)`."""
        return -math.log(_TAIL) + (self._distances(statistics) - self.start) / self.slope

    def parts(self, statistics: Mapping[str, Tensor]) -> Tensor:
        """What each statistic adds to the squared distance of a mean example, `(batch, names)`."""
        return tf.square(self._offsets(statistics)) - self.shift**2

    def deviations(self, statistics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Each statistic in standard deviations of good examples from their mean."""
        return {
            name: (statistics[name] - mean) / scale
            for name, mean, scale in zip(self.names, self.mean, self.scale, strict=True)
        }

    def _distances(self, statistics: Mapping[str, Tensor]) -> Tensor:
        return tf.sqrt(tf.reduce_sum(tf.square(self._offsets(statistics)), axis=-1))

    def _offsets(self, statistics: Mapping[str, Tensor]) -> Tensor:
        values = tf.stack([statistics[name] for name in self.names], axis=-1)
        standard = tf.clip_by_value((values - self.mean) / self.scale, -_MOST, _MOST)
        return standard @ self.whitening + self.shift

    def to_config(self) -> Config:
        return {
            name: part.tolist() if isinstance(part, np.ndarray) else part
            for name, part in self._asdict().items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Distance":
        return cls(
            names=tuple(config["names"]),
            mean=np.array(config["mean"], "float64"),
            scale=np.array(config["scale"], "float64"),
            whitening=np.array(config["whitening"], "float64"),
            shift=np.array(config["shift"], "float64"),
            start=config["start"],
            slope=config["slope"],
        )
