"""`to_window_model`: from a causal network to the model of one window, with the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops
from window_models import EXAMPLES, model_of, relative_error, series, windows_of

import kerasar
from kerasar.layers import CausalShift
from kerasar.testing import randomize


def network_of(body, features=1):
    x = keras.Input((None, features))
    network = keras.Model(x, body(x), name="in_practice")
    randomize(network)
    return network


def dilated(h):
    for rate in (1, 2, 4, 8):
        h = L.Conv1D(4, 2, padding="causal", dilation_rate=rate, activation="relu")(h)
    return L.Dense(3)(h)


def gated_with_skips(h):
    skips = []
    h = L.Dense(4)(CausalShift()(h))
    for rate in (1, 2, 4):
        a = L.Conv1D(4, 2, padding="causal", dilation_rate=rate)(h)
        b = L.Conv1D(4, 2, padding="causal", dilation_rate=rate)(h)
        gate = ops.tanh(a) * ops.sigmoid(b)
        skips.append(L.Dense(3)(gate))
        h = L.Add()([h, gate])
    return L.Dense(2)(L.ReLU()(L.Add()(skips)))


def of_every_sort(h):
    h = L.ZeroPadding1D((2, 0))(h)
    h = L.MaxPooling1D(3, strides=1)(L.Conv1D(4, 3, padding="causal", groups=2)(h))
    h = L.AveragePooling1D(2, strides=1)(L.ZeroPadding1D((1, 0))(h))
    h = L.SeparableConv1D(4, 2, dilation_rate=2)(h[:, 1:])
    h = L.DepthwiseConv1D(2)(L.ZeroPadding1D((4, 0))(h))
    return L.LayerNormalization()(h)


NETWORKS = {
    "dilated": (dilated, 1, 16, True),
    "gated": (gated_with_skips, 1, 8, False),
    "every sort": (of_every_sort, 2, 9, True),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_full_window_is_predicted_like_by_the_network(name, tmp_path):
    body, features, window, sees_present = NETWORKS[name]
    network = network_of(body, features)
    model = kerasar.to_window_model(network)
    assert model.input_shape == (None, window, features)
    x = series((window, features), 30)
    full = windows_of(x, window).reshape(2, 30, window, features)[:, window - 1 :]
    predicted = np.asarray(model(full.reshape(-1, window, features))).reshape(2, 31 - window, -1)
    outputs = np.asarray(network(x))
    if sees_present:
        assert relative_error(predicted, outputs[:, window - 1 :]) < 1e-5
    else:  # the prediction is of the step after the window
        assert relative_error(predicted[:, :-1], outputs[:, window:]) < 1e-5
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    assert loaded.count_params() == network.count_params()
    flat = full.reshape(-1, window, features)
    np.testing.assert_allclose(loaded(flat), model(flat), atol=1e-6)


def test_dilations_become_strides():
    model = kerasar.to_window_model(network_of(dilated))
    lengths = [layer.output.shape[1] for layer in model.layers if layer.name.startswith("conv")]
    assert lengths == [8, 4, 2, 1]


def test_training_one_trains_the_other():
    network = network_of(dilated)
    model = kerasar.to_window_model(network)
    randomize(network, seed=3)
    x = series((16, 1), 16)
    assert relative_error(model(x), np.asarray(network(x))[:, -1]) < 1e-5


@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("name", ["strides", "residual skips", "same", "Flatten and Dense"])
def test_there_and_back(name, hide):
    build, shape = EXAMPLES[name]
    theory = model_of(build, shape)
    back = kerasar.to_window_model(kerasar.convolutionalize(theory, strictly_causal=hide))
    assert back.input_shape == theory.input_shape
    assert back.count_params() == theory.count_params()
    x = windows_of(series(shape, 5), shape[0])
    expected = np.asarray(theory(x))
    assert relative_error(np.asarray(back(x)).reshape(expected.shape), expected) < 1e-5


REFUSED = {
    "recurrent": (lambda h: L.GRU(2, return_sequences=True, name="bad")(h), "'bad'.*keeps a state"),
    "ahead": (lambda h: L.Conv1D(2, 3, padding="same")(h), "causal network.*1 steps ahead"),
    "mixing": (lambda h: L.Conv1D(2, 2, strides=2, name="bad")(h), "'bad'.*strides"),
    "unknown": (lambda h: L.Lambda(tf.math.sinh, name="bad")(h), "'bad'.*does not declare"),
    "same average": (
        lambda h: CausalShift(steps=2)(L.AveragePooling1D(2, 1, "same", name="bad")(h)),
        "'bad'.*no rule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name):
    body, message = REFUSED[name]
    x = keras.Input((12, 1))
    with pytest.raises(ValueError, match=message):
        kerasar.to_window_model(keras.Model(x, body(x)))


def test_conditions_are_refused():
    x, c = keras.Input((None, 1)), keras.Input((None, 1))
    with pytest.raises(ValueError, match="one input, a sequence"):
        kerasar.to_window_model(keras.Model([x, c], L.Add()([x, c])))


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"keras\.Model, but got \[\]"):
        kerasar.to_window_model([])
