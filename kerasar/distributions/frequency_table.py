"""Probabilities as integers, by one rule that encoder and decoder share."""

import tensorflow as tf

from kerasar.typing import Tensor

#: Frequencies of a table sum to 2 to this power, as `constriction` counts.
PRECISION = 24


def frequency_table(log_probs: Tensor) -> Tensor:
    """How often each value occurs among 2²⁴, at least once each; `(…, levels)`, int32.

    No value costs more than 2⁻²³ · levels bits beyond what its probability says. What rounding
    leaves over goes to the last value. Below 1 at some value, where the network gives NaN.

    Args:
        log_probs: natural logarithms, up to a constant that is the same for all values.
    """
    levels = log_probs.shape[-1]
    shares = tf.nn.softmax(tf.cast(log_probs, tf.float64))[..., :-1]
    counts = tf.cast(shares * (2.0**PRECISION - levels), tf.int32) + 1
    rest = 2**PRECISION - tf.reduce_sum(counts, axis=-1, keepdims=True)
    return tf.concat([counts, rest], axis=-1)
