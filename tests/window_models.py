"""Window models "in theory", and what they say when they are applied window by window."""

import keras
import numpy as np
from keras import layers as L

from kerasar.testing import randomize


def model_of(build, shape, dtype="float32"):
    """A window model with random weights."""
    window = keras.Input(shape, dtype=dtype)
    model = keras.Model(window, build(window), name="in_theory")
    randomize(model)
    return model


def series(shape, steps, examples=2, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=(examples, steps, *shape[1:])).astype(dtype)


def windows_of(x, window):
    """All windows of series, filled up with zeros in front: `(batch * steps, window, …)`."""
    front = np.zeros((len(x), window - 1, *x.shape[2:]), x.dtype)
    padded = np.concatenate([front, x], axis=1)
    cut = [padded[:, step : step + window] for step in range(x.shape[1])]
    return np.stack(cut, 1).reshape(-1, window, *x.shape[2:])


def by_windows(model, x):
    """What a window model predicts at each step, `(batch, steps, units)`."""
    predicted = model(windows_of(x, model.input_shape[1]))
    return np.asarray(predicted).reshape(*x.shape[:2], -1)


def relative_error(found, expected):
    scale = np.abs(expected).max() or 1.0  # a network may well predict zeros only
    return np.abs(np.asarray(found) - expected).max() / scale


# The worked examples of the source text.


def four_weights_as_dense(window):
    return L.Dense(1)(window)


def four_weights_as_convolution(window):
    return L.Flatten()(L.Conv1D(1, 4)(window))


def strided(window, layers=4, filters=6, units=3, activation="relu"):
    """WaveNet in theory: strides of 2, each layer half as long."""
    h = window
    for _ in range(layers):
        h = L.Conv1D(filters, 2, strides=2, activation=activation)(h)
    return L.Flatten()(L.Dense(units)(h))


def pooled_after_a_stride(window):
    h = L.Conv1D(6, 2, strides=2, activation="relu")(window)
    h = L.MaxPooling1D(2)(h)
    h = L.AveragePooling1D(2, strides=1)(h)
    return L.Dense(3)(L.Flatten()(h))


def flattened_into_dense(window):
    h = L.Conv1D(6, 3, activation="relu")(window)
    h = L.Flatten()(h)
    for units in (500, 100, 10):
        h = L.Dense(units, activation="relu" if units > 10 else None)(h)
    return h


def residual_skips(window):
    h = L.Conv1D(6, 3, padding="same", activation="relu")(window)
    for _ in range(2):
        h = L.Add()([h, L.Conv1D(6, 3, padding="same", activation="relu")(h)])
    return L.Dense(3)(L.Flatten()(h))


def concatenated_skips(window):
    h = L.Conv1D(4, 3, strides=2, padding="same", activation="relu")(window)
    for _ in range(2):
        h = L.Concatenate()([h, L.Conv1D(4, 3, padding="same", activation="relu")(h)])
    return L.Dense(3)(L.Flatten()(h))


def crazy(window):
    """Strides, poolings and dilations in a wild mix."""
    h = L.Conv1D(6, 3, strides=2, activation="relu")(window)
    h = L.MaxPooling1D(2, strides=1)(h)
    h = L.Conv1D(6, 2, dilation_rate=2, activation="relu")(h)
    h = L.AveragePooling1D(2, strides=3)(h)
    h = L.Conv1D(6, 2, activation="relu")(h)
    return L.Dense(3)(L.Dense(8, activation="relu")(L.Flatten()(h)))


def same(window, layers=4, filters=4, units=2):
    """The open question of the source text: convolutions with padding="same"."""
    h = window
    for _ in range(layers):
        h = L.Conv1D(filters, 3, padding="same", activation="relu")(h)
    return L.Dense(units)(L.Flatten()(h))


#: builder and shape of the window
EXAMPLES = {
    "four weights as Dense": (four_weights_as_dense, (4,)),
    "four weights as Conv1D": (four_weights_as_convolution, (4, 1)),
    "strides": (strided, (16, 1)),
    "pooling after a stride": (pooled_after_a_stride, (16, 2)),
    "Flatten and Dense": (flattened_into_dense, (12, 1)),
    "residual skips": (residual_skips, (12, 2)),
    "concatenated skips": (concatenated_skips, (16, 1)),
    "crazy": (crazy, (32, 1)),
    "same": (same, (24, 1)),
}
