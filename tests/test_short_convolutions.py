"""Training runs a network's convolutions as products: the same numbers, the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from networks import SEQUENCES, dilated, gated_with_skips, open_length, shared_layer

import kerasar
from kerasar.causality.analysis import analyze
from kerasar.causality.randomize import randomize
from kerasar.layers import CausalShift
from kerasar.training.short_convolutions import ShortConvForward


@pytest.mark.parametrize("build", SEQUENCES, ids=lambda b: b.__name__)
def test_it_computes_what_the_network_does(build):
    network = build()
    randomize(network)
    x = tf.constant(np.random.default_rng(0).integers(2, size=(3, 12)), tf.int32)
    form = ShortConvForward(analyze(network))
    with tf.GradientTape(persistent=True) as tape:
        expected, found = network(x), form([x], training=False)
        losses = [tf.reduce_sum(tf.sin(y)) for y in (expected, found)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    weights = [weight.value for weight in network.trainable_variables]
    for one, other in zip(*(tape.gradient(loss, weights) for loss in losses), strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(other), tf.convert_to_tensor(one), atol=1e-4
        )


@pytest.mark.parametrize("build", [dilated, gated_with_skips, shared_layer, open_length])
def test_short_causal_convolutions_are_what_it_is_for(build):
    assert ShortConvForward(analyze(build())).products


def test_layers_still_learn_that_they_are_trained():
    x = keras.Input((12,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(4, 6)(x))
    h = L.BatchNormalization()(L.Conv1D(6, 2, padding="causal")(h))
    network = keras.Model(x, L.Dense(4)(h))
    model = kerasar.AutoregressiveModel(network, allow_training_leak=True)
    model.compile(jit_compile=True)
    before = network.layers[-2].moving_variance.numpy()
    model.fit(np.random.default_rng(0).integers(4, size=(64, 12)), verbose=0)
    assert (network.layers[-2].moving_variance.numpy() != before).any()
