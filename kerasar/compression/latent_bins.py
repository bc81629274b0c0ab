"""Normal latents as integers: bins that are equally likely by the prior.

A real number cannot be coded; which of 1,024 bins it is in can. Of N(0, 1) each takes 10 bits, and
the posterior of an example has a frequency table of them. The bin's median stands for its values.

References:
    Townsend, Bird & Barber. Practical Lossless Compression with Latent Variables using Bits Back
    Coding. ICLR 2019, section 3.2. https://arxiv.org/abs/1901.04866
"""

import numpy as np
import tensorflow as tf

from kerasar.distributions.frequency_table import frequency_table
from kerasar.typing import Tensor

#: Number of bins.
BINS = 1 << 10


def latent_of_bin(bins: np.ndarray) -> np.ndarray:
    """The values that stand for bins, float32."""
    middles = tf.math.ndtri((tf.range(BINS, dtype=tf.float64) + 0.5) / BINS)
    return tf.cast(middles, tf.float32).numpy()[bins]


def bin_tables(mean: Tensor, scale: Tensor) -> Tensor:
    """Frequencies of the bins by N(mean, scale²), `(…, BINS)`, int32."""
    mean, scale = (tf.cast(part, tf.float64)[..., None] for part in (mean, scale))
    edges = tf.math.ndtri(tf.range(1, BINS, dtype=tf.float64) / BINS)
    below = 0.5 * tf.math.erfc((mean - edges) / (scale * np.sqrt(2.0)))
    below = tf.concat([tf.zeros_like(mean), below, tf.ones_like(mean)], axis=-1)
    return frequency_table(tf.math.log(below[..., 1:] - below[..., :-1]))
