"""`AutoregressiveModel`: which networks it takes, and what it says of those that leak."""

import keras
import numpy as np
import pytest
from keras import ops

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.layers import CausalShift, HorizontalConv2D, ScaleLevels, SplitChannels, VerticalConv2D
from kerasar.testing import check_normalized, check_samples, randomize

LAYERS = keras.layers


def sequence_network(shift=True, padding="causal", units=3):
    x = keras.Input((6,), dtype="int32", name="x")
    h = LAYERS.Embedding(3, 6, name="embedding")(x)
    h = CausalShift(name="shift")(h) if shift else h
    h = LAYERS.Conv1D(6, 3, padding="causal", name="conv_0")(h)
    h = LAYERS.Conv1D(6, 3, padding=padding, name="conv_1")(h)
    h = LAYERS.Conv1D(6, 3, padding="causal", name="conv_2")(h)
    return keras.Model(x, LAYERS.Dense(units, name="logits")(h), name="net")


def image_network(**broken):
    """The two-stack network, one layer of which may be replaced by name."""
    layers = {
        "shift_down": CausalShift(1, name="shift_down"),
        "conv1h": VerticalConv2D(4, (2, 3), name="conv1h"),
        "conv2h": VerticalConv2D(4, (2, 3), name="conv2h"),
        "shift_right": CausalShift(2, name="shift_right"),
        "conv1v": HorizontalConv2D(4, 2, name="conv1v"),
        "conv2v": HorizontalConv2D(4, 2, name="conv2v"),
        **broken,
    }
    x = keras.Input((4, 5, 1), dtype="int32", name="x")
    scaled = ScaleLevels(3)(x)
    stacks = []
    for names in (("shift_down", "conv1h", "conv2h"), ("shift_right", "conv1v", "conv2v")):
        h = scaled
        for name in names:
            h = layers[name](h)
        stacks.append(h)
    h = LAYERS.Dense(3, name="head")(LAYERS.Concatenate(name="join")(stacks))
    return keras.Model(x, SplitChannels()(h), name="net")


def same(name, size):
    return LAYERS.Conv2D(4, size, padding="same", name=name)


LEAKS = {
    "padding": (lambda: sequence_network(padding="same"), "conv_1"),
    "vertical": (lambda: image_network(conv2h=same("leak", (3, 3))), "leak"),
    "horizontal": (lambda: image_network(conv1v=same("leak", (1, 3))), "leak"),
    "rows below": (lambda: image_network(conv1v=same("leak", (3, 1))), "leak"),
    "no shift": (lambda: sequence_network(shift=False), "present|shift|Shift"),
    "half a shift": (lambda: image_network(shift_right=LAYERS.Identity(name="none")), "join"),
    "flip": (lambda: flipped(), "flip"),
    "mean over time": (lambda: averaged(), "average"),
}


def flipped():
    x = keras.Input((6,), dtype="int32", name="x")
    h = CausalShift()(LAYERS.Embedding(3, 6)(x))
    return keras.Model(x, LAYERS.Dense(3)(ops.flip(h, axis=1)))


def averaged():
    x = keras.Input((6,), dtype="int32", name="x")
    h = CausalShift()(LAYERS.Embedding(3, 6)(x))
    h = LAYERS.Add()([h, LAYERS.GlobalAveragePooling1D(keepdims=True, name="average")(h)])
    return keras.Model(x, LAYERS.Dense(3)(h))


@pytest.mark.parametrize("name", LEAKS)
def test_a_network_that_leaks_is_refused_and_the_layer_named(name):
    make, culprit = LEAKS[name]
    with pytest.raises(ValueError, match=culprit):
        kerasar.AutoregressiveModel(make())
    with pytest.raises(ValueError, match=culprit):
        kerasar.check_causal(make())


def test_the_networks_that_leaks_were_made_of_are_accepted():
    kerasar.check_causal(sequence_network())
    kerasar.check_causal(image_network())


def test_the_proof_holds_for_weights_that_hide_a_leak():
    network = sequence_network(padding="same")
    for weight in network.weights:
        weight.assign(ops.zeros_like(weight))
    with pytest.raises(ValueError, match="conv_1"):
        kerasar.AutoregressiveModel(network)


def test_checking_leaves_the_weights_alone():
    network = sequence_network()
    before = network.get_weights()
    kerasar.AutoregressiveModel(network)
    for a, b in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sequential_network_will_do():
    network = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            LAYERS.Embedding(3, 6),
            CausalShift(),
            LAYERS.Conv1D(6, 2, padding="causal", activation="relu"),
            LAYERS.Dense(3),
        ]
    )
    model = kerasar.AutoregressiveModel(network)
    randomize(network)
    check_normalized(model)
    check_samples(model)


def test_a_network_within_a_network_will_do():
    inner = keras.Sequential([LAYERS.Conv1D(6, 2, padding="causal"), LAYERS.ReLU()], name="inner")
    x = keras.Input((4,), dtype="int32", name="x")
    h = inner(CausalShift()(LAYERS.Embedding(3, 6)(x)))
    model = kerasar.AutoregressiveModel(keras.Model(x, LAYERS.Dense(3)(h)))
    randomize(model.network)
    check_normalized(model)
    check_samples(model)


def test_a_shared_layer_will_do():
    x = keras.Input((4,), dtype="int32", name="x")
    conv = LAYERS.Conv1D(6, 2, padding="causal", activation="tanh")
    h = conv(conv(CausalShift()(LAYERS.Embedding(3, 6)(x))))
    model = kerasar.AutoregressiveModel(keras.Model(x, LAYERS.Dense(3)(h)))
    randomize(model.network)
    check_normalized(model)
    check_samples(model)


def test_series_of_several_variables_will_do():
    """Each step draws its values in turn; here they see earlier steps only."""
    x = keras.Input((2, 2), dtype="int32", name="x")
    h = CausalShift()(ScaleLevels(3)(x))
    h = LAYERS.Dense(6)(LAYERS.Conv1D(8, 2, padding="causal", activation="tanh")(h))
    model = kerasar.AutoregressiveModel(keras.Model(x, SplitChannels(2)(h)))
    randomize(model.network)
    check_normalized(model)
    check_samples(model)


def no_graph():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    return Subclassed(name="net")


def outputs(*shapes):
    x = keras.Input((4,), dtype="int32", name="x")
    h = CausalShift()(LAYERS.Embedding(3, 6)(x))
    made = [LAYERS.Reshape(shape)(LAYERS.Dense(3)(h)) for shape in shapes]
    return keras.Model(x, made if len(made) > 1 else made[0], name="net")


BAD = {
    "no model": (lambda: LAYERS.Dense(3), TypeError, "network must be a keras.Model.*Dense"),
    "no graph": (no_graph, ValueError, "'net' has no graph to read.*Subclassed.*functional"),
    "two outputs": (lambda: outputs((4, 3), (4, 3)), ValueError, "one output.*has 2"),
    "no parameters": (lambda: outputs((12,)), ValueError, r"put out \('batch', 4, 'parameters'\)"),
    "two times 2": (lambda: outputs((2, 6)), ValueError, r"\('batch', 2, 6\)"),
    "one logit": (lambda: sequence_network(units=1), ValueError, "at least 2.*Bernoulli"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_network_that_does_not_fit_is_refused(name):
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        kerasar.AutoregressiveModel(make())


def test_bernoulli_takes_one_logit():
    with pytest.raises(ValueError, match="one logit for each value.*last axis is 3"):
        kerasar.AutoregressiveModel(sequence_network(), Bernoulli())


def test_it_calls_as_its_network(sequences):
    model = sequences()
    x = np.random.default_rng(0).integers(0, 3, (5, 4))
    np.testing.assert_allclose(model(x), model.network(x), atol=1e-6)
    assert model.exact is True
