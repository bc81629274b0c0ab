"""The values of the last season, as far as they were observed."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.linear_scan import linear_scan
from kerasar.layers.lstm_scan import wide
from kerasar.layers.protocol import declares_what_it_sees
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
@declares_what_it_sees
class LastSeason(keras.layers.Layer):
    """For each step the value of one season before it, or of the last season that has one.

    The seasonal naive forecast of the next step: of x_{t - season}, x_{t - 2 season}, … the first
    that was observed. Where nothing is missing this is a `CausalShift` by the steps of a season.

    Args:
        season: int. The steps of a season.
        **kwargs: `name` and `dtype`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, 2 * variables)`: values and masks of each step (`ObservedValues`).

    Output shape:
        The same: values, and masks that are 1 where there is one.

    Raises:
        ValueError: if `season` is below 1, or (when built) for another input.
    """

    #: A step takes the values before its own (`kerasar.layers.protocol`).
    step_offset = -1

    @checks_arguments
    def __init__(self, season: int, **kwargs: object) -> None:
        super().__init__(autocast=False, **kwargs)
        self.season = check_count(season, f"season of layer '{self.name}'", most=None)

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or input_shape[-1] is None or input_shape[-1] % 2:
            raise ValueError(
                "LastSeason takes values and masks, (batch, time, 2 * variables), but layer "
                f"'{self.name}' got input shape {tuple(input_shape)}."
            )
        self.num_variables = input_shape[-1] // 2
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        x = tf.cast(inputs, wide(self.compute_dtype))
        values, seen = _values_and_masks(x)
        batch, time = tf.unstack(tf.shape(x)[:2])
        seasons = -(-time // self.season)
        missing = seasons * self.season - time
        # Steps at the same place in their seasons are one channel, in which the last value stays.
        shape = tf.stack([batch, seasons, self.season * x.shape[-1]])
        kept, found = (
            tf.reshape(tf.pad(part, [[0, 0], [0, missing], [0, 0]]), shape)
            for part in (tf.concat([1.0 - seen, 1.0 - seen], -1), tf.concat([values, seen], -1))
        )
        filled = linear_scan(kept, found)
        joined = tf.reshape(filled, tf.stack([batch, seasons * self.season, x.shape[-1]]))
        before = tf.pad(joined, [[0, 0], [self.season, 0], [0, 0]])[:, :time]
        return tf.cast(tf.ensure_shape(before, x.shape), self.compute_dtype)

    def initial(self, batch: Tensor) -> Tensor:
        """What is known of each step of the last season, `(batch, season, 2 * variables)`."""
        shape = tf.stack([batch, self.season, 2 * self.num_variables])
        return tf.zeros(shape, self.compute_dtype)

    def step(self, x: Tensor, carry: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        values, seen = _values_and_masks(tf.cast(x, carry.dtype))
        now = tf.where(tf.concat([seen, seen], -1) > 0, tf.concat([values, seen], -1), carry[:, 0])
        carry = tf.concat([carry[:, 1:], now[:, None]], axis=1)
        return carry[:, 0], carry

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "season": self.season}


def _values_and_masks(x: Tensor) -> Any:
    """Values, 0 where missing, and masks, 0 or 1."""
    values, mask = tf.split(x, 2, axis=-1)
    seen = tf.cast(mask > 0.5, x.dtype)
    return tf.where(seen > 0, values, tf.zeros_like(values)), seen
