"""check_bijection can fail: each thing that can be wrong with a bijection is found and named."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.layers import AffineCoupling, Bijection, FactorOut, Permute
from kerasar.testing import check_bijection

X = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
class Stretch(Bijection):
    """z = x · exp(a), and hooks at which subclasses go wrong."""

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        self.a = self.add_flow_weight("a", self.event_shape)

    def call(self, x, condition=None):
        x = self.check_data(x)
        return self.stretched(x), self.log_det(x)

    def inverse(self, z, condition=None):
        z = self.check_latent(z)
        return self.shrunk(z), self.log_det_back(z)

    def stretched(self, x):
        return x * tf.exp(self.a)

    def shrunk(self, z):
        return z * tf.exp(-self.a)

    def log_det(self, x):
        return self.constant_log_det(x, tf.reduce_sum(self.a))

    def log_det_back(self, z):
        return -self.log_det(z)


class DoubledLogDet(Stretch):
    def log_det(self, x):
        return 2 * super().log_det(x)


class LogDetOfTheWrongSign(Stretch):
    def log_det(self, x):
        return -super().log_det(x)


class LogDetOfTheOtherWay(Stretch):
    def log_det_back(self, z):
        return self.log_det(z)


class LogDetForEachNumber(Stretch):
    def log_det(self, x):
        return tf.zeros_like(x) + self.a


class WrongInverse(Stretch):
    def shrunk(self, z):
        return z * tf.exp(-self.a) + 1e-3


class InverseOfOnlyThePositive(Stretch):
    def stretched(self, x):
        return tf.abs(x) * tf.exp(self.a)


class OverflowAtExtremes(Stretch):
    def stretched(self, x):
        return tf.math.log(tf.exp(x)) * tf.exp(self.a)


class NaNAtExtremeLatents(Stretch):
    def shrunk(self, z):
        return z * tf.exp(-self.a) + 0 * tf.sqrt(1e3 - z)


class NaNGradientAtExtremes(Stretch):
    def stretched(self, x):
        # The known trap: the gradient of the branch that is not taken is 0 · infinity.
        safe = tf.where(tf.abs(x) < 10, tf.math.log(tf.exp(x)), x)
        return safe * tf.exp(self.a)


class LowPrecision(Stretch):
    def stretched(self, x):
        return tf.cast(tf.cast(x, self.compute_dtype), x.dtype) * tf.exp(self.a)


class Float32Inside(Stretch):
    def stretched(self, x):
        return tf.cast(tf.cast(x, "float32") * tf.exp(tf.cast(self.a, "float32")), x.dtype)


class Float32LogDet(Stretch):
    def log_det(self, x):
        return tf.cast(super().log_det(x), "float32")


class MixedExamples(Stretch):
    def stretched(self, x):
        return x * tf.exp(self.a) + tf.reduce_mean(x, axis=0)

    def shrunk(self, z):
        return (z - tf.reduce_mean(z, axis=0) / (1 + tf.exp(self.a))) * tf.exp(-self.a)


class LostNumber(Stretch):
    def forward_shape(self, x_shape):
        return (x_shape[0], 1)

    def stretched(self, x):
        return x[:, :1]

    def shrunk(self, z):
        return tf.concat([z, z], axis=1)


class DeafToItsWeights(Stretch):
    def stretched(self, x):
        return x

    shrunk = stretched


BROKEN = {
    DoubledLogDet: "log_det of call is not that of its Jacobian",
    LogDetOfTheWrongSign: "log_det of call is not that of its Jacobian",
    LogDetOfTheOtherWay: "log determinants of the two directions are not opposite",
    LogDetForEachNumber: r"log_det is \(3, 2\), not \(3,\)",
    WrongInverse: r"inverse\(call\(x\)\) is not x",
    InverseOfOnlyThePositive: r"inverse\(call\(x\)\) is not x",
    OverflowAtExtremes: "call at values from .* gives a NaN or infinity",
    NaNAtExtremeLatents: "inverse at values from 10000 to 10000 gives a NaN or infinity",
    NaNGradientAtExtremes: "gives a gradient that is not finite",
    LowPrecision: r"mixed_bfloat16', inverse\(call\(x\)\) is not x",
    Float32Inside: r"float64', inverse\(call\(x\)\) is not x",
    Float32LogDet: "float64', log_det is float32, not float64",
    MixedExamples: "an example alone differs from the same one in a batch",
    DeafToItsWeights: "an identity map proves nothing",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda cls: cls.__name__)
def test_it_finds(broken):
    keras.saving.register_keras_serializable(package="tests")(broken)
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_bijection(broken, X)


def test_it_finds_a_map_to_fewer_numbers():
    keras.saving.register_keras_serializable(package="tests")(LostNumber)
    layer = LostNumber()
    layer.build(X.shape)
    with pytest.raises(AssertionError, match="call maps events of 2 values to 1"):
        check_bijection(layer, X[:, [0, 0]])  # on equal numbers the round trips hold


def test_a_sound_one_passes():
    check_bijection(Stretch, X)


def test_a_new_coupling_proves_nothing():
    layer = AffineCoupling(hidden_units=(4,))
    layer.build(X.shape)
    with pytest.raises(AssertionError, match="identity map proves nothing"):
        check_bijection(layer, X)


def test_one_that_is_built_keeps_its_weights():
    layer = Stretch()
    layer.build(X.shape)
    layer.a.assign([1.0, np.nan])
    with pytest.raises(AssertionError, match="holds NaN or infinity"):
        check_bijection(layer, X)


def test_a_permutation_counts_as_a_change_and_flattening_does_not():
    check_bijection(Permute(), X)
    with pytest.raises(AssertionError, match="identity map proves nothing"):
        check_bijection(FactorOut(), X)


def test_one_example_is_too_few():
    with pytest.raises(ValueError, match="at least 2 examples"):
        check_bijection(Stretch, X[:1])
