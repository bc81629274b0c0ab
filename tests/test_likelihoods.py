"""Likelihoods against formulas written down anew in NumPy, at the edges too."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.distributions import Bernoulli, Categorical, Likelihood

RNG = np.random.default_rng(0)
LOGITS = (3 * RNG.normal(size=(40, 6, 5))).astype("float32")
X = RNG.integers(0, 5, (40, 6))
UNIFORMS = RNG.uniform(size=(40, 6, 5)).astype("float32")

BINARY_LOGITS = (3 * RNG.normal(size=(40, 6, 1))).astype("float32")
BINARY_X = RNG.integers(0, 2, (40, 6))
BINARY_UNIFORMS = RNG.uniform(size=(40, 6, 1)).astype("float32")


def softmax(logits):
    e = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit.astype("float64")))


def test_categorical_log_prob_is_the_log_of_a_softmax():
    expected = np.log(np.take_along_axis(softmax(LOGITS), X[..., None], -1)[..., 0])
    found = Categorical().log_prob(LOGITS, X)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_bernoulli_log_prob_is_the_log_of_a_sigmoid():
    p = sigmoid(BINARY_LOGITS[..., 0])
    found = Bernoulli().log_prob(BINARY_LOGITS, BINARY_X)
    assert found.dtype == tf.float32
    expected = np.log(np.where(BINARY_X == 1, p, 1 - p))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_log_prob_is_exact_far_out(size):
    logits = np.array([[[size, 0, -size]]], "float32")
    for value, expected in ((0, 0.0), (1, -size), (2, -2 * size)):
        found = Categorical().log_prob(logits, [[value]]).numpy()[0, 0]
        np.testing.assert_allclose(found, np.float32(expected), rtol=1e-6)
        if value < 2:
            binary = Bernoulli().log_prob(logits[..., :1], [[1 - value]]).numpy()[0, 0]
            np.testing.assert_allclose(binary, np.float32(expected), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_low_precision_logits_give_a_float32_sum(dtype):
    logits = tf.cast(LOGITS, dtype)
    all_values = [Categorical().log_prob(logits, np.full((40, 6), v)) for v in range(5)]
    np.testing.assert_allclose(np.exp(all_values).sum(0), 1, atol=1e-6)
    binary = tf.cast(BINARY_LOGITS, dtype)
    both = [Bernoulli().log_prob(binary, np.full((40, 6), v)) for v in range(2)]
    np.testing.assert_allclose(np.exp(both).sum(0), 1, atol=1e-6)


def draw(likelihood, parameters, uniforms):
    return likelihood.sample(tf.constant(parameters), likelihood.noise(uniforms))


def test_categorical_sampling_is_gumbel_argmax():
    gumbel = -np.log(-np.log(UNIFORMS.astype("float64")))
    picks = draw(Categorical(), LOGITS, UNIFORMS)
    np.testing.assert_array_equal(picks, (LOGITS + gumbel).argmax(-1))


def test_bernoulli_sampling_inverts_the_distribution():
    # logit + logistic noise > 0 if and only if u > 1 - p
    picks = draw(Bernoulli(), BINARY_LOGITS, BINARY_UNIFORMS)
    np.testing.assert_array_equal(
        picks, BINARY_UNIFORMS[..., 0] > 1 - sigmoid(BINARY_LOGITS[..., 0])
    )


@pytest.mark.parametrize(
    ("likelihood", "logits"),
    [(Categorical(), [1.0, -0.5, 0.2, -2.0]), (Bernoulli(), [0.8])],
    ids=["categorical", "bernoulli"],
)
def test_frequencies_are_the_probabilities(likelihood, logits):
    n = 100_000
    u = np.random.default_rng(1).uniform(size=(n, len(logits))).astype("float32")
    picks = draw(likelihood, np.tile(np.float32(logits), (n, 1)), u).numpy()
    for value in range(likelihood.num_levels(len(logits))):
        p = np.exp(likelihood.log_prob(np.float32([logits]), [value]).numpy()[0])
        assert abs((picks == value).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)


CASES = [
    (Categorical(), LOGITS, UNIFORMS),
    (Bernoulli(), BINARY_LOGITS, BINARY_UNIFORMS),
]


@pytest.mark.parametrize(("likelihood", "logits", "u"), CASES, ids=["categorical", "bernoulli"])
def test_the_margin_is_zero_for_the_pick_alone(likelihood, logits, u):
    pick, noise = draw(likelihood, logits, u), likelihood.noise(u)
    np.testing.assert_array_equal(likelihood.shortfall(logits, noise, pick), 0)
    other = (pick.numpy() + 1) % likelihood.num_levels(logits.shape[-1])
    margin = likelihood.shortfall(logits, noise, tf.constant(other)).numpy()
    assert (margin > 0).all()
    # Raising the logits of the other by a bit more makes it the pick; by a bit less, not.
    for factor, flips in ((1.01, True), (0.99, False)):
        raised = logits.copy()
        if logits.shape[-1] == 1:
            raised[..., 0] += factor * np.where(other == 1, margin, -margin)
        else:
            np.put_along_axis(
                raised,
                other[..., None],
                np.take_along_axis(logits, other[..., None], -1) + factor * margin[..., None],
                -1,
            )
        assert ((draw(likelihood, raised, u).numpy() == other) == flips).mean() > 0.99


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0, 100.0])
def test_temperature_divides_the_logits(temperature):
    bent = Categorical().apply_temperature(LOGITS, temperature)
    np.testing.assert_allclose(softmax(bent.numpy()), softmax(LOGITS / temperature), atol=1e-6)
    bent = Bernoulli().apply_temperature(BINARY_LOGITS, temperature)
    np.testing.assert_allclose(
        sigmoid(bent.numpy()), sigmoid(BINARY_LOGITS / temperature), atol=1e-6
    )


def kept(likelihood, logits, top_k=None, top_p=None):
    """Which values can still be drawn."""
    logits = np.float32([logits])
    bent = likelihood.apply_top_k_top_p(logits, top_k, top_p)
    levels = likelihood.num_levels(logits.shape[-1])
    nats = [likelihood.log_prob(bent, [value]).numpy()[0] for value in range(levels)]
    return [value for value, nat in enumerate(nats) if nat > -1e6]


FOUR = np.log([0.1, 0.4, 0.2, 0.3])


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [(1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (0, [0, 1, 2, 3])],
)
def test_top_k_keeps_the_likeliest(top_k, expected):
    assert kept(Categorical(), FOUR, top_k=top_k) == expected


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (1e-6, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.69, [1, 3]),
        (0.71, [1, 2, 3]),
        (0.91, [0, 1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p, expected):
    assert kept(Categorical(), FOUR, top_p=top_p) == expected


def test_what_is_kept_keeps_its_proportions():
    bent = Categorical().apply_top_k_top_p(np.float32([FOUR]), top_k=2, top_p=None).numpy()
    np.testing.assert_allclose(softmax(bent)[0], [0, 4 / 7, 0, 3 / 7], atol=1e-6)


def test_top_p_of_1_is_off_even_for_what_hardly_ever_happens():
    assert kept(Categorical(), [0.0, -30.0, -60.0], top_p=1.0) == [0, 1, 2]
    assert kept(Bernoulli(), [30.0], top_p=1.0) == [0, 1]


def test_ties_at_the_threshold_stay_together():
    # There is no likeliest among equals; no place in the order is favoured.
    assert kept(Categorical(), [0.0, 1.0, 1.0, -1.0], top_k=1) == [1, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (dict(top_k=1), [1]),
        (dict(top_k=2), [0, 1]),
        (dict(top_k=0), [0, 1]),
        (dict(top_p=0.7), [1]),
        (dict(top_p=0.9), [0, 1]),
        (dict(top_p=1.0), [0, 1]),
    ],
)
def test_bernoulli_truncates_as_categorical_does(options, expected):
    logit = np.log(0.8 / 0.2)
    assert kept(Bernoulli(), [logit], **options) == expected
    assert kept(Categorical(), [0.0, logit], **options) == expected
    assert kept(Bernoulli(), [-logit], **options) == [1 - value for value in expected[::-1]]


def test_a_truncated_value_is_never_drawn():
    bent = Categorical().apply_top_k_top_p(LOGITS, top_k=2, top_p=None)
    picks = draw(Categorical(), bent, UNIFORMS).numpy()
    ranks = (-LOGITS).argsort(-1).argsort(-1)
    assert (np.take_along_axis(ranks, picks[..., None], -1) < 2).all()


def test_an_output_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one logit for each value.*last axis is 3.*Categorical"):
        Bernoulli().num_levels(3)
    with pytest.raises(ValueError, match="at least 2.*last axis is 1.*Bernoulli"):
        Categorical().num_levels(1)


def test_a_likelihood_of_ones_own_says_what_it_lacks():
    class Half(Likelihood):
        pass

    with pytest.raises(NotImplementedError, match=r"Half must define log_prob\(\)"):
        Half().log_prob(None, None)
    with pytest.raises(ValueError, match="Half does not list"):
        Half().apply_top_k_top_p(None, 1, None)


@pytest.mark.parametrize("likelihood", [Categorical(), Bernoulli()])
def test_it_survives_serialisation(likelihood):
    written = keras.saving.serialize_keras_object(likelihood)
    assert written["registered_name"] == f"kerasar>{type(likelihood).__name__}"
    assert type(keras.saving.deserialize_keras_object(written)) is type(likelihood)
