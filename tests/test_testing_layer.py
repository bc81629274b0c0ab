"""`check_layer` can fail: each broken layer below breaks one promise, and is caught for it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kerasar.testing import check_layer, randomize

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


@keras.saving.register_keras_serializable(package="test_testing_layer")
class Scale(keras.layers.Layer):
    """A correct layer, from which the broken ones differ in one method."""

    def __init__(self, power=1, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale")

    def call(self, inputs):
        return inputs * self.scale**self.power

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "power": self.power}


#: What a layer itself raises comes through.
CAUGHT = (AssertionError, ValueError, TypeError, tf.errors.InvalidArgumentError)


def broken(name, **methods):
    return keras.saving.register_keras_serializable(package="test_testing_layer")(
        type(name, (Scale,), methods)
    )


def forgets(self):
    return keras.layers.Layer.get_config(self)


def builds_in_call(self, inputs):
    if not hasattr(self, "scale"):
        self.scale = self.add_weight(shape=(inputs.shape[-1],), name="scale")
    return inputs * self.scale


def builds_nothing(self, input_shape):
    pass


def keeps_the_batch(self, input_shape):
    Scale.build(self, input_shape)
    self.size = input_shape


def reshapes(self, inputs):
    return ops.reshape(inputs * self.scale, self.size)


def mixes_the_batch(self, inputs):
    return inputs * self.scale - ops.mean(inputs, axis=0, keepdims=True)


def draws_in_build(self, input_shape):
    Scale.build(self, input_shape)
    self.mask = np.random.default_rng().normal(size=input_shape[-1]).astype("float32")


def masks(self, inputs):
    return inputs * self.scale * ops.cast(self.mask, inputs.dtype)


def computes_in_float32(self, inputs):
    return ops.cast(inputs, "float32") * ops.cast(self.scale, "float32")


def adds_a_channel(self, input_shape):
    return (*input_shape[:-1], input_shape[-1] + 1)


def stops_the_gradient(self, inputs):
    return inputs * ops.stop_gradient(self.scale)


def diverges(self, inputs):
    return inputs / 0.0 * self.scale


def holds_too_much(self):
    return {**Scale.get_config(self), "extra": 1}


def doubles(cls, config):
    return cls(**{**config, "power": 2 * config["power"]})


def test_a_correct_layer_passes(tmp_path):
    check_layer(Scale(power=2), X, tmp_path)
    check_layer(keras.layers.Dense(3, activation="tanh"), X, tmp_path)
    check_layer(lambda: keras.layers.Conv1D(3, 2, padding="causal"), X, tmp_path)


BROKEN = {
    "forgotten config key": (dict(get_config=forgets), "lacks the argument 'power'"),
    "config that changes": (dict(from_config=classmethod(doubles)), "turns power=2 into 4"),
    "superfluous config key": (dict(get_config=holds_too_much), "extra"),
    "weights made in call": (dict(build=builds_nothing, call=builds_in_call), "state"),
    "fixed batch": (dict(build=keeps_the_batch, call=reshapes), "reshape"),
    "mixed batch": (dict(call=mixes_the_batch), "one example of the batch"),
    "random mask outside the config": (dict(build=draws_in_build, call=masks), "its config"),
    "fixed precision": (dict(call=computes_in_float32), "float64|symbolic output is"),
    "wrong symbolic shape": (dict(compute_output_shape=adds_a_channel), "symbolic output"),
    "dead weight": (dict(call=stops_the_gradient), "no gradient reaches the weight.*scale"),
    "infinity": (dict(call=diverges), "NaN or infinity"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_layer_is_caught(fault, tmp_path):
    methods, message = BROKEN[fault]
    layer = broken("Broken_" + fault.replace(" ", "_"), **methods)(power=2)
    with pytest.raises(CAUGHT, match=message):
        check_layer(layer, X, tmp_path)


def test_a_sublayer_without_the_dtype_policy_is_caught(tmp_path):
    @keras.saving.register_keras_serializable(package="test_testing_layer")
    class Wrapper(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.Dense(4)  # and not dtype=self.dtype_policy

        def build(self, input_shape):
            self.inner.build(input_shape)

        def call(self, inputs):
            return self.inner(inputs)

        def compute_output_shape(self, input_shape):
            return input_shape

    with pytest.raises(AssertionError, match="dtype='float64' an output is float32"):
        check_layer(Wrapper(), X, tmp_path)


def test_a_size_that_must_be_known_is_caught_unless_stated(tmp_path):
    layer = keras.layers.Reshape((20,))  # 5 * 4
    with pytest.raises(CAUGHT, match="[Rr]eshape"):
        check_layer(layer, X, tmp_path)
    check_layer(keras.layers.Reshape((20,)), X, tmp_path, open_axes=())


def test_integers_that_symbolically_turn_to_floats_are_caught(tmp_path):
    @keras.saving.register_keras_serializable(package="test_testing_layer")
    class Next(keras.layers.Layer):
        def build(self, input_shape):
            pass

        def call(self, inputs):
            return inputs + 1

        def compute_output_shape(self, input_shape):
            return input_shape

    with pytest.raises(AssertionError, match="symbolic output is float32, the real one int32"):
        check_layer(Next(), np.zeros((2, 3), "int32"), tmp_path)


def test_randomise_reaches_every_weight_and_repeats():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    before = model.get_weights()
    randomize(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.isfinite(new).all() and (old != new).all()
    assert (model.layers[1].moving_variance.numpy() > 0).all()
    again = keras.models.clone_model(model)
    randomize(again)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
