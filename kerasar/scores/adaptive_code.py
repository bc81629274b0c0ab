"""The length of a lossless code that knows no data but the example: how complex it is.

PNG, WebP and zlib spend most of a small example on headers and tables, and no graph can call them.
This code has neither: each value is predicted from a neighbor, and what remains is coded with the
frequencies of what remained before it. Its length has a closed form.
"""

import math

import tensorflow as tf

from kerasar.typing import Tensor


def adaptive_code_nats(x: Tensor, levels: int, rank: int, real: Tensor | None = None) -> Tensor:
    """The length of the shortest of a few adaptive codes, and of the choice among them.

    A code predicts each value and subtracts the prediction, modulo the levels. What remains is
    coded by frequencies that start at 1 / levels for each level and count what came before: the
    probability of all of it is a Dirichlet-multinomial one, whatever the order. Predictions are
    nothing, and the value before; in images the one to the left, above, and the median of both and
    their difference to the one between them (as JPEG-LS predicts).

    Args:
        x: integers in `[0, levels)`, `(batch, *positions, *event)`.
        levels: number of values.
        rank: how many of the axes are positions: 1 or 2.
        real: Boolean, `(batch, *positions)`: False for padding, which costs nothing.

    Returns:
        float64, `(batch,)`: nats.

    References:
        Krichevsky & Trofimov. The Performance of Universal Encoding. IEEE Transactions on
        Information Theory 27, 1981, for frequencies of 1/2.
        Weinberger, Seroussi & Sapiro. The LOCO-I Lossless Image Compression Algorithm. IEEE
        Transactions on Image Processing 9, 2000, for the prediction.
    """
    x = tf.cast(x, tf.int32)
    weights = tf.ones_like(x, tf.float64)
    if real is not None:
        for _ in range(x.shape.rank - real.shape.rank):
            real = real[..., None]
        weights *= tf.cast(real, tf.float64)
    rows = tf.shape(x)[0]
    flat_weights = tf.reshape(weights, (rows, -1))
    prior = 1.0 / levels

    def code(prediction: Tensor) -> Tensor:
        rest = tf.reshape(tf.math.floormod(x - prediction, levels), (rows, -1))
        counts = tf.math.bincount(
            rest, flat_weights, minlength=levels, maxlength=levels, axis=-1, dtype=tf.float64
        )
        total = tf.reduce_sum(flat_weights, axis=-1)
        terms = tf.math.lgamma(counts + prior) - math.lgamma(prior)
        return tf.math.lgamma(total + 1.0) - tf.reduce_sum(terms, axis=-1)

    lengths = [code(prediction) for prediction in _predictions(x, rank)]
    return tf.reduce_min(tf.stack(lengths), axis=0) + math.log(len(lengths))


def _predictions(x: Tensor, rank: int) -> list[Tensor]:
    found = [tf.zeros_like(x), _before(x, rank)]
    if rank == 2:
        left, above = found[1], _before(x, 1)
        plane = left + above - _before(above, 2)
        low, high = tf.minimum(left, above), tf.maximum(left, above)
        found += [above, tf.clip_by_value(plane, low, high)]
    return found


def _before(x: Tensor, axis: int) -> Tensor:
    """The values one place before along an axis; zeros at the beginning."""
    paddings = [[1, 0] if i == axis else [0, 0] for i in range(x.shape.rank)]
    begin = [0] * x.shape.rank
    return tf.slice(tf.pad(x, paddings), begin, tf.shape(x))
