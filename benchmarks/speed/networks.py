"""The lecture's networks and a WaveNet from ordinary Keras layers, as a user would write them."""

from typing import Any

import keras
from keras import layers as L
from keras import ops


def toy(levels: int = 32, dilations: tuple[int, ...] = (2, 4, 8, 16)) -> keras.Model:
    """The lecture's causal network, open in its length."""
    x = keras.Input((None,), dtype="int32", name="x")
    h = ops.expand_dims(ops.cast(x, "float32"), -1)
    h = L.Rescaling(2 / (levels - 1), offset=-1.0)(h)
    h = ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    h = L.Dense(32, activation="relu")(h)
    for rate in dilations:
        h = L.Conv1D(32, 2, padding="causal", dilation_rate=rate, activation="relu")(h)
    return keras.Model(x, L.Dense(levels)(h), name="toy")


def pixel_cnn(size: int = 28, levels: int = 256) -> keras.Model:
    """The lecture's two-stack PixelCNN without positional encoding."""
    x = keras.Input((size, size, 1), dtype="int32", name="x")
    h = L.Rescaling(2 / (levels - 1), offset=-1.0)(ops.cast(x, "float32"))
    above = L.Cropping2D(((0, 1), (0, 0)))(L.ZeroPadding2D(((1, 0), (0, 0)))(h))
    left = L.Cropping2D(((0, 0), (0, 1)))(L.ZeroPadding2D(((0, 0), (1, 0)))(h))
    for filters in (32, 64):
        above = L.ZeroPadding2D(((2, 0), (2, 2)))(above)
        above = L.Conv2D(filters, (3, 5), activation="relu")(above)
        left = L.ZeroPadding2D(((0, 0), (2, 0)))(left)
        left = L.Conv2D(filters, (1, 3), activation="relu")(left)
    h = L.Dense(128, activation="relu")(L.Concatenate()([above, left]))
    logits = ops.expand_dims(L.Dense(levels)(h), 3)
    return keras.Model(x, logits, name="pixel_cnn")


def transformer(
    length: int = 256, levels: int = 65, layers: int = 4, width: int = 128, heads: int = 4
) -> keras.Model:
    """Pre-norm blocks of Keras' own attention with learned positions."""
    x = keras.Input((length,), dtype="int32", name="x")
    h = ops.pad(L.Embedding(levels, width)(x), ((0, 0), (1, 0), (0, 0)))[:, :-1]
    h = Positions()(h)
    for _ in range(layers):
        n = L.LayerNormalization()(h)
        h = h + L.MultiHeadAttention(heads, width // heads)(n, n, use_causal_mask=True)
        n = L.LayerNormalization()(h)
        h = h + L.Dense(width)(L.Dense(4 * width, activation="gelu")(n))
    return keras.Model(x, L.Dense(levels)(L.LayerNormalization()(h)), name="transformer")


def long_transformer(length: int = 1024, **sizes: int) -> keras.Model:
    """The same at a length of 1,024."""
    return transformer(length, **sizes)


class Positions(L.Layer):
    """Adds a learned table of positions."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.table = self.add_weight(shape=input_shape[1:], name="table")

    def call(self, h: Any) -> Any:
        return h + self.table


def wavenet(
    levels: int = 256, residual: int = 32, skip: int = 128, cycles: int = 3, length: int = 10
) -> keras.Model:
    """A WaveNet of `cycles` × `length` layers with dilations 1, 2, 4, …, open in its length."""
    x = keras.Input((None,), dtype="int32", name="x")
    h = L.Embedding(levels, residual)(x)
    h = ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    skips = []
    layers = [2**i for _ in range(cycles) for i in range(length)]
    for number, rate in enumerate(layers, 1):
        both = L.Conv1D(2 * residual, 2, padding="causal", dilation_rate=rate)(h)
        a, b = ops.split(both, 2, axis=-1)
        gate = ops.tanh(a) * ops.sigmoid(b)
        skips.append(L.Dense(skip)(gate))
        if number < len(layers):
            h = L.Add()([h, L.Dense(residual)(gate)])
    h = L.Dense(skip, activation="relu")(L.ReLU()(L.Add()(skips)))
    return keras.Model(x, L.Dense(levels)(h), name="wavenet")
