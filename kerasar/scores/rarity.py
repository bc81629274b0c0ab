"""How rare the statistics of an example are among those of good ones: what a detector learns."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasar.scores.calibration import Calibration, split_sizes
from kerasar.scores.distance import Distance
from kerasar.typing import Config, Tensor

#: What the groups of statistics count. An unusual place tells little where examples lie anywhere,
#: so it has to be very unusual.
_WEIGHTS = {"typicality": 16, "local": 4, "place": 1}
#: Statistics that are suspicious mainly when they are large.
_LARGE = ("surprise", "dispersion", "worst_events", "worst_patch")


class Rarity(NamedTuple):
    """Distances from good examples, one for each group of statistics, and their calibration.

    A distance stands for nats, -ln of the share of good examples that are further away. The score
    of an example is ln of the weighted sum of 1 / share over the groups, a weighted harmonic mean
    of p-values: about that of the group that says most.

    References:
        Wilson. The Harmonic Mean p-value for Combining Dependent Tests. PNAS 116, 2019.
        https://doi.org/10.1073/pnas.1814092116
    """

    distances: dict[str, Distance]
    calibration: Calibration

    @classmethod
    def fit(cls, groups: Mapping[str, Mapping[str, np.ndarray]], seed: int) -> "Rarity":
        """Fits the distances on some good examples and calibrates on the others.

        Args:
            groups: for each group its statistics by name, each `(examples,)`.
            seed: of the split.

        Raises:
            ValueError: for fewer than 50 examples.
        """
        count = len(next(iter(groups["typicality"].values())))
        fitted, calibrated = split_sizes(count)
        order = np.random.default_rng(seed).permutation(count)
        kept, rest = (
            {
                group: {name: values[rows] for name, values in statistics.items()}
                for group, statistics in groups.items()
            }
            for rows in (order[:fitted], order[count - calibrated :])
        )
        distances = {group: Distance.fit(statistics, _LARGE) for group, statistics in kept.items()}
        found = cls(distances, Calibration(np.zeros(1)))
        return found._replace(calibration=Calibration(found.scores(rest).numpy()))

    def scores(self, groups: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """The score of each example, float64 `(batch,)`."""
        return tf.reduce_logsumexp(self._weighted(groups), axis=0)

    def strangest(self, groups: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
        """The statistic that says most against each example, in the group that says most."""
        leading = tf.argmax(self._weighted(groups), axis=0).numpy()
        in_group = []
        for group, distance in self.distances.items():
            largest = tf.argmax(distance.parts(groups[group]), axis=-1).numpy()
            in_group.append([distance.names[i] for i in largest])
        return [in_group[group][k] for k, group in enumerate(leading)]

    def deviations(self, groups: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Each statistic in standard deviations of good examples from their mean."""
        found: dict[str, np.ndarray] = {}
        for group, distance in self.distances.items():
            found |= distance.deviations(groups[group])
        return found

    def _weighted(self, groups: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """The nats of each group and of its weight, `(groups, batch)`."""
        total = sum(_WEIGHTS.values())
        return tf.stack(
            [
                distance.nats(groups[group]) + math.log(_WEIGHTS[group] / total)
                for group, distance in self.distances.items()
            ]
        )

    def to_config(self) -> Config:
        distances = {group: distance.to_config() for group, distance in self.distances.items()}
        return {"distances": distances, "calibration": self.calibration.scores.tolist()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Rarity":
        distances = {
            group: Distance.from_config(part) for group, part in config["distances"].items()
        }
        return cls(distances, Calibration(np.array(config["calibration"], "float64")))
