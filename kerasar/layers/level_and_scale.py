"""The level and the scale of a series as they are known before each step.

A step is easier to predict relative to what came before it: its distance from a level (the last
value, that of the last season, or a running mean) in units of how large such distances lately were.
All of this is a recurrence over what was observed, so it is causal, runs in parallel over time in
training, and one step at a time in sampling.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasar.checks import check_choice, check_count
from kerasar.layers.linear_scan import linear_scan
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.layers.units import check_units
from kerasar.typing import Config, Shape, Tensor

#: What a step can be relative to.
NORMALIZATIONS = ("none", "window", "difference", "seasonal")
#: As how many steps what is known in advance counts.
PRIOR = 5.0
#: The least scale, as a part of `spread`: a series that stands still has none.
LEAST = 0.05


def level_lag(normalization: str, season: int | None) -> int | None:
    """How many steps before is the value that a step is relative to; None: it is no value."""
    return {"difference": 1, "seasonal": season}.get(normalization)


class Frame(NamedTuple):
    """What is known of a step before it, each `(…, variables)`, in the order of the channels."""

    level: Tensor
    """What the step is relative to."""
    log_scale: Tensor
    """The log of the root mean square of the distances from it, lately."""
    mean: Tensor
    """The running mean."""
    last: Tensor
    """The last value that was observed."""

    @classmethod
    def split(cls, channels: Tensor) -> "Frame":
        """The parts of what `LevelAndScale` puts out."""
        return cls(*tf.split(channels, 4, axis=-1))


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LevelAndScale(keras.layers.Layer):
    """Level and scale of each step, from the values before it.

    Means here are those over the observed steps before t, with weights that fall by the factor
    1 - 1/memory at each of them:

        mean_t   = mean of x_s
        level_t  = 0, mean_t, the last x_s, or that of the last season   by the normalization
        scale_t² = mean of (x_s - level_s)², and (0.05 · spread)²

    as if five steps with x = 0 and a distance of `spread` had come before all others. As long as no
    season has a value, the last value stands for it. A step that is missing changes nothing. The
    first step changes no scale where the last value is the level, for there is none before it. For
    "none" the scale is `spread` throughout.

    Args:
        normalization: "none", "window" (the running mean), "difference" (the last value) or
            "seasonal".
        memory: how many of the last observed steps count, about.
        spread: the root mean square of x - level in the data, a scalar, or one for each variable.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, 2 * variables)`: values and masks of the step *before* (`ObservedValues`,
        then a `CausalShift`); for "seasonal" `(batch, time, 4 * variables)`, behind them those of
        the last season (`LastSeason`).

    Output shape:
        `(batch, time, 4 * variables)`: levels, logs of the scales, running means, last values.

    Raises:
        ValueError: for an unknown normalization, a memory below 2, or (when built) another input.
    """

    def __init__(
        self,
        normalization: str,
        memory: int = 50,
        spread: float | Sequence[float] = 1.0,
        **kwargs: object,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.normalization = check_choice(normalization, "normalization", NORMALIZATIONS)
        self.memory = check_count(memory, "memory", least=2, most=None)
        self.spread = check_units(spread, "scale", type(self).__name__)
        self._parts = 4 if normalization == "seasonal" else 2

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or input_shape[-1] is None or input_shape[-1] % self._parts:
            raise ValueError(
                f"LevelAndScale('{self.normalization}') takes {self._parts} channels of each "
                f"variable, (batch, time, {self._parts} * variables), but layer '{self.name}' got "
                f"input shape {tuple(input_shape)}."
            )
        self.num_variables = input_shape[-1] // self._parts
        super().build(input_shape)

    def _followed(self, x: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        """How much is kept of the past, the count so far, last value, faded sum and its weight."""
        fade, count = 1.0 - seen / self.memory, tf.cumsum(seen, axis=1)
        # Side by side: one scan of more channels costs little more than one.
        states = linear_scan(
            tf.concat([1.0 - seen, fade, fade], -1), tf.concat([seen * x, seen * x, seen], -1)
        )
        return fade, count, *tf.split(states, 3, axis=-1)

    def call(self, inputs: Tensor) -> Tensor:
        parts = self._split(inputs)
        x, seen = parts[0], parts[1]
        fade, count, last, total, weight = self._followed(x, seen)
        prior = PRIOR * tf.exp(count * math.log1p(-1.0 / self.memory))
        weight += prior
        mean = total / weight
        level = self._level(parts, mean, last)
        before = tf.concat([tf.zeros_like(level[:, :1]), level[:, :-1]], 1)
        counted = seen * self._is_judged(count > seen)
        squares = linear_scan(fade, counted * tf.square(x - before)) + prior * self._spread(prior)
        return self._joined(level, squares / weight, mean, last)

    # Step by step (`kerasar.layers.protocol.Recurrence`).

    def initial(self, batch: Tensor) -> Any:
        none = tf.zeros(tf.stack([batch, self.num_variables]), wide(self.compute_dtype))
        weight = none + PRIOR
        return none, none, weight, weight * self._spread(weight), none, none

    def step(self, inputs: Tensor, carry: Any, position: Tensor) -> tuple[Tensor, Any]:
        last, total, weight, squares, level, begun = carry
        parts = self._split(inputs)
        x, seen = parts[0], parts[1]
        fade = 1.0 - seen / self.memory
        counted = seen * self._is_judged(begun > 0)
        squares = fade * squares + counted * tf.square(x - level)
        begun = tf.maximum(begun, seen)
        last = (1.0 - seen) * last + seen * x
        total, weight = fade * total + seen * x, fade * weight + seen
        mean = total / weight
        level = self._level(parts, mean, last)
        made = self._joined(level, squares / weight, mean, last)
        return made, (last, total, weight, squares, level, begun)

    def _is_judged(self, begun: Tensor) -> Tensor:
        """1 for the steps whose distances from the level count, given which come after the first.

        Before the first there is no last value.
        """
        if self.normalization in ("none", "window"):
            begun = tf.ones_like(begun)
        return tf.cast(begun, wide(self.compute_dtype))

    def _split(self, inputs: Tensor) -> list[Tensor]:
        """Values and masks, those of the last season behind; every mask is 0 or 1."""
        parts = tf.split(tf.cast(inputs, wide(self.compute_dtype)), self._parts, axis=-1)
        found: list[Tensor] = []
        for values, mask in zip(parts[::2], parts[1::2], strict=True):
            found += [values, tf.cast(mask > 0.5, values.dtype)]
        return found

    def _level(self, parts: list[Tensor], mean: Tensor, last: Tensor) -> Tensor:
        if self.normalization == "seasonal":
            return tf.where(parts[3] > 0.5, parts[2], last)
        levels = {"none": tf.zeros_like(mean), "window": mean, "difference": last}
        return levels[self.normalization]

    def _joined(self, level: Tensor, mean_square: Tensor, *others: Tensor) -> Tensor:
        if self.normalization == "none":
            mean_square = tf.zeros_like(mean_square) + (1 - LEAST**2) * self._spread(mean_square)
        log_scale = 0.5 * tf.math.log(mean_square + LEAST**2 * self._spread(mean_square))
        return tf.cast(tf.concat([level, log_scale, *others], -1), self.compute_dtype)

    def _spread(self, like: Tensor) -> Tensor:
        """The mean square in advance."""
        return tf.square(tf.cast(self.spread, like.dtype))

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else 4 * channels // self._parts)

    def get_config(self) -> Config:
        own = {"normalization": self.normalization, "memory": self.memory, "spread": self.spread}
        return {**super().get_config(), **own}
