"""Probabilities as integers, by one rule that encoder and decoder share."""

import tensorflow as tf

from kerasar.typing import Tensor

#: Frequencies of a table sum to 2 to this power, as `constriction` counts.
PRECISION = 24


def frequency_table(log_probs: Tensor) -> Tensor:
    """How often each value occurs among 2²⁴, at least once each; `(…, levels)`, int32.

    No value costs more than 2⁻²³ · levels bits beyond what its probability says. What rounding
    leaves over goes to the likeliest value. Zeros, where the network gives NaN.

    Args:
        log_probs: natural logarithms, up to a constant that is the same for all values.
    """
    log_probs = tf.cast(log_probs, tf.float64)
    levels = log_probs.shape[-1]
    shares = tf.exp(log_probs - tf.reduce_logsumexp(log_probs, axis=-1, keepdims=True))
    counts = tf.floor(shares * (2.0**PRECISION - levels)) + 1.0
    rest = 2.0**PRECISION - tf.reduce_sum(counts, axis=-1, keepdims=True)
    counts += rest * tf.one_hot(tf.argmax(counts, axis=-1), levels, dtype=tf.float64)
    return tf.cast(tf.where(tf.math.is_finite(counts), counts, 0.0), tf.int32)
