"""Likelihoods of binary vectors: independent variables, and a NADE over them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from keras import layers as L
from serving import serve

import kerasar
from kerasar.distributions import (
    Bernoulli,
    BernoulliNADE,
    Categorical,
    GaussianMixture,
    Independent,
)
from kerasar.layers import CausalShift
from kerasar.testing import check_normalized, check_samples, randomize

RNG = np.random.default_rng(0)
STEPS, KEYS, HIDDEN = 3, 3, 4
X = RNG.integers(0, 2, (12, STEPS, KEYS))
OPTIONS = dict(seed=3, temperature=1.0, top_k=0, top_p=1.0)

LIKELIHOODS = {
    "independent": lambda: Independent(KEYS, Bernoulli()),
    "nade": lambda: BernoulliNADE(KEYS, HIDDEN),
}


def made(name, length=STEPS):
    likelihood = LIKELIHOODS[name]()
    x = keras.Input((length, KEYS), dtype="int32", name="x")
    h = CausalShift()(keras.ops.cast(x, "float32"))
    h = L.Conv1D(5, 2, padding="causal", activation="tanh")(h)
    network = keras.Model(x, L.Dense(likelihood.num_parameters(2))(h))
    model = kerasar.AutoregressiveModel(network, likelihood)
    randomize(model)
    return model


@pytest.fixture(scope="module", params=some(LIKELIHOODS, ["nade"]))
def model(request):
    return made(request.param)


def test_independent_variables_add_up():
    parameters = RNG.normal(size=(4, 2, 6)).astype("float32")
    x = RNG.integers(0, 2, (4, 2, 3))
    found = Independent(3, Categorical()).log_prob(parameters, x)
    expected = 0.0
    for key in range(3):
        pair = parameters[..., 2 * key : 2 * key + 2].astype("float64")
        p = np.exp(pair) / np.exp(pair).sum(-1, keepdims=True)
        expected += np.log(np.take_along_axis(p, x[..., key, None], -1)[..., 0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def nade_by_the_paper(likelihood, parameters, x):
    """The chain rule over the variables of each event, one at a time."""
    inward, outward = (weight.numpy().astype("float64") for weight in likelihood.weights)
    nats = np.zeros(x.shape[:-1])
    for place in np.ndindex(nats.shape):
        sums = parameters[place][:HIDDEN].astype("float64")
        for key, value in enumerate(x[place]):
            logit = parameters[place][HIDDEN + key] + outward[key] @ (1 / (1 + np.exp(-sums)))
            p = 1 / (1 + np.exp(-logit))
            nats[place] += np.log(p if value else 1 - p)
            sums = sums + value * inward[key]
    return nats


def test_a_nade_is_the_chain_rule_over_the_variables():
    likelihood = LIKELIHOODS["nade"]()
    randomize(likelihood)
    parameters = RNG.normal(size=(*X.shape[:2], HIDDEN + KEYS)).astype("float32")
    found = likelihood.log_prob(parameters, X)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, nade_by_the_paper(likelihood, parameters, X), rtol=1e-5)


def test_all_chords_together_are_certain(model):
    """For one event: the probabilities of all vectors sum to one, in low precision as well."""
    likelihood = model.likelihood
    events = np.array(list(itertools.product([0, 1], repeat=KEYS)))
    row = RNG.normal(size=likelihood.num_parameters(2)) * 3
    for dtype in ("float32", "bfloat16"):
        parameters = tf.cast(np.tile(row, (len(events), 1)), dtype)
        total = np.exp(likelihood.log_prob(parameters, events)).sum()
        np.testing.assert_allclose(total, 1, atol=1e-5)


def test_it_is_a_distribution_from_which_all_samplers_draw(model):
    check_normalized(model)
    check_samples(model)


@pytest.mark.parametrize("options", [dict(temperature=0.5), dict(temperature=1.5, top_p=0.7)])
def test_options_bend_all_samplers_alike(model, options):
    check_samples(model, num_samples=16, **options)


def test_compiled_sampling_is_the_same(model):
    drawn = model.sample(20, seed=2, jit_compile=True)
    np.testing.assert_array_equal(drawn, model.sample(20, seed=2, jit_compile=False))


def test_values_given_within_an_event_stay(model):
    known = RNG.random(X.shape) < 0.5
    for method in kerasar.sampling.METHODS:
        assert (model.inpaint(X, known, method=method)[known] == X[known]).all()


def bent_by_hand(likelihood, parameters, x, temperature, share):
    """log p of a NADE event whose every logit is divided, and cut where one value has `share`."""
    inward, outward = (weight.numpy() for weight in likelihood.weights)
    sums, nats = parameters[:HIDDEN].copy(), 0.0
    for key, value in enumerate(x):
        logit = parameters[HIDDEN + key] + outward[key] @ (1 / (1 + np.exp(-sums)))
        p = 1 / (1 + np.exp(-logit / temperature))
        if max(p, 1 - p) >= share:
            p = float(p > 0.5)
        with np.errstate(divide="ignore"):
            nats += np.log(p if value else 1 - p)
        sums = sums + value * inward[key]
    return nats


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "share"),
    [(0.5, None, None, 2), (2.0, None, 0.8, 0.8), (1.0, 1, None, 0), (1.0, 2, 1.0, 2)],
)
def test_a_nade_is_bent_variable_by_variable(temperature, top_k, top_p, share):
    likelihood = LIKELIHOODS["nade"]()
    randomize(likelihood)
    parameters = RNG.normal(size=HIDDEN + KEYS).astype("float32")
    bent = likelihood.apply_temperature(parameters[None], temperature)
    bent = likelihood.apply_top_k_top_p(bent, top_k, top_p)
    for event in itertools.product([0, 1], repeat=KEYS):
        expected = bent_by_hand(likelihood, parameters, event, temperature, share)
        found = likelihood.log_prob(bent, np.array([event])).numpy()[0]
        if expected == -np.inf:
            assert found < -1e6
        else:
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_margin_is_zero_for_the_pick_alone(model):
    likelihood = model.likelihood
    parameters = tf.constant(RNG.normal(size=(40, likelihood.num_parameters(2))).astype("float32"))
    noise = likelihood.noise(tf.constant(RNG.uniform(size=(40, KEYS)).astype("float32")))
    pick = likelihood.sample(parameters, noise)
    np.testing.assert_array_equal(likelihood.shortfall(parameters, noise, pick), 0)
    for key in range(KEYS):
        other = np.array(pick)
        other[:, key] = 1 - other[:, key]
        assert (likelihood.shortfall(parameters, noise, tf.constant(other)).numpy() > 0).all()


def test_its_own_weights_are_trained_with_the_network():
    model = made("nade")
    assert model.likelihood.weights[0].path in [weight.path for weight in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = [weight.numpy() for weight in model.likelihood.weights]
    model.fit(X, batch_size=6, verbose=0)
    for weight, old in zip(model.likelihood.weights, before, strict=True):
        assert np.abs(weight.numpy() - old).max() > 1e-5


def test_a_nade_learns_which_keys_go_together():
    """Keys 1 and 2 repeat key 0: ln 2 nats a step, where independent keys need 3 ln 2."""
    keras.utils.set_random_seed(0)
    x = np.repeat(RNG.integers(0, 2, (500, STEPS, 1)), KEYS, axis=-1)
    model = made("nade")
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    model.fit(x, batch_size=100, epochs=20, verbose=0)
    assert -model.log_prob(x).mean() / STEPS < np.log(2) + 0.1


def test_what_is_not_finite_in_its_weights_is_named():
    model = made("nade")
    model.likelihood.inward.assign(np.full((KEYS, HIDDEN), np.nan))
    model.compile("sgd", jit_compile=False)
    with pytest.raises(FloatingPointError, match="Weight '.*inward' is not finite"):
        model.fit(X, verbose=0)


@pytest.mark.parametrize("name", some(LIKELIHOODS, ["nade"]))
def test_files_and_servers_give_equal_numbers(name, tmp_path):
    model = made(name)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(X), model.log_prob(X))
    np.testing.assert_array_equal(loaded.sample(5, seed=3), model.sample(5, seed=3))
    loaded.export(tmp_path / "1")
    bent = {**OPTIONS, "temperature": 0.7, "top_p": 0.9}
    requests = [("log_prob", dict(x=X)), ("sample", dict(num_samples=9, **bent))]
    scores, drawn = serve(tmp_path / "1", requests)
    np.testing.assert_allclose(scores["log_prob"], model.log_prob(X), atol=1e-5)
    expected = model.sample(9, seed=3, temperature=0.7, top_p=0.9)
    np.testing.assert_array_equal(drawn["samples"], expected)


def test_low_precision_networks_give_float32_numbers():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = made("nade")
    finally:
        keras.config.set_dtype_policy(before)
    assert {weight.dtype for weight in model.likelihood.weights} == {"float32"}
    check_normalized(model)


# Unequal lengths.


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_lengths_cut_off_whole_events(name):
    model = made(name, length=None)
    length = RNG.integers(1, STEPS + 1, len(X))
    terms = model.log_prob_map({"x": X, "length": length})
    for row, steps in enumerate(length):
        alone = model.log_prob_map(X[row : row + 1, :steps])[0]
        np.testing.assert_allclose(terms[row, :steps], alone, atol=1e-5)
        assert (terms[row, steps:] == 0).all()


def test_metrics_divide_by_the_keys_of_real_steps():
    model = made("nade", length=None)
    model.compile(jit_compile=False)
    data = {"x": X, "length": RNG.integers(1, STEPS + 1, len(X))}
    found = model.evaluate(data, verbose=0, return_dict=True)
    nats = -model.log_prob(data).astype("float64")
    np.testing.assert_allclose(found["loss"], nats.mean(), rtol=1e-5)
    keys = data["length"].sum() * KEYS
    np.testing.assert_allclose(found["bits_per_dim"], nats.sum() / keys / np.log(2), rtol=1e-5)


def test_training_does_not_see_the_padding():
    """Whatever stands behind the end, a step of training moves the weights alike."""
    length = RNG.integers(1, STEPS + 1, len(X))
    moved = []
    for padding in (X, 1 - X):
        x = np.where(np.arange(STEPS)[:, None] < length[:, None, None], X, padding)
        model = made("nade", length=None)
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        model.fit({"x": x, "length": length}, batch_size=12, verbose=0)
        moved.append(model.get_weights())
    for one, other in zip(*moved, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# Bad input.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Independent(0, Bernoulli()),
            "num_variables of Independent must be at least 1, but got 0",
        ),
        (lambda: Independent(3, BernoulliNADE(3, 2)), "single values.*BernoulliNADE.*by itself"),
        (lambda: Independent(3, Categorical()).num_levels(7), "last axis is 7.*not a multiple"),
        (lambda: Independent(3, Bernoulli()).num_levels(6), "one logit for each value.*2"),
        (lambda: Independent(3, Bernoulli()).num_parameters(4), "2 levels.*levels=4"),
        (
            lambda: BernoulliNADE(0, 4),
            "num_variables of BernoulliNADE must be at least 1, but got 0",
        ),
        (
            lambda: BernoulliNADE(4, 0),
            "hidden_units of BernoulliNADE must be at least 1, but got 0",
        ),
        (lambda: BernoulliNADE(3, 4).num_levels(5), r"4 \+ 3 parameters.*last axis is 5.*7 units"),
        (lambda: BernoulliNADE(3, 4).num_parameters(5), "2 levels.*levels=5"),
    ],
)
def test_it_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_another_number_of_variables_is_refused():
    x = keras.Input((STEPS, 5), dtype="int32", name="x")
    network = keras.Model(x, L.Dense(7)(CausalShift()(keras.ops.cast(x, "float32"))))
    with pytest.raises(ValueError, match="events of 3 variables.*last axis is 5"):
        kerasar.AutoregressiveModel(network, BernoulliNADE(3, 4))


def test_independent_real_values_are_densities():
    inner = GaussianMixture(1)
    likelihood = Independent(2, inner)
    assert not likelihood.discrete and likelihood.num_levels(likelihood.num_parameters()) is None
    parameters = RNG.normal(size=(4, likelihood.num_parameters())).astype("float32")
    x = RNG.normal(size=(4, 2)).astype("float32")
    half = inner.num_parameters()
    each = [
        inner.log_prob(parameters[:, :half], x[:, 0]),
        inner.log_prob(parameters[:, half:], x[:, 1]),
    ]
    np.testing.assert_allclose(likelihood.log_prob(parameters, x), sum(each), rtol=1e-5)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_it_survives_serialisation(name):
    likelihood = LIKELIHOODS[name]()
    written = keras.saving.serialize_keras_object(likelihood)
    again = keras.saving.deserialize_keras_object(written)
    assert type(again) is type(likelihood) and again.get_config() == likelihood.get_config()
