"""The Gaussian mixture against quadrature and the multivariate normal."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.distributions import GaussianMixture
from kerasar.distributions.likelihoods.bounds import bounded, unbounded

RNG = np.random.default_rng(0)


def random_parameters(likelihood, count, size=1.0, seed=0):
    shape = (count, likelihood.num_parameters())
    return (size * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def density(likelihood, parameters, x):
    repeated = np.repeat(parameters[None], len(x), axis=0)
    return np.exp(likelihood.log_prob(tf.constant(repeated), x).numpy().astype("float64"))


@pytest.mark.parametrize("units", [{}, dict(mean=-40.0, scale=7.0)], ids=["plain", "own units"])
@pytest.mark.parametrize("components", [1, 4])
def test_the_density_of_values_integrates_to_1(components, units):
    likelihood = GaussianMixture(components, **units)
    grid = np.linspace(-60, 60, 24_001)
    x = (grid * likelihood.scale + likelihood.mean).astype("float32")
    for parameters in random_parameters(likelihood, 8):
        total = density(likelihood, parameters, x).sum() * 0.005 * likelihood.scale
        assert abs(total - 1) < 1e-4


@pytest.mark.parametrize("components", [1, 3])
def test_the_joint_density_of_two_variables_integrates_to_1(components):
    likelihood = GaussianMixture(components, 2, mean=(3.0, -100.0), scale=(0.5, 20.0))
    side = np.linspace(-12, 12, 601)
    points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    x = (points * likelihood.scale + likelihood.mean).astype("float32")
    for parameters in 0.6 * random_parameters(likelihood, 3):
        total = density(likelihood, parameters, x).sum() * 0.04**2 * 0.5 * 20
        assert abs(total - 1) < 1e-3


def test_one_component_is_a_normal_with_any_covariance():
    likelihood = GaussianMixture(1, 3)
    x = RNG.normal(size=(20, 3)).astype("float32")
    for p in random_parameters(likelihood, 5).astype("float64"):
        _, m0, m1, m2, *rest = p
        deviations = np.exp(bounded(tf.constant(rest[:3]), -7.0, 5.0).numpy())
        c10, c20, c21 = rest[3:]
        # x = m + C x + D z, so x = (1 - C)^-1 (m + D z)
        mix = np.linalg.inv(np.eye(3) - [[0, 0, 0], [c10, 0, 0], [c20, c21, 0]])
        mean, root = mix @ [m0, m1, m2], mix @ np.diag(deviations)
        covariance = root @ root.T
        apart = x - mean
        squares = np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart)
        expected = -0.5 * (squares + 3 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1])
        found = likelihood.log_prob(np.tile(np.float32(p), (20, 1)), x)
        assert found.dtype == tf.float32 and found.shape == (20,)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_mixture_is_the_weighted_sum_of_its_components():
    likelihood, x = GaussianMixture(2), np.float32([-0.7, 0.0, 2.0])
    logits, means, raw = np.array([0.3, -1.0]), np.array([0.5, -2.0]), np.array([-1.0, 0.4])
    weights = np.exp(logits) / np.exp(logits).sum()
    scales = np.exp(bounded(tf.constant(raw), -7.0, 5.0).numpy())
    parts = np.exp(-(((x[:, None] - means) / scales) ** 2) / 2) / scales / np.sqrt(2 * np.pi)
    found = density(likelihood, np.float32([*logits, *means, *raw]), x)
    np.testing.assert_allclose(found, parts @ weights, rtol=1e-5)


def test_log_prob_is_in_the_units_of_the_data():
    plain = GaussianMixture(2, 2)
    own = GaussianMixture(2, 2, mean=(10.0, -3.0), scale=(4.0, 0.01))
    parameters, z = random_parameters(plain, 30), RNG.normal(size=(30, 2))
    x = z * own.scale + own.mean
    expected = plain.log_prob(parameters, z.astype("float32")) - np.log(4.0 * 0.01)
    np.testing.assert_allclose(own.log_prob(parameters, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e18, 1e30])
def test_log_prob_and_gradients_are_finite_everywhere(size):
    likelihood = GaussianMixture(3, 2)
    parameters = tf.constant(random_parameters(likelihood, 60, size))
    x = np.float32([[0, 0], [1e4, -1e4], [1e-6, 3]] * 20)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        nats = likelihood.log_prob(parameters, x)
    assert np.isfinite(nats).all()
    assert np.isfinite(tape.gradient(nats, parameters)).all()


def test_gradients_reach_every_parameter():
    likelihood = GaussianMixture(2, 3)
    parameters = tf.constant(random_parameters(likelihood, 1, size=0.3))
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        nats = likelihood.log_prob(parameters, np.float32([[0.3, -0.2, 0.5]]))
    assert (np.abs(tape.gradient(nats, parameters)) > 1e-8).all()


def draw(likelihood, parameters, seed=0):
    rng = np.random.default_rng(seed)
    draws = likelihood.num_uniforms(parameters.shape[-1])
    uniforms = rng.uniform(size=(len(parameters), draws)).astype("float32")
    noise = likelihood.noise(tf.constant(uniforms))
    return likelihood.sample(tf.constant(parameters), noise), noise


def test_draws_follow_the_density():
    likelihood = GaussianMixture(3, mean=50.0, scale=4.0)
    parameters, n = random_parameters(likelihood, 1, seed=2)[0], 100_000
    drawn = draw(likelihood, np.tile(parameters, (n, 1)))[0].numpy()
    assert drawn.dtype == np.float32
    edges = np.linspace(30, 70, 41)
    fine = np.linspace(30, 70, 40 * 200 + 1)
    middles = ((fine[1:] + fine[:-1]) / 2).astype("float32")
    p = (density(likelihood, parameters, middles) * (40 / 8000)).reshape(40, 200).sum(axis=1)
    assert p.sum() > 0.9
    frequency = np.histogram(drawn, edges)[0] / n
    assert (np.abs(frequency - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-5).all()


def test_draws_of_several_variables_are_correlated_as_the_density_says():
    likelihood, n = GaussianMixture(1, 2, mean=(5.0, -1.0), scale=(2.0, 0.1)), 200_000
    parameters = np.float32([0, 0.5, -0.3, 0.2, -0.4, 0.9])  # deviations e^0.2, e^-0.4; coupling
    drawn = draw(likelihood, np.tile(parameters, (n, 1)))[0].numpy().astype("float64")
    z = (drawn - [5.0, -1.0]) / [2.0, 0.1]
    a, b = np.exp([0.2, -0.4])
    np.testing.assert_allclose(z.mean(0), [0.5, -0.3 + 0.9 * 0.5], atol=0.02)
    expected = [[a**2, 0.9 * a**2], [0.9 * a**2, b**2 + 0.81 * a**2]]
    np.testing.assert_allclose(np.cov(z.T), expected, atol=0.03)  # the bound moves e^0.2 by 1 %


@pytest.mark.parametrize("variables", [None, 3])
def test_the_margin_is_zero_for_the_pick_up_to_rounding(variables):
    units = dict(mean=1000.0, scale=20.0)
    likelihood = GaussianMixture(3, variables, **units)
    parameters = random_parameters(likelihood, 200)
    pick, noise = draw(likelihood, parameters)
    pick = pick.numpy()
    nudge = 1e-4 * 20 * RNG.normal(size=pick.shape).astype("float32").clip(-1, 1)
    for x in (pick, pick + nudge):
        np.testing.assert_array_equal(likelihood.shortfall(parameters, noise, x), 0)
    other = pick.copy()
    other[..., -1] += 20 * 0.1
    margin = likelihood.shortfall(parameters, noise, other).numpy()
    wrong = margin if variables else margin[-1:]
    assert (wrong > 1e-3).all()


def test_the_margin_of_another_component_is_the_gap_of_its_score():
    likelihood = GaussianMixture(2)
    parameters = np.float32([[0.5, 0.0, -5.0, 5.0, -3.0, -3.0]])
    noise = tf.constant([[0.0, 0.2, 0.0]])
    np.testing.assert_allclose(likelihood.sample(parameters, noise), [-5.0])
    found = likelihood.shortfall(parameters, noise, np.float32([5.0]))
    np.testing.assert_allclose(found, [0.3], rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_temperature_is_the_density_to_a_power(temperature):
    likelihood = GaussianMixture(1)
    parameters = np.float32([0.0, 0.7, -0.6])
    bent = likelihood.apply_temperature(parameters[None], temperature).numpy()[0]
    x = np.linspace(-20, 20, 4001).astype("float32")
    power = density(likelihood, parameters, x) ** (1 / temperature)
    expected = power / (power.sum() * 0.01)
    np.testing.assert_allclose(density(likelihood, bent, x), expected, atol=2e-3 * expected.max())


def test_far_data_keep_their_digits():
    # Near 1e6 float32 tells apart steps of 1/16; the density must not be rounder than that.
    likelihood = GaussianMixture(1, mean=1e6, scale=1.0)
    parameters = np.zeros((3, 3), "float32")
    x = np.float32([1e6, 1e6 + 0.0625, 1e6 + 1.5])
    expected = -0.5 * np.array([0, 0.0625, 1.5]) ** 2 - 0.5 * np.log(2 * np.pi)
    found = likelihood.log_prob(parameters, x).numpy()
    np.testing.assert_allclose(found, expected, atol=0.01 + 1e-5)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=0.03)


def test_differs_goes_by_the_spread_of_the_data_and_their_size():
    likelihood = GaussianMixture(1, 2, mean=(0.0, 100.0), scale=(1.0, 10.0))
    x = np.float32([[0.0, 100.0]] * 4 + [[1e3, 100.0]])
    other = x + np.float32([[0, 0], [2e-3, 0], [0, 2e-3], [0, 2e-2], [0.5, 0]])
    found = likelihood.differs(x, other, tolerance=1e-3).numpy()
    assert found.tolist() == [False, True, False, True, False]
    assert GaussianMixture().differs(np.float32([1.0]), np.float32([1.1]), 1e-3).numpy() == [True]


@pytest.mark.parametrize(("low", "high"), [(-7.0, 5.0), (-2.3, 4.0)])
def test_the_bound_is_a_corridor_and_can_be_undone(low, high):
    raw = np.linspace(-100, 100, 4001)
    value = bounded(tf.constant(raw), low, high).numpy()
    assert (np.diff(value) >= 0).all() and value.min() > low - 0.01 and value.max() <= high
    inner = (value > low + 0.01) & (value < high - 0.01)
    np.testing.assert_allclose(
        unbounded(tf.constant(value), low, high)[inner], raw[inner], atol=1e-6
    )
    np.testing.assert_allclose(bounded(tf.constant(0.0), -7.0, 5.0), 0, atol=0.01)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: GaussianMixture(0), ValueError, "components must be at least 1"),
        (lambda: GaussianMixture(1.5), TypeError, "components must be an integer"),
        (lambda: GaussianMixture(1, scale=0.0), ValueError, "above 0, but got 0.0.*never change"),
        (lambda: GaussianMixture(1, scale=-1.0), ValueError, "above 0, but got -1.0"),
        (lambda: GaussianMixture(1, mean=float("nan")), ValueError, "mean .* finite, but got nan"),
        (lambda: GaussianMixture(1, mean="high"), TypeError, "mean .* must be a scalar.*'high'"),
        (lambda: GaussianMixture(1, mean=(1.0, 2.0)), ValueError, "got 2 for num_variables=None"),
        (lambda: GaussianMixture(1, 3, scale=(1.0, 2.0)), ValueError, "got 2 for num_variables=3"),
        (
            lambda: GaussianMixture(2).num_levels(7),
            ValueError,
            "takes 6 parameters.*last axis is 7",
        ),
        (lambda: GaussianMixture(2).apply_top_k_top_p(None, 1, None), ValueError, "does not list"),
        (lambda: GaussianMixture(2).num_parameters(256), ValueError, "real numbers.*levels=256"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_it_survives_serialisation():
    likelihood = GaussianMixture(2, 2, mean=np.array([1.0, 2.0]), scale=np.float32([3.0, 4.0]))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert isinstance(again, GaussianMixture) and again.get_config() == likelihood.get_config()
    parameters, x = random_parameters(likelihood, 2), np.float32([[1, 2], [3, 4]])
    np.testing.assert_array_equal(likelihood.log_prob(parameters, x), again.log_prob(parameters, x))
