"""What a prompt gives: all up to the last step that is observed."""

import tensorflow as tf

from kerasar.typing import Tensor


def split_prompt(prompt: Tensor) -> tuple[Tensor, Tensor]:
    """The values of a prompt that are given, and which these are.

    Missing steps at its end are drawn, as those behind it are. A model that saw them as missing
    would go on as if the first step behind them came right behind the last observed one.

    Args:
        prompt: `(batch, steps, …)`; NaN is missing.

    Returns:
        The prompt with zeros for what is to be drawn, and a Boolean mask of its shape.
    """
    if not prompt.dtype.is_floating:
        return prompt, tf.ones_like(prompt, tf.bool)
    observed = ~tf.math.is_nan(prompt)
    for _ in range(prompt.shape.rank - 2):
        observed = tf.reduce_any(observed, -1)
    given = tf.cumsum(tf.cast(observed, tf.int32), axis=1, reverse=True) > 0
    for _ in range(prompt.shape.rank - 2):
        given = given[..., None]
    given = given & tf.ones_like(prompt, tf.bool)
    return tf.where(given, prompt, tf.zeros_like(prompt)), given
