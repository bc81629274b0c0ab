"""What models expect their data to cost: against sums over all values, and against many draws."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.distributions import (
    Bernoulli,
    BernoulliNADE,
    Categorical,
    DiscretizedLogisticMixture,
    GaussianMixture,
    Independent,
    Logistic,
    StandardNormal,
    Uniform,
)
from kerasar.distributions.likelihoods.base import Likelihood
from kerasar.testing import randomize
from kerasar.training.batches import Batch


def parameters_of(likelihood, levels, shape=(3, 200)):
    size = likelihood.num_parameters(levels)
    return tf.constant(np.random.default_rng(0).normal(size=(*shape, size)), tf.float32)


@pytest.mark.parametrize(("likelihood", "levels"), [(Categorical(), 5), (Bernoulli(), 2)])
def test_they_are_sums_over_all_values(likelihood, levels):
    parameters = 3 * parameters_of(likelihood, levels)
    values = [np.full((3, 200), level) for level in range(levels)]
    nats = -np.stack([likelihood.log_prob(parameters, tf.constant(x)) for x in values])
    mean = (np.exp(-nats) * nats).sum(axis=0)
    variance = (np.exp(-nats) * (nats - mean) ** 2).sum(axis=0)
    found = likelihood.expected_nats(parameters)
    np.testing.assert_allclose(found[0], mean, atol=1e-5)
    np.testing.assert_allclose(found[1], variance, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "levels"),
    [
        (Categorical(), 5),
        (Bernoulli(), 2),
        (Independent(3, Bernoulli()), 2),
        (GaussianMixture(1, scale=2.0), None),
        (GaussianMixture(1, num_variables=2), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_those_that_are_known_agree_with_draws(likelihood, levels):
    parameters = parameters_of(likelihood, levels, shape=(2, 3000))
    known = likelihood.expected_nats(parameters)
    drawn = Likelihood.expected_nats(likelihood, parameters)
    for a, b in zip(known, drawn, strict=True):
        np.testing.assert_allclose(np.mean(a), np.mean(b), rtol=0.03, atol=0.01)


def test_draws_do_not_depend_on_the_batch():
    likelihood = DiscretizedLogisticMixture(8, 2)
    parameters = parameters_of(likelihood, 8)
    alone, variance = likelihood.expected_nats(parameters[1:2])
    np.testing.assert_array_equal(alone[0], likelihood.expected_nats(parameters)[0][1])
    assert alone.shape == variance.shape == (1, 200)


def test_events_of_several_values_have_one_number_each():
    likelihood = BernoulliNADE(4, 6)
    randomize(likelihood)
    mean, variance = likelihood.expected_nats(parameters_of(likelihood, 2))
    assert mean.shape == (3, 200) and np.all(variance >= 0)
    assert 0 < np.mean(mean) < 4 * np.log(2)


@pytest.mark.parametrize(
    ("base", "mean", "variance"),
    [
        (StandardNormal(), 0.5 * np.log(2 * np.pi * np.e), 0.5),
        (Logistic(), 2.0, np.pi**2 / 3 - 3.0 + 0.0),
        (Uniform(), 0.0, 0.0),
    ],
)
def test_bases_know_their_entropy(base, mean, variance):
    found = base.expected_nats()
    np.testing.assert_allclose(found[0], mean, atol=1e-3)
    if not isinstance(base, Logistic):
        np.testing.assert_allclose(found[1], variance, atol=3e-3)


def models():
    yield kerasar.AutoregressiveModel(networks.dilated())
    yield kerasar.models.NADE(5)
    yield kerasar.models.PixelCNN((4, 5, 1), 3, filters=4, blocks=1)
    yield kerasar.models.MaskedInputConvNet(16, 3, filters=(2, 2))
    yield kerasar.models.MAF(3)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_the_nats_of_a_model_sum_to_its_log_prob(model):
    randomize(model)
    shape = (4, *(size or 7 for size in model.data_shape))
    rng = np.random.default_rng(1)
    x = (
        rng.normal(size=shape).astype("float32")
        if model.data_levels is None
        else rng.integers(model.data_levels, size=shape)
    )
    found = model.compute_surprise(Batch(tf.constant(x)))
    assert found.nats.shape == found.expected.shape == found.variance.shape
    total = np.sum(found.nats, axis=tuple(range(1, found.nats.shape.rank)))
    np.testing.assert_allclose(total, -model.log_prob(x), rtol=1e-5, atol=1e-4)


def test_a_model_agrees_with_what_it_expects_of_its_own_samples():
    model = kerasar.AutoregressiveModel(networks.dilated())
    randomize(model)
    z = kerasar.scores.entropy_z(model, model.sample(2000, seed=0))
    assert abs(z.mean()) < 0.1 and abs(z.std() - 1) < 0.1


def test_padding_costs_nothing():
    x = keras.Input((None,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(4, 6)(x))
    model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))
    randomize(model)
    data = np.random.default_rng(0).integers(4, size=(2, 9))
    length = np.array([9, 4], "int32")
    found = model.compute_surprise(Batch(tf.constant(data), None, tf.constant(length)))
    for part in found:
        assert np.all(part[1, 4:] == 0) and np.all(part[1, :4] != 0)
