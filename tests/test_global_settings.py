"""Settings of Keras and TensorFlow that another project made: right numbers, or one sentence."""

import functools
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar import models as m
from kerasar.testing import randomize

CODER = dict(latent_shape=(2,), filters=2, blocks=1, encoder_filters=2)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 3, (4, 4, 4, 1))
POINTS = RNG.normal(size=(4, 2)).astype("float32")

WITH_CONVOLUTIONS = {
    "CausalConvNet": lambda: m.CausalConvNet(6, 3, filters=2, dilations=(1,)),
    "WaveNet": lambda: m.WaveNet(6, 3, filters=2, skip_filters=2, cycles=1, cycle_length=2),
    "local": lambda: m.WaveNet(
        6, 3, filters=2, cycles=1, cycle_length=1, local_features=2, hop=2, upsampling="learned"
    ),
    "MaskedInputConvNet": lambda: m.MaskedInputConvNet(10, 3, filters=(2, 2), kernel_size=3),
    "MaskedInputLeNet": lambda: m.MaskedInputLeNet((12, 12, 1), 3, filters=(2, 2)),
    "PixelVAE": lambda: m.PixelVAE((4, 4, 1), 3, **CODER),
    "Glow": lambda: m.Glow((4, 4, 1), 3, stages=1, depth=1, filters=2),
    "MultiscaleRealNVP": lambda: m.MultiscaleRealNVP((4, 4, 1), 3, stages=1, filters=2, blocks=1),
    "PixelRNN": lambda: m.PixelRNN((4, 4, 1), 3, units=2, layers=1, head_filters=2),
    "ShiftedPixelCNN": lambda: m.ShiftedPixelCNN((4, 4, 1), 3, filters=(2,), head_filters=2),
}


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", WITH_CONVOLUTIONS)
def test_builders_say_where_their_channels_are(channels_first, name):
    model = WITH_CONVOLUTIONS[name]()
    found = {
        layer.name: layer.data_format
        for layer in model.layers + [part for whole in model.layers for part in _inside(whole)]
        if hasattr(layer, "data_format")
    }
    assert set(found.values()) <= {"channels_last"}, found


def _inside(layer):
    return [part for part in layer._flatten_layers() if part is not layer]


def scores(make, x):
    keras.utils.set_random_seed(0)
    model = make()
    randomize(model, seed=1)
    return np.asarray(model.log_prob(x), "float64"), model.sample(3, seed=1)


SMALL = {
    "images": (WITH_CONVOLUTIONS["ShiftedPixelCNN"], IMAGES),
    "flow": (lambda: m.RealNVP(2, hidden_units=4, depth=2), POINTS),
}


SETTINGS = {
    "channels_first": (
        lambda: keras.config.set_image_data_format("channels_first"),
        lambda: keras.config.set_image_data_format("channels_last"),
        1e-6,
    ),
    "epsilon": (
        lambda: keras.config.set_epsilon(1e-2),
        lambda: keras.config.set_epsilon(1e-7),
        1e-6,
    ),
    "float64": (
        lambda: keras.config.set_floatx("float64"),
        lambda: keras.config.set_floatx("float32"),
        1e-4,
    ),
    "mixed_bfloat16": (
        lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
        lambda: keras.config.set_dtype_policy("float32"),
        0.2,
    ),
    "tracebacks": (
        keras.config.disable_traceback_filtering,
        keras.config.enable_traceback_filtering,
        1e-6,
    ),
    "eager": (
        lambda: tf.config.run_functions_eagerly(True),
        lambda: tf.config.run_functions_eagerly(False),
        1e-6,
    ),
}


@functools.cache
def usual_scores(kind):
    return scores(*SMALL[kind])


CASES = list(product(SETTINGS, SMALL))
OFTEN = [(name, "images") for name in ("channels_first", "mixed_bfloat16", "eager")]
OFTEN += [(name, "flow") for name in ("float64", "epsilon", "tracebacks")]


@pytest.mark.parametrize("case", some(CASES, OFTEN), ids="-".join)
def test_a_global_setting_leaves_the_numbers_right(case):
    name, kind = case
    make, x = SMALL[kind]
    expected, drawn = usual_scores(kind)
    change, restore, tolerance = SETTINGS[name]
    change()
    try:
        found, again = scores(make, x)
        model = make()
        model.compile(jit_compile=False)
        loss = model.fit(x, epochs=1, verbose=0).history["loss"][0]
    finally:
        restore()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(loss)
    if tolerance < 1e-3:
        np.testing.assert_allclose(again, drawn, atol=1e-3)


def test_a_loaded_model_does_not_ask_the_global_format(tmp_path):
    make = WITH_CONVOLUTIONS["Glow"]
    model = make()
    randomize(model, seed=1)
    expected = model.log_prob(IMAGES)
    model.save(tmp_path / "glow.keras")
    keras.config.set_image_data_format("channels_first")
    try:
        found = kerasar.load(tmp_path / "glow.keras").log_prob(IMAGES)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_allclose(found, expected, atol=1e-5)
