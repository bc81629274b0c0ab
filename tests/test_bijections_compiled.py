"""Bijections inside graphs that XLA compiles, and inside an exported program."""

import numpy as np
import pytest
import tensorflow as tf
from bijections import BIJECTIONS
from drawing import some

from kerasar.testing import randomize

#: Of each kind one: compiling takes most of the time. The others differ in Python alone.
COMPILED = [
    "affine, half",
    "affine, random",
    "affine, channelwise",
    "spline, half",
    "autoregressive",
    "piecewise linear",
    "1×1 convolution",
    "logit",
    "multi-scale, given a map",
]


def built(name):
    make, x, options = BIJECTIONS[name]
    layer, condition = make(), options.get("condition")
    layer.build((None, *x.shape[1:]), None if condition is None else condition.shape)
    randomize(layer)
    return layer, tf.constant(x), {} if condition is None else {"condition": condition}


@pytest.mark.parametrize("name", some(COMPILED, set(COMPILED) - {"multi-scale, given a condition"}))
def test_xla_compiles_both_ways_and_their_gradients(name):
    layer, x, given = built(name)

    @tf.function(jit_compile=True, autograph=False)
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z, log_det = layer(x, **given)
            again, log_det_back = layer.inverse(z, **given)
            total = tf.reduce_sum(z**2) + tf.reduce_sum(log_det)
        return z, log_det, again, log_det_back, tape.gradient(total, x)

    z, log_det, again, log_det_back, _ = both(x)
    expected_z, expected = layer(x, **given)
    np.testing.assert_allclose(z, expected_z, rtol=1e-4, atol=1e-4)  # fused sums round otherwise
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(again, x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=1e-4, atol=1e-4)


def test_samples_can_be_trained_through_the_loop_of_an_autoregressive_inverse():
    layer, z, _ = built("autoregressive")

    @tf.function(jit_compile=True, autograph=False)
    def gradients(z):
        with tf.GradientTape() as tape:
            x, log_det = layer.inverse(z)
            total = tf.reduce_sum(x**2) + tf.reduce_sum(log_det)
        return tape.gradient(total, [weight.value for weight in layer.trainable_variables])

    with tf.GradientTape() as tape:
        x, log_det = layer.inverse(z)
        total = tf.reduce_sum(x**2) + tf.reduce_sum(log_det)
    weights = [weight.value for weight in layer.trainable_variables]
    for found, expected in zip(gradients(z), tape.gradient(total, weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_both_ways_run_from_a_saved_model_at_any_batch_size(tmp_path):
    layer, x, _ = built("multi-scale")
    module = tf.Module()
    spec = tf.TensorSpec((None, *x.shape[1:]))
    module.keep = layer.variables
    module.call = tf.function(layer, input_signature=[spec], autograph=False)
    latent = tf.TensorSpec((None, layer.event_size))
    module.inverse = tf.function(layer.inverse, input_signature=[latent], autograph=False)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for batch in (x, tf.concat([x, x, x], axis=0), x[:1]):
        z, log_det = loaded.call(batch)
        again, log_det_back = loaded.inverse(z)
        np.testing.assert_allclose(z, layer(batch)[0], atol=1e-5)
        np.testing.assert_allclose(again, batch, atol=1e-4)
        np.testing.assert_allclose(log_det_back, -log_det, atol=1e-4)
