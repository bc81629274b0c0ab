"""Models of real values and of mixtures: samplers agree, saving and serving keep every number."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from keras import layers as L
from serving import serve

import kerasar
from kerasar.distributions import DiscretizedLogisticMixture, GaussianMixture
from kerasar.layers import CausalShift, ScaleLevels, Standardize
from kerasar.sampling import METHODS
from kerasar.testing import check_normalized, check_samples, check_the_sample, randomize

LENGTH = 10
FAR = dict(mean=(5.0, -300.0), scale=(0.1, 40.0))
KINDS = {
    "a Gaussian": GaussianMixture(),
    "a mixture in its own units": GaussianMixture(3, mean=50.0, scale=4.0),
    "two variables": GaussianMixture(2, 2, **FAR),
    "levels": DiscretizedLogisticMixture(6, 3),
    "pixels": DiscretizedLogisticMixture(3, 2, num_variables=2),
}


def network_for(likelihood, length=LENGTH):
    shape = (length,) if likelihood.num_variables is None else (length, likelihood.num_variables)
    x = keras.Input(shape, dtype="int32" if likelihood.discrete else "float32", name="x")
    if likelihood.discrete:
        h = ScaleLevels(likelihood.levels)(x)
    else:
        h = Standardize(likelihood.mean, likelihood.scale)(x)
    if likelihood.num_variables is None:
        h = keras.ops.expand_dims(h, -1)
    h = L.Conv1D(6, 3, padding="causal", activation="tanh")(CausalShift()(h))
    network = keras.Model(x, L.Dense(likelihood.num_parameters())(h), name="net")
    randomize(network)
    return network


@functools.cache
def model_of(kind, length=LENGTH):
    likelihood = KINDS[kind]
    return kerasar.AutoregressiveModel(network_for(likelihood, length), likelihood)


def same(model, a, b, tolerance=1e-3):
    shape = (len(a), -1, *a.shape[a.ndim - model.likelihood.event_rank :])
    a, b = tf.constant(a.reshape(shape)), tf.constant(b.reshape(shape))
    return not np.asarray(model.likelihood.differs(a, b, tolerance)).any()


every_kind = pytest.mark.parametrize("kind", KINDS)
#: Of real values and of levels the kind with most parts; both have vectors for events.
one_of_each = pytest.mark.parametrize("kind", some(["two variables", "pixels"], ["two variables"]))


@pytest.mark.parametrize("kind", some(KINDS, KINDS.keys() - {"a Gaussian", "levels"}))
def test_every_sampler_draws_the_sample_of_its_noise(kind):
    model = model_of(kind)
    check_samples(model, num_samples=16, seed=3)


@pytest.mark.long
@one_of_each
def test_every_sampler_follows_the_temperature(kind):
    check_samples(model_of(kind), num_samples=16, temperature=0.6)


@pytest.mark.parametrize("kind", ["levels", "pixels"])
def test_all_probabilities_sum_to_1_and_are_how_often_it_is_drawn(kind):
    likelihood = KINDS[kind]
    length = 3 if likelihood.num_variables is None else 2
    model = kerasar.AutoregressiveModel(network_for(likelihood, length), likelihood)
    check_normalized(model)
    check_samples(model, num_samples=16, methods=("cached",))


@one_of_each
def test_compiled_is_the_same(kind):
    model = model_of(kind)
    plain = model.sample(40, seed=5, jit_compile=False)
    assert same(model, model.sample(40, seed=5, jit_compile=True), plain)
    # The k-th sample does not depend on the chunks that it is drawn in.
    assert same(model, model.sample(33, seed=5, chunk_size=7, jit_compile=False), plain[:33])


def some_data(model, count=4):
    return np.array(model.sample(count, seed=9))


@one_of_each
def test_with_values_given(kind):
    model, rng = model_of(kind), np.random.default_rng(0)
    x = some_data(model)
    places = rng.random((len(x), LENGTH)) < 0.5
    known = np.broadcast_to(places.reshape(places.shape + (1,) * (x.ndim - 2)), x.shape)
    given = np.where(known, x, np.nan) if not model.discrete else x
    drawn = [model.inpaint(given, known, seed=1, method=method) for method in METHODS]
    assert same(model, drawn[0], drawn[1]) and same(model, drawn[0], drawn[2])
    for completed in drawn:
        np.testing.assert_array_equal(completed[known], x[known])
        check_the_sample(model, completed, seed=1, known=known)


@one_of_each
def test_with_a_prompt(kind):
    model = model_of(kind)
    prompt = some_data(model)[:, :4]
    drawn = [model.sample(len(prompt), seed=2, prompt=prompt, method=m) for m in METHODS]
    assert same(model, drawn[0], drawn[1]) and same(model, drawn[0], drawn[2])
    np.testing.assert_array_equal(drawn[2][:, :4], prompt)


def test_an_open_length_runs_on():
    model = model_of("two variables", None)
    short, far = model.sample(3, length=10), model.sample(3, length=150)
    assert far.shape == (3, 150, 2) and same(model, short, far[:, :10])
    # Differences of rounding grow along 150 steps, so each sample is held to its own past.
    check_the_sample(model, far)
    check_the_sample(model, model.sample(3, length=150, method="parallel"))


def test_parallel_sampling_ends_as_soon_as_nothing_changes():
    likelihood = GaussianMixture()
    network = network_for(likelihood, 200)
    passes = []

    class Counting(kerasar.AutoregressiveModel):
        def compute_parameters(self, x, condition=None, training=None):
            tf.py_function(lambda: passes.append(1), [], [])
            return super().compute_parameters(x, condition, training)

    model = Counting(network, likelihood)
    for weight in network.weights:  # weakly coupled: each step forgets most of the one before
        weight.assign(0.3 * weight)
    drawn = model.sample(8, method="parallel")
    assert 3 < len(passes) < 60
    check_the_sample(model, drawn)


def test_a_sampler_that_is_off_by_more_than_rounding_is_caught(monkeypatch):
    model = model_of("two variables")
    right = model.sample(8, seed=0)
    check_the_sample(model, right + 1e-5 * np.float32(model.likelihood.scale))
    with pytest.raises(AssertionError, match="is not the sample of seed 0"):
        check_the_sample(model, right + 1e-1 * np.float32(model.likelihood.scale))

    whole = type(model).sample

    def off(self, num_samples, method=None, **options):
        drawn = whole(self, num_samples, method=method, **options)
        return drawn + (0.02 * np.float32(model.likelihood.scale) if method == "parallel" else 0)

    monkeypatch.setattr(type(model), "sample", off)
    with pytest.raises(AssertionError, match="'parallel'"):
        check_samples(model, num_samples=8)


def test_evaluate_gives_a_density_and_no_perplexity():
    shared = model_of("two variables")
    model = kerasar.AutoregressiveModel(shared.network, shared.likelihood)
    model.compile()
    x = some_data(shared)
    found = model.evaluate(x, return_dict=True, verbose=0)
    assert set(found) == {"loss", "bits_per_dim"}
    nats = -model.log_prob(x).mean()
    np.testing.assert_allclose(found["loss"], nats, rtol=1e-4)
    np.testing.assert_allclose(found["bits_per_dim"], nats / x[0].size / np.log(2), rtol=1e-4)


def test_fit_finds_the_density_of_its_data():
    # Independent normal steps around 50 with deviation 3: the entropy is known.
    rng = np.random.default_rng(0)
    x = rng.normal(50.0, 3.0, (512, LENGTH)).astype("float32")
    mean, scale = kerasar.data.mean_and_scale(x)
    likelihood = GaussianMixture(1, mean=mean, scale=scale)
    model = kerasar.AutoregressiveModel(network_for(likelihood), likelihood)
    model.compile(keras.optimizers.Adam(0.02))
    before = -model.log_prob(x).mean() / LENGTH
    model.fit(x, epochs=15, batch_size=64, verbose=0)
    entropy = 0.5 * np.log(2 * np.pi * np.e) + np.log(3.0)
    after = -model.log_prob(x).mean() / LENGTH
    assert before > entropy + 0.1 and abs(after - entropy) < 0.05


@one_of_each
def test_a_saved_and_an_exported_model_give_the_same_numbers(kind, tmp_path):
    model = model_of(kind)
    x = some_data(model)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(x), model.log_prob(x))
    assert same(model, loaded.sample(4, seed=1), model.sample(4, seed=1))
    clone = keras.models.clone_model(model.network)
    clone.set_weights(model.network.get_weights())
    np.testing.assert_array_equal(clone(x), model.network(x))

    loaded.export(tmp_path / "1")
    prompt = x[:, :3]
    options = dict(seed=1, temperature=0.8, top_k=0, top_p=1.0)
    scored, drawn, going_on, *refused = serve(
        tmp_path / "1",
        [
            ("log_prob", dict(x=x)),
            ("sample", dict(num_samples=4, **options)),
            ("continuation", dict(prompt=prompt, length=LENGTH, **options)),
            ("sample", dict(num_samples=1, **{**options, "top_k": 1})),
            ("sample", dict(num_samples=1, **{**options, "top_p": 0.5})),
        ],
    )
    np.testing.assert_allclose(scored["log_prob"], model.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(scored["log_prob_map"], model.log_prob_map(x), atol=1e-4)
    bent = dict(seed=1, temperature=0.8)
    assert same(model, as_drawn(model, drawn), model.sample(4, **bent))
    assert same(model, as_drawn(model, going_on), model.sample(4, prompt=prompt, **bent))
    # There is no list of levels to cut: the request fails, and does not sample something else.
    assert "top_k must lie in [0, 0]" in refused[0] and "top_p must be 1" in refused[1]


def as_drawn(model, answer):
    return np.array(answer["samples"], "int32" if model.discrete else "float32")


@one_of_each
def test_it_works_in_mixed_bfloat16(kind):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = kerasar.AutoregressiveModel(network_for(KINDS[kind]), KINDS[kind])
    finally:
        keras.config.set_dtype_policy(before)
    model = model_of(kind)
    low.network.set_weights(model.network.get_weights())
    x = some_data(model)
    assert low.log_prob(x).dtype == np.float32
    # 8 bits of mantissa in the parameters of 10 steps, some of them many deviations out.
    np.testing.assert_allclose(low.log_prob(x), model.log_prob(x), rtol=0.1, atol=1.0)
    assert np.isfinite(low.sample(4)).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(top_k=2), "GaussianMixture does not list"),
        (dict(top_p=0.9), "GaussianMixture does not list"),
        (dict(prompt=np.full((1, 3), np.nan)), "prompt must be finite"),
        (dict(prompt=np.zeros((1, 3, 2))), r"prompt must have shape \(batch, any\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        model_of("a Gaussian").sample(1, **arguments)


def test_nan_in_the_data_is_refused_before_training():
    model = model_of("a Gaussian")
    model.compile()
    x = np.zeros((4, LENGTH))
    x[2, 5] = np.nan
    with pytest.raises(ValueError, match=r"x must be finite, but x\[2, 5\] is nan"):
        model.fit(x)


def test_a_likelihood_of_another_number_of_variables_is_refused():
    likelihood = GaussianMixture(3, 1)
    x = keras.Input((LENGTH, 2), name="x")
    network = keras.Model(x, L.Dense(9)(CausalShift()(x)))
    with pytest.raises(ValueError, match="events of 1 variables.*last axis is 2"):
        kerasar.AutoregressiveModel(network, likelihood)
