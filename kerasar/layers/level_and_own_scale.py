"""Level and scale of series that have nothing in common but their dynamics.

Where one network serves many series, a scale that all of them begin with would be wrong for most:
sales of a village shop and of a chain. So the scale of each is found in its own past alone.
"""

from typing import Any

import keras
import tensorflow as tf

from kerasar.checks import check_choice
from kerasar.layers.level_and_scale import LEAST, PRIOR, LevelAndScale
from kerasar.layers.linear_scan import linear_scan
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LevelAndOwnScale(LevelAndScale):
    """As `LevelAndScale`, with a scale that a series has from itself alone.

    With d_s the distances of earlier steps from their levels,

        usual_t² = mean of all d_s²
        scale_t² = mean of d_s², which fades as in `LevelAndScale`, and as if five steps with a
                   distance of usual_t had come before; and (0.05 · usual_t)²

    For "seasonal" only steps count that have a value in a season before them; as long as there is
    none, distances from the last value do. A series that has not moved yet has the scale `spread`.
    Running means begin with the first value.

    Args:
        normalization, memory, **kwargs: as for `LevelAndScale`, but not "none".
        spread: the scale of series that have none yet.

    Input shape:
        As for `LevelAndScale`.

    Output shape:
        `(batch, time, 5 * variables)`: levels, logs of the scales, running means, last values, logs
        of the usual scales.

    Raises:
        ValueError: as for `LevelAndScale`, and for "none".
    """

    def __init__(
        self, normalization: str, memory: int = 50, spread: Any = 1.0, **kwargs: object
    ) -> None:
        check_choice(normalization, "normalization", ("window", "difference", "seasonal"))
        super().__init__(normalization, memory, spread, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        parts = self._split(inputs)
        x, seen = parts[0], parts[1]
        fade, count, last, total, weight = self._followed(x, seen)
        mean = tf.math.divide_no_nan(total, weight)
        level = self._level(parts, mean, last)
        counted = seen * tf.cast(count > seen, seen.dtype)
        terms = self._terms(x, counted, _before(level), _before(self._is_own(parts)))
        faded = linear_scan(tf.concat([fade, fade], -1), tf.concat(terms[:2], -1))
        sums = tf.cumsum(tf.concat(terms, -1), axis=1)
        return self._all(level, mean, last, tf.split(faded, 2, -1), tf.split(sums, 4, -1))

    # Step by step (`kerasar.layers.protocol.Recurrence`).

    def initial(self, batch: Tensor) -> Any:
        none = tf.zeros(tf.stack([batch, self.num_variables]), wide(self.compute_dtype))
        return tuple(none for _ in range(12))

    def step(self, inputs: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        last, total, weight, level, own, begun, *sums = carry
        faded, sums = sums[:2], sums[2:]
        parts = self._split(inputs)
        x, seen = parts[0], parts[1]
        terms = self._terms(x, seen * begun, level, own)
        fade = 1.0 - seen / self.memory
        faded = [fade * one + term for one, term in zip(faded, terms[:2], strict=True)]
        sums = [one + term for one, term in zip(sums, terms, strict=True)]
        begun = tf.maximum(begun, seen)
        last = (1.0 - seen) * last + seen * x
        total, weight = fade * total + seen * x, fade * weight + seen
        mean = tf.math.divide_no_nan(total, weight)
        level, own = self._level(parts, mean, last), self._is_own(parts)
        made = self._all(level, mean, last, faded, sums)
        return made, (last, total, weight, level, own, begun, *faded, *sums)

    def _is_own(self, parts: list[Tensor]) -> Tensor:
        """1 where the level is what it is meant to be, not what stands for it."""
        return parts[3] if self.normalization == "seasonal" else tf.ones_like(parts[0])

    def _terms(self, x: Tensor, counted: Tensor, level: Tensor, own: Tensor) -> list[Tensor]:
        """Squares and counts of one distance: of a level that is meant to be, and of another."""
        square = tf.square(x - level)
        return [part for is_own in (own, 1.0 - own) for part in (counted * is_own * square,
                                                                 counted * is_own)]  # fmt: skip

    def _all(
        self, level: Tensor, mean: Tensor, last: Tensor, faded: list[Tensor], sums: list[Tensor]
    ) -> Tensor:
        usual = self._spread(level) + tf.zeros_like(level)
        for squares, count in ((sums[2], sums[3]), (sums[0], sums[1])):
            usual = tf.where(squares > 0.0, tf.math.divide_no_nan(squares, count), usual)
        square = (faded[0] + PRIOR * usual) / (faded[1] + PRIOR) + LEAST**2 * usual
        logs = 0.5 * tf.math.log(square), mean, last, 0.5 * tf.math.log(usual)
        return tf.cast(tf.concat([level, *logs], -1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else 5 * channels // self._parts)


def _before(x: Tensor) -> Tensor:
    """Each step's value at the step before it, 0 at the first."""
    return tf.concat([tf.zeros_like(x[:, :1]), x[:, :-1]], 1)
