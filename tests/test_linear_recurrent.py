"""LinearRecurrence and LinearRecurrent: their equations, gradients, samplers and conditions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving import serve

import kerasar
from kerasar.distributions.likelihoods import GaussianMixture
from kerasar.layers import LinearRecurrence
from kerasar.layers.linear_scan import linear_scan
from kerasar.models import LinearRecurrent
from kerasar.testing import (
    check_causal_by_probe,
    check_normalized,
    check_samples,
    check_the_sample,
    randomize,
)

TINY = dict(filters=4, recurrent_filters=5, blocks=1, kernel_size=2, expansion=2)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


# The scan.


def loop(factors, terms):
    state, states = tf.zeros_like(terms[:, 0]), []
    for step in range(terms.shape[1]):
        state = factors[:, step] * state + terms[:, step]
        states.append(state)
    return tf.stack(states, 1)


def gradients_of(scan, factors, terms, upstream):
    with tf.GradientTape() as tape:
        tape.watch([factors, terms])
        states = scan(factors, terms)
    return states, *tape.gradient(states, [factors, terms], output_gradients=upstream)


@pytest.mark.parametrize("length", [1, 2, 5, 32, 70])
@pytest.mark.parametrize("is_open", [False, True])
def test_states_and_gradients_are_those_of_a_loop(length, is_open):
    rng = np.random.default_rng(0)
    factors = rng.uniform(size=(2, length, 3)) ** 4
    factors[0, length // 2] = 0.0
    factors[1, length // 3] = 1.0
    data = [tf.constant(v) for v in (factors, *rng.normal(size=(2, 2, length, 3)))]
    spec = tf.TensorSpec((None, None if is_open else length, 3), tf.float64)
    traced = tf.function(lambda *x: gradients_of(linear_scan, *x), input_signature=[spec] * 3)
    for found, expected in zip(traced(*data), gradients_of(loop, *data), strict=True):
        np.testing.assert_allclose(found, 0 if expected is None else expected, atol=1e-12)


def test_compiled_by_xla_it_is_the_same():
    factors, terms = np.random.default_rng(0).uniform(size=(2, 3, 70, 2))
    compiled = tf.function(lambda *x: gradients_of(linear_scan, *x), jit_compile=True)
    data = [tf.constant(v) for v in (factors, terms, terms)]
    for found, expected in zip(compiled(*data), gradients_of(loop, *data), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


# The layer.


def test_it_computes_the_equations_of_the_paper():
    layer = LinearRecurrence(dtype="float64")
    x = noise(2, 9, 3)
    layer.build(x.shape)
    randomize(layer)
    kernel, bias, decay = (np.asarray(w) for w in layer.weights)

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    h, expected = np.zeros((2, 3)), []
    for step in range(9):
        gates = sigmoid(x[:, step] @ kernel + bias)
        a = sigmoid(decay) ** (8 * gates[:, :3])
        h = a * h + np.sqrt(1 - a**2) * gates[:, 3:] * x[:, step]
        expected.append(h)
    np.testing.assert_allclose(layer(x), np.stack(expected, 1), rtol=1e-6)


def test_decays_begin_near_one():
    layer = LinearRecurrence()
    layer.build((None, None, 512))
    decays = np.asarray(tf.sigmoid(layer.decay)) ** 8
    assert 0.9 <= decays.min() < 0.91 and 0.99 < decays.max() <= 0.9991


@pytest.mark.parametrize("bias", [-200.0, -60.0, 0.0, 60.0])
def test_values_and_gradients_stay_finite_where_gates_are_shut_or_open(bias):
    layer = LinearRecurrence()
    layer.build((None, None, 4))
    layer.bias.assign(tf.fill(layer.bias.shape, bias))
    with tf.GradientTape() as tape:
        states = layer(100 * noise(2, 3000, 4))
        loss = tf.reduce_mean(tf.square(states))
    for value in (states, *tape.gradient(loss, layer.trainable_weights)):
        assert np.isfinite(value).all()


def test_states_are_kept_in_float32():
    """In half precision a sum of thousands of terms would stand still."""
    precise, mixed = LinearRecurrence(), LinearRecurrence(dtype="mixed_bfloat16")
    x = tf.ones((1, 4000, 2))
    for layer in (precise, mixed):
        layer.build(x.shape)
        layer.kernel.assign(tf.zeros(layer.kernel.shape))
        layer.decay.assign([9.0, 9.0])  # remembers some thousand steps
    assert mixed(x).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(mixed(x), tf.float32), precise(x), rtol=0.01)


def test_it_takes_sequences_of_vectors():
    with pytest.raises(ValueError, match=r"sequences of vectors.*\(2, 3\).*expand_dims"):
        LinearRecurrence()(noise(2, 3))


# The model.


def fresh(length=4, levels=3, **options):
    model = LinearRecurrent(length, levels, **(TINY | options))
    randomize(model.network)
    return model


CONDITIONS = {
    "none": ({}, None),
    "class": (dict(num_classes=3), np.array([2])),
    "vector": (dict(global_features=3), noise(1, 3)),
    "both": (
        dict(num_classes=3, local_features=2, hop=2, upsampling="learned"),
        {"global": np.array([1]), "local": noise(1, 2, 2)},
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_its_probabilities_sum_to_one(name):
    options, condition = CONDITIONS[name]
    check_normalized(fresh(**options), condition)


def test_it_is_drawn_from_its_states():
    options, condition = CONDITIONS["both"]
    check_samples(fresh(**options), num_samples=8, condition=condition, methods=["cached"])


@pytest.mark.parametrize("encoding", ["one_hot", "embedding", "scalar"])
def test_every_step_sees_all_steps_before_it(encoding):
    model = fresh(9, 5, input_encoding=encoding)
    model.network.get_layer("recurrence0").decay.assign([6.0] * 5)  # forgets slowly enough to see
    kerasar.check_causal(model.network)
    seen = kerasar.receptive_field(model.network).offsets
    assert seen == {(-lag,) for lag in range(1, 9)}
    x = np.random.default_rng(0).integers(5, size=(4, 9))
    check_causal_by_probe(model.network, x, lambda v: (v + 1) % 5, {-lag for lag in range(1, 9)})


def test_it_is_of_open_length_and_continues_a_prompt():
    model = fresh(None)
    prompt = np.array([0, 2, 1])
    drawn = model.sample(4, length=7, prompt=prompt)
    assert (drawn[:, :3] == prompt).all()
    check_the_sample(model, drawn, known=np.tile(np.arange(7) < 3, (4, 1)))


def test_it_learns_what_lies_far_back():
    """Each step repeats the first one: 19 steps later a state must still hold it."""
    x = np.random.default_rng(0).integers(4, size=(256, 1)).repeat(20, 1)
    model = LinearRecurrent(20, 4, filters=8, blocks=1)
    model.compile(keras.optimizers.Adam(0.02))
    assert not model.jit_compile, "XLA is slower here (benchmarks/NOTEBOOK.md)"
    model.fit(x, batch_size=64, epochs=12, verbose=0)
    assert -np.mean(model.log_prob(x)) < np.log(4) + 0.5


def test_real_values_of_several_variables():
    likelihood = GaussianMixture(2, num_variables=2)
    model = fresh(4, None, likelihood=likelihood)
    drawn = model.sample(3)
    assert drawn.shape == (3, 4, 2) and np.isfinite(model.log_prob(drawn)).all()


@pytest.mark.long  # tests/test_served_kinds.py has all kinds
def test_saved_and_exported_it_draws_the_same(tmp_path):
    model = fresh(num_classes=3)
    expected = model.sample(2, condition=[0, 2])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(expected, loaded.sample(2, condition=[0, 2]))
    model.export(tmp_path / "1")
    options = dict(num_samples=2, seed=0, temperature=1.0, top_k=0, top_p=1.0)
    label = np.array([0, 2], "int32")
    (drawn,) = serve(tmp_path / "1", [("sample", dict(global_=label, **options))])
    np.testing.assert_array_equal(expected, drawn["samples"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(filters=0), "filters.*at least 1"),
        (dict(recurrent_filters=0), "recurrent_filters.*at least 1"),
        (dict(blocks=0), "blocks.*at least 1"),
        (dict(hop=2), "LinearRecurrent got none.*local_features"),
        (dict(num_classes=3, global_features=2), "LinearRecurrent got both"),
        (dict(input_encoding="two_hot"), "LinearRecurrent takes input_encoding"),
    ],
)
def test_it_refuses_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        LinearRecurrent(4, 3, **(TINY | options))
