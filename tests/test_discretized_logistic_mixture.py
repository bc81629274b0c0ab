"""The discretised mixture of logistics against sums over all levels and the paper's formula."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.distributions import DiscretizedLogisticMixture
from kerasar.distributions.likelihoods.bounds import bounded

RNG = np.random.default_rng(0)


def random_parameters(likelihood, count, size=1.0, seed=0):
    shape = (count, likelihood.num_parameters())
    return (size * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def every_event(levels, num_variables=None):
    events = np.array(list(itertools.product(range(levels), repeat=num_variables or 1)), "int32")
    return events if num_variables else events[:, 0]


def log_probs_of_all(likelihood, parameters):
    """`(events, parameter vectors)`"""
    events = every_event(likelihood.levels, likelihood.num_variables)
    x = np.repeat(events[:, None], len(parameters), axis=1)
    repeated = np.repeat(parameters[None], len(events), axis=0)
    return likelihood.log_prob(tf.constant(repeated), x).numpy().astype("float64")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_the_paper(levels, k, v, p, x):
    """Salimans et al., equations 2 and 3, in float64 and loops; the bound of scales is ours."""
    low, high = np.log(0.05 / ((levels - 1) / 2)), 4.0
    p = p.astype("float64")
    logits, means = p[:k], p[k : k + k * v].reshape(k, v)
    raw = p[k + k * v : k + 2 * k * v].reshape(k, v)
    scales = np.exp(np.asarray(bounded(tf.constant(raw), low, high)))
    couplings = np.tanh(p[k + 2 * k * v :].reshape(k, -1))
    weights = np.exp(logits - logits.max())
    weights /= weights.sum()
    centres = 2 * x / (levels - 1) - 1
    total = 0.0
    for i in range(k):
        product = weights[i]
        for c in range(v):
            mean = means[i, c]
            for j in range(c):
                mean += couplings[i, c * (c - 1) // 2 + j] * centres[j]
            half = 1 / (levels - 1)
            above = (
                1.0 if x[c] == levels - 1 else sigmoid((centres[c] + half - mean) / scales[i, c])
            )
            below = 0.0 if x[c] == 0 else sigmoid((centres[c] - half - mean) / scales[i, c])
            product *= above - below
        total += product
    return np.log(total)


@pytest.mark.parametrize(("levels", "components"), [(2, 1), (5, 3), (256, 10)])
def test_log_prob_of_values_is_the_papers(levels, components):
    likelihood = DiscretizedLogisticMixture(levels, components)
    parameters = random_parameters(likelihood, 40)
    x = RNG.integers(levels, size=40)
    x[:2] = 0, levels - 1
    found = likelihood.log_prob(parameters, x)
    assert found.dtype == tf.float32
    expected = [
        by_the_paper(levels, components, 1, p, np.array([v]))
        for p, v in zip(parameters, x, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_variables", [2, 3])
def test_log_prob_of_pixels_couples_the_channels_as_the_paper_does(num_variables):
    likelihood = DiscretizedLogisticMixture(8, 4, num_variables)
    assert likelihood.event_rank == 1
    parameters = random_parameters(likelihood, 40)
    x = RNG.integers(8, size=(40, num_variables))
    found = likelihood.log_prob(parameters, x)
    assert found.shape == (40,)
    expected = [by_the_paper(8, 4, num_variables, p, v) for p, v in zip(parameters, x, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_papers_pixel_takes_100_numbers():
    assert (
        DiscretizedLogisticMixture(256, num_components=10, num_variables=3).num_parameters(256)
        == 100
    )
    assert DiscretizedLogisticMixture(256, num_components=10).num_parameters(256) == 30


@pytest.mark.parametrize("size", [0.0, 1.0, 10.0, 1e3, 1e6, 1e30])
@pytest.mark.parametrize(
    ("levels", "components", "num_variables"), [(2, 2, None), (256, 5, None), (3, 2, 3)]
)
def test_the_probabilities_of_all_events_sum_to_1(levels, components, num_variables, size):
    likelihood = DiscretizedLogisticMixture(levels, components, num_variables)
    nats = log_probs_of_all(likelihood, random_parameters(likelihood, 16, size))
    assert np.isfinite(nats).all(), "not even a far tail is 0 or NaN"
    np.testing.assert_allclose(np.exp(nats).sum(0), 1, atol=1e-5)


def test_sixteen_bits_sum_to_1_too():
    likelihood = DiscretizedLogisticMixture(2**16, 3)
    parameters = np.repeat(random_parameters(likelihood, 1), 2**16, axis=0)
    nats = likelihood.log_prob(parameters, np.arange(2**16)).numpy().astype("float64")
    assert abs(np.exp(nats).sum() - 1) < 1e-5


def test_a_far_tail_is_exact():
    # One narrow logistic around -1: log p falls by 1 / scale a level; a difference of sigmoids
    # in float32 would be 0 from level 20 on.
    likelihood = DiscretizedLogisticMixture(256, 1)
    parameters = np.tile(np.float32([0, -1, -4]), (256, 1))
    nats = likelihood.log_prob(parameters, np.arange(256)).numpy()
    scale = np.exp(bounded(-4.0, *likelihood.log_scale_range)) * 127.5
    np.testing.assert_allclose(np.diff(nats)[60:-1], -1 / scale, rtol=1e-3)
    assert nats.min() < -100


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e30])
def test_gradients_are_finite_everywhere(size):
    likelihood = DiscretizedLogisticMixture(256, 3, 2)
    parameters = tf.constant(random_parameters(likelihood, 60, size))
    x = RNG.integers(256, size=(60, 2))
    x[:4] = [[0, 0], [255, 255], [0, 255], [255, 0]]
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        nats = likelihood.log_prob(parameters, x)
    assert np.isfinite(tape.gradient(nats, parameters)).all()


def test_gradients_reach_every_parameter():
    likelihood = DiscretizedLogisticMixture(8, 2, 3)
    parameters = tf.constant(random_parameters(likelihood, 1))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        nats = likelihood.log_prob(parameters, [[1, 6, 3]])
    assert (np.abs(tape.gradient(nats, parameters)) > 1e-7).all()


def draw(likelihood, parameters, seed=0):
    rng = np.random.default_rng(seed)
    draws = likelihood.num_uniforms(parameters.shape[-1])
    uniforms = rng.uniform(size=(len(parameters), draws)).astype("float32")
    noise = likelihood.noise(tf.constant(uniforms))
    return likelihood.sample(tf.constant(parameters), noise), noise


@pytest.mark.parametrize(("levels", "num_variables"), [(6, None), (3, 2)])
def test_frequencies_are_the_probabilities(levels, num_variables):
    likelihood = DiscretizedLogisticMixture(levels, 3, num_variables)
    parameters, n = random_parameters(likelihood, 1, seed=4), 100_000
    p = np.exp(log_probs_of_all(likelihood, parameters)[:, 0])
    picks = draw(likelihood, np.repeat(parameters, n, axis=0))[0].numpy()
    assert picks.dtype == np.int32
    for event, probability in zip(every_event(levels, num_variables), p, strict=True):
        frequency = (picks.reshape(n, -1) == event).all(axis=1).mean()
        assert abs(frequency - probability) < 5 * np.sqrt(probability * (1 - probability) / n)


@pytest.mark.parametrize("num_variables", [None, 3])
def test_the_margin_is_zero_for_the_pick_alone(num_variables):
    likelihood = DiscretizedLogisticMixture(7, 3, num_variables)
    parameters = random_parameters(likelihood, 300)
    pick, noise = draw(likelihood, parameters)
    np.testing.assert_array_equal(likelihood.shortfall(parameters, noise, pick), 0)
    other = pick.numpy().copy()
    part = other if num_variables is None else other[:, 1]
    part[:] = (part + 1) % 7
    assert (likelihood.shortfall(parameters, noise, other).numpy() > 0).all()


def test_a_mean_moved_by_the_margin_makes_the_other_the_pick():
    likelihood = DiscretizedLogisticMixture(7, 1)
    parameters = random_parameters(likelihood, 300)
    pick, noise = draw(likelihood, parameters)
    other = np.where(pick.numpy() > 3, pick.numpy() - 1, pick.numpy() + 1)
    margin = likelihood.shortfall(parameters, noise, other).numpy()
    for factor, flips in ((1.001, True), (0.999, False)):
        moved = parameters.copy()
        moved[:, 1] += factor * margin * np.sign(other - pick.numpy())
        found = likelihood.sample(tf.constant(moved), noise).numpy()
        assert ((found == other) == flips).mean() > 0.99


def test_the_margin_of_another_component_is_the_gap_of_its_score():
    likelihood = DiscretizedLogisticMixture(101, 2)
    # Narrow logistics at levels 10 and 90, of which the first wins by 0.5 - 0.2.
    parameters = np.float32([[0.5, 0.0, -0.8, 0.8, -9, -9]])
    noise = tf.constant([[0.0, 0.2, 0.0]])
    assert likelihood.sample(parameters, noise).numpy() == [10]
    assert likelihood.shortfall(parameters, noise, [10]).numpy() == [0]
    np.testing.assert_allclose(likelihood.shortfall(parameters, noise, [90]), [0.3], rtol=1e-5)
    # Level 50 would take both a move of 39.5 levels (of 50 in a unit) and no other component.
    np.testing.assert_allclose(likelihood.shortfall(parameters, noise, [50]), [0.79], rtol=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_bends_tails_and_weights_as_it_does_logits(temperature):
    likelihood = DiscretizedLogisticMixture(64, 1)
    parameters = np.float32([[0.0, -1.0, -3.0]])
    nats = log_probs_of_all(likelihood, parameters)[:, 0]
    bent = log_probs_of_all(
        likelihood, likelihood.apply_temperature(parameters, temperature).numpy()
    )[:, 0]
    np.testing.assert_allclose(np.diff(bent)[50:-1], np.diff(nats)[50:-1] / temperature, rtol=0.01)
    two = DiscretizedLogisticMixture(64, 2)
    logits = two.apply_temperature(random_parameters(two, 5), temperature).numpy()[:, :2]
    np.testing.assert_allclose(logits, random_parameters(two, 5)[:, :2] / temperature, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_extreme_temperatures_stay_finite(temperature):
    likelihood = DiscretizedLogisticMixture(9, 3)
    parameters = random_parameters(likelihood, 200)
    bent = likelihood.apply_temperature(parameters, temperature).numpy()
    assert np.isfinite(bent).all()
    if temperature < 1:  # all noise gone: the mean of the likeliest component
        best = parameters[:, :3].argmax(axis=1)
        means = np.take_along_axis(parameters[:, 3:6], best[:, None], 1)[:, 0]
        wanted = np.clip(np.floor((means + 1) * 4 + 0.5), 0, 8)
        # The narrowest logistic still has a width, and some means lie at an edge.
        assert (draw(likelihood, bent)[0].numpy() == wanted).mean() > 0.9


def test_low_precision_parameters_give_a_float32_sum():
    likelihood = DiscretizedLogisticMixture(16, 3)
    parameters = tf.cast(random_parameters(likelihood, 8), "bfloat16")
    nats = [likelihood.log_prob(parameters, np.full(8, value)) for value in range(16)]
    assert nats[0].dtype == tf.float32
    np.testing.assert_allclose(np.exp(nats).sum(0), 1, atol=1e-5)


def test_top_k_is_refused():
    likelihood = DiscretizedLogisticMixture(16, 3)
    assert not likelihood.truncates
    with pytest.raises(ValueError, match="DiscretizedLogisticMixture does not list"):
        likelihood.apply_top_k_top_p(random_parameters(likelihood, 1), 1, None)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: DiscretizedLogisticMixture(1), "levels must be at least 2, but got 1"),
        (lambda: DiscretizedLogisticMixture(4, 0), "components must be at least 1, but got 0"),
        (lambda: DiscretizedLogisticMixture(4, 1, 0), "variables must be at least 1, but got 0"),
        (lambda: DiscretizedLogisticMixture(4).num_parameters(5), "levels=4, but the data have.*5"),
        (
            lambda: DiscretizedLogisticMixture(4, 2).num_levels(7),
            "takes 6 parameters.*last axis is 7",
        ),
        (
            lambda: DiscretizedLogisticMixture(4, 1, 3).num_levels(9),
            "10 parameters.*3 variables.*is 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_it_survives_serialisation():
    likelihood = DiscretizedLogisticMixture(16, 3, 2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert again.get_config() == dict(levels=16, num_components=3, num_variables=2)
    parameters = random_parameters(likelihood, 2)
    x = [[1, 2], [3, 15]]
    np.testing.assert_array_equal(likelihood.log_prob(parameters, x), again.log_prob(parameters, x))
