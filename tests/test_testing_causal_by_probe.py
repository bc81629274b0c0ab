"""`check_causal_by_probe` can fail: leaks and blind spots, near and far, in time and in images."""

import keras
import numpy as np
import pytest
from keras import ops

import kerasar
from kerasar.testing import check_causal_by_probe, randomize

X = np.random.default_rng(0).normal(size=(4, 7, 2)).astype("float32")
IMAGES = np.random.default_rng(0).normal(size=(4, 4, 3, 2)).astype("float32")


def moved(values):
    return values + 1.0


def convolution(padding="causal", shift=1):
    inputs = keras.Input((None, 2))
    h = kerasar.layers.CausalShift(steps=shift)(inputs)
    h = keras.layers.Conv1D(4, 3, padding=padding, name="conv")(h)
    network = keras.Model(inputs, h)
    randomize(network)
    return network


def test_offsets_or_a_function_state_what_is_seen():
    check_causal_by_probe(convolution(), X, moved, {-1, -2, -3})
    check_causal_by_probe(convolution(), X, moved, {(-1,), (-2,), (-3,)})
    check_causal_by_probe(convolution(), X, moved, lambda i, j: 1 <= i - j <= 3)


def test_a_leak_is_caught():
    with pytest.raises(AssertionError, match=r"output \(0,\) must not respond to input \(0,\)"):
        check_causal_by_probe(convolution("same"), X, moved, {-1, -2})


def test_a_leak_of_one_integer_position_is_caught():
    def leaks(x):  # no gradient tells of this one
        return ops.cast(x == ops.roll(x, -5, axis=1), "float32")

    x = np.tile(np.arange(7), (2, 1)) * 2
    with pytest.raises(AssertionError, match="a leak"):
        check_causal_by_probe(leaks, x, lambda v: (v + 4) % 14, {0})


def test_a_blind_spot_is_caught():
    with pytest.raises(AssertionError, match=r"must respond to input \(0,\) but does not"):
        check_causal_by_probe(convolution(), X, moved, {-1, -2, -3, -4})


def test_a_deaf_model_is_caught():
    with pytest.raises(AssertionError, match="blind spot"):
        check_causal_by_probe(lambda x: ops.zeros_like(x), X, moved, {-1})


def test_it_looks_at_every_position():
    def leaks_once(x):
        shifted = ops.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        return shifted + x[:, 6:] * ops.cast(ops.arange(7) == 4, "float32")[None, :, None]

    with pytest.raises(AssertionError, match=r"output \(4,\) must not respond to input \(6,\)"):
        check_causal_by_probe(leaks_once, X, moved, {-1})


def earlier(x):
    return ops.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


@pytest.mark.parametrize(
    ("leak", "what"),
    [
        (lambda x: ops.cast(ops.max(x, 1, keepdims=True) > 4.0, "float32"), "a leak"),
        (lambda x: ops.cast(ops.min(x, 1, keepdims=True) > 0.0, "float32"), "together"),
        (lambda x: ops.mean(x, 0, keepdims=True), "mixes the examples of a batch"),
        (lambda x: keras.random.normal(ops.shape(x)), "when it is called again"),
    ],
)
def test_leaks_of_some_values_of_batches_and_of_noise_are_caught(leak, what):
    with pytest.raises(AssertionError, match=what):
        check_causal_by_probe(lambda x: earlier(x) + leak(x), X, moved_far, {-1})


def moved_far(values):
    return values + 1.5


def test_what_a_layer_sees_in_training_only_is_caught():
    class InTraining(keras.layers.Layer):
        def call(self, x, training=False):
            return earlier(x) + (ops.mean(x, 1, keepdims=True) if training else 0.0)

    with pytest.raises(AssertionError, match="sees more in training"):
        check_causal_by_probe(InTraining(), X, moved, {-1})
    check_causal_by_probe(keras.layers.Dropout(0.5), X, moved, {0})


def test_images_have_rows_and_columns():
    layer = kerasar.layers.VerticalConv2D(4, (2, 3))
    layer.build(IMAGES.shape)
    randomize(layer)
    offsets = {(dy, dx) for dy in (-1, 0) for dx in (-1, 0, 1)}
    check_causal_by_probe(layer, IMAGES, moved, offsets)
    with pytest.raises(AssertionError, match=r"output \(0, 0\) must not respond to input \(0, 1\)"):
        check_causal_by_probe(layer, IMAGES, moved, offsets - {(0, 1)})


def test_channels_can_be_positions():
    check_causal_by_probe(
        lambda x: ops.roll(x, 1, axis=-1), IMAGES, moved, {(0, 0, -1), (0, 0, 1)}, position_axes=3
    )


def test_nan_hides_nothing():
    with pytest.raises(AssertionError, match="NaN or infinity"):
        check_causal_by_probe(lambda x: x * float("nan"), X, moved, {-1})


def test_a_change_that_changes_nothing_is_caught():
    with pytest.raises(AssertionError, match="leaves values as they are"):
        check_causal_by_probe(convolution(), X, lambda v: v, {-1, -2, -3})


def test_an_output_of_another_size_is_caught():
    with pytest.raises(AssertionError, match="not one output for each position"):
        check_causal_by_probe(lambda x: x[:, 1:], X, moved, {-1})
