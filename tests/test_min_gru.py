"""The gated linear recurrences over images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.layers import CausalShift, HorizontalMinGRU, RowLSTM, VerticalMinGRU
from kerasar.testing import randomize

RNG = np.random.default_rng(0)
GATES = RNG.normal(size=(2, 5, 4, 6)).astype("float32")
LAYERS = {"down": (VerticalMinGRU, 1), "right": (HorizontalMinGRU, 2)}


def equation(x, bias, axis):
    """The docstring's, one row or column after the other."""
    gate, content = tf.split(x, 2, axis=-1)
    kept, state, states = tf.sigmoid(gate + bias), 0.0, []
    for k, c in zip(tf.unstack(kept, axis=axis), tf.unstack(content, axis=axis), strict=True):
        state = k * state + (1 - k) * c
        states.append(state)
    return tf.stack(states, axis=axis)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.xla)])
@pytest.mark.parametrize("name", LAYERS)
def test_states_and_gradients_are_the_equations(name, compiled):
    kind, axis = LAYERS[name]
    layer = kind(3, dtype="float64")
    x = tf.constant(GATES, tf.float64)
    layer.build(x.shape)
    randomize(layer)
    bias = tf.constant(layer.get_weights()[0])
    direction = RNG.normal(size=(2, 5, 4, 3))

    def with_gradients(call, x, weights):
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            states = call(x)
            loss = tf.reduce_sum(states * direction)
        return states, tape.gradient(loss, [x, *weights])

    weights = [weight.value for weight in layer.trainable_variables]
    run = tf.function(
        lambda x: with_gradients(layer, x, weights), jit_compile=compiled, autograph=False
    )
    found = run(x)
    expected = with_gradients(lambda x: equation(x, bias, axis), x, [bias])
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), found, expected)


def test_some_units_forget_soon_and_others_late():
    layer = VerticalMinGRU(500)
    layer.build((None, 5, 4, 1000))
    kept = 1 / (1 + np.exp(-layer.get_weights()[0]))
    assert kept.min() < 0.3 and kept.max() > 0.94


def test_states_are_wide_in_half_precision():
    x = np.ones((1, 300, 1, 2), "float32")
    layer = VerticalMinGRU(1, dtype="mixed_bfloat16")
    layer.build(x.shape)
    layer.set_weights([np.array([6.0], "float32")])
    kept = 1 / (1 + np.exp(-7.0))
    expected = 1 - kept**300  # in bfloat16 the state would stop growing early
    np.testing.assert_allclose(float(layer(x)[0, -1, 0, 0]), expected, rtol=4e-3)


def test_a_row_lstm_may_run_over_finished_rows():
    # Its rows are computed at once, and equal those of the network.
    data = keras.Input((4, 3, 1), dtype="int32", name="x")
    above = keras.layers.Dense(16)(CausalShift(1)(kerasar.layers.ScaleLevels(3)(data)))
    logits = keras.layers.Dense(3)(RowLSTM(4)(above))
    model = kerasar.AutoregressiveModel(keras.Model(data, kerasar.layers.SplitChannels(1)(logits)))
    randomize(model)
    kerasar.testing.check_samples(model, num_samples=4, methods=["cached"])


def test_a_sequence_of_maps_is_no_image():
    def network(layer):
        x = keras.Input((5, 4, 8), name="x")
        return keras.Model(x, layer(CausalShift(1)(x)))

    kerasar.check_causal(network(HorizontalMinGRU(4)), 2)  # within each step
    for layer in (VerticalMinGRU(4), RowLSTM(2)):
        with pytest.raises(ValueError, match="over an image, but the data are a sequence"):
            kerasar.check_causal(network(layer), 2)


@pytest.mark.parametrize("kind", [VerticalMinGRU, HorizontalMinGRU])
def test_it_refuses(kind):
    with pytest.raises(ValueError, match="units of layer .* at least 1, but got 0"):
        kind(0)
    with pytest.raises(ValueError, match=r"width, 8\) for units=4.*'g' got .*6\).*Dense\(8\)"):
        kind(4, name="g")(GATES)
    with pytest.raises(ValueError, match="'g' got"):
        kind(3, name="g")(GATES[0])
