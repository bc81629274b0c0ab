"""Likelihoods of counts and of values with heavy tails, alone and relative to a level."""

import math

import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.distributions import Independent, NegativeBinomial, Relative, StudentT
from kerasar.forecasting import Choice, choose, start_from
from kerasar.forecasting.linear import Design, LinearForecaster

RNG = np.random.default_rng(0)


def rows(parameters, count):
    return tf.repeat(tf.constant([parameters], tf.float32), count, 0)


def drawn(likelihood, parameters, count=20_000):
    p = rows(parameters, count)
    uniforms = RNG.random((count, likelihood.num_uniforms(len(parameters)))).astype("float32")
    noise = likelihood.noise(tf.constant(np.clip(uniforms, 1e-6, 1 - 1e-6)))
    return p, noise, likelihood.sample(p, noise)


@pytest.mark.parametrize(
    ("m", "dispersion"), [(3.0, 0.5), (0.05, 0.1), (-1.0, 2.0), (50.0, 0.002), (2000.0, 0.1)]
)
def test_counts_are_those_of_a_negative_binomial_distribution(m, dispersion):
    likelihood, parameters = NegativeBinomial(), [m, math.log(dispersion)]
    mean = (m + math.hypot(m, 0.2)) / 2
    if dispersion > 0.01:  # the log is bounded smoothly
        assert float(likelihood._parts(rows(parameters, 1))[1][0]) == pytest.approx(
            dispersion, rel=0.1
        )
    dispersion = float(likelihood._parts(rows(parameters, 1))[1][0])
    variance = mean + dispersion * mean**2
    counts = np.arange(int(mean + 40 * math.sqrt(variance)) + 20)
    probabilities = np.exp(likelihood.log_prob(rows(parameters, len(counts)), counts).numpy())
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert probabilities @ counts == pytest.approx(mean, rel=1e-2)
    assert probabilities @ (counts - mean) ** 2 == pytest.approx(variance, rel=0.03)
    p, noise, x = drawn(likelihood, parameters)
    assert not likelihood.shortfall(p, noise, x).numpy().any()
    assert likelihood.shortfall(p, noise, x + 1).numpy().max() > 0
    assert x.numpy().mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / 20_000))
    often = np.bincount(x.numpy().astype(int), minlength=len(counts))[: len(counts)] / 20_000
    error = 5 * np.sqrt(probabilities / 20_000) + 5 / 20_000
    assert (np.abs(often - probabilities) < error).all()


def test_temperature_multiplies_the_variance_of_counts():
    likelihood, parameters = NegativeBinomial(), rows([5.0, math.log(0.3)], 1)
    mean, before = likelihood._parts(parameters)
    after = likelihood._parts(likelihood.apply_temperature(parameters, 2.0))[1]
    assert float(mean[0] + after[0] * mean[0] ** 2) == pytest.approx(
        2 * float(mean[0] + before[0] * mean[0] ** 2), rel=1e-4
    )


def test_heavy_tails_are_those_of_students_t():
    likelihood, parameters = StudentT(2.0, 3.0), [0.3, -0.2, math.log(4.0)]
    x = np.linspace(-600, 600, 600_001, dtype="float32")
    density = np.exp(likelihood.log_prob(rows(parameters, len(x)), x).numpy())
    assert density.sum() * 0.002 == pytest.approx(1, abs=1e-3)
    p, noise, found = drawn(likelihood, parameters, 100_000)
    degrees = float(likelihood._parts(p[:1]).degrees[0])
    assert degrees == pytest.approx(5.0, abs=0.5)  # the log is bounded smoothly from below
    assert not likelihood.shortfall(p, noise, found).numpy().any()
    nats = -likelihood.log_prob(p, found).numpy()
    mean, variance = likelihood.expected_nats(p[:1])
    assert nats.mean() == pytest.approx(float(mean[0]), abs=0.02)
    assert nats.var() == pytest.approx(float(variance[0]), rel=0.05)
    assert found.numpy().mean() == pytest.approx(2 + 0.9, abs=0.05)
    scale = 3 * math.exp(-0.2)
    assert found.numpy().var() == pytest.approx(scale**2 * degrees / (degrees - 2), rel=0.1)
    wider = likelihood.apply_temperature(p[:1], 4.0)
    assert float(likelihood._parts(wider).log_scale[0]) == pytest.approx(
        math.log(2) - 0.2, abs=1e-2
    )


@pytest.mark.parametrize("variables", [None, 2])
def test_counts_relative_to_a_level_have_the_mean_of_the_level(variables):
    inside = NegativeBinomial() if variables is None else Independent(2, NegativeBinomial())
    likelihood = Relative(inside, support="counts", mean=4.0, scale=2.0)
    width = variables or 1
    one = [0.5, math.log(0.2)]
    parameters = rows([*(one * width), *([1.5] * width), *([math.log(0.5)] * width)], 3)
    # 4 + 2 (1.5 + 0.5 · 0.5) = 7.5
    alone = rows([7.5, math.log(0.2)], 3)
    x = np.float32([3, 8, np.nan])
    expected = NegativeBinomial().log_prob(alone, np.float32([3, 8, 0])).numpy() * [1, 1, 0]
    data = x if variables is None else np.stack([x, np.float32([np.nan] * 3)], 1)
    np.testing.assert_allclose(likelihood.log_prob(parameters, data), expected, rtol=1e-5)
    warm = likelihood.apply_temperature(parameters, 2.0)
    np.testing.assert_allclose(
        likelihood.log_prob(warm, data)[:2],
        NegativeBinomial().log_prob(NegativeBinomial().apply_temperature(alone, 2.0), x)[:2],
        rtol=1e-4,
    )
    assert likelihood.from_config(likelihood.get_config()).get_config() == likelihood.get_config()


def test_a_series_of_counts_is_forecast_in_counts():
    rate = np.exp(1 + 0.6 * np.sin(2 * np.pi * np.arange(240) / 12))
    counts = np.random.default_rng(1).poisson(rate).astype("float32")
    choice = choose(counts[:200], 12, [12])
    assert choice.design.support == "counts"
    model = kerasar.models.Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)
    start_from(model, choice.fitted)
    paths = kerasar.forecast(model, counts[:200], 12, num_paths=300).paths
    assert (paths == np.round(paths)).all() and paths.min() == 0
    np.testing.assert_allclose(paths.mean(axis=0), rate[200:212], atol=2.5)
    nats = -model.log_prob(counts[None]).item() / 240
    truth = np.mean(
        [r - k * math.log(r) + math.lgamma(k + 1) for r, k in zip(rate, counts, strict=True)]
    )
    assert nats < truth + 0.15


@pytest.mark.long
@pytest.mark.parametrize("dispersion", [0.0, 0.8])
def test_counts_are_chosen_by_what_the_network_draws(dispersion):
    """Also far from the usual level: their dispersion is that around their own means."""
    rng = np.random.default_rng(3)
    rate = np.where(np.arange(300) < 200, 1.0, 12.0)
    counts = rng.poisson(rng.gamma(1 / dispersion, dispersion * rate) if dispersion else rate)
    design = Design("difference", None, 30, "counts", 12, dynamics="persistent")
    fitted = LinearForecaster.fit(counts.astype("float64"), design)
    assert fitted.dispersion == pytest.approx(dispersion, abs=0.25)
    choice = Choice(design, (fitted,), 1.0, counts)
    model = kerasar.models.Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)
    start_from(model, choice.fitted)
    drawn = kerasar.forecast(model, counts, 4, num_paths=1_000).paths
    simulated = fitted.simulate(counts.astype("float64"), [300], 4, 1_000)[0]
    np.testing.assert_allclose(drawn.mean(axis=0), simulated.mean(axis=0), rtol=0.12)
    np.testing.assert_allclose(drawn.std(axis=0), simulated.std(axis=0), rtol=0.15)
    fitted.widen(1.4)
    wider = fitted.simulate(counts.astype("float64"), [300], 1, 2_000)[0].std()
    assert wider > 1.2 * simulated[:, 0].std()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Relative(NegativeBinomial()), "for support='counts' and only then"),
        (lambda: Relative(StudentT(), support="counts"), "NegativeBinomial for support='counts'"),
        (lambda: NegativeBinomial().num_parameters(5), "without bounds, but got levels=5"),
        (lambda: NegativeBinomial().num_levels(3), "2 parameters for each count.*is 3"),
        (lambda: StudentT().num_levels(2), "3 parameters for each value.*is 2"),
        (lambda: StudentT().num_parameters(5), "real numbers, but got levels=5"),
        (lambda: NegativeBinomial().check_values(np.float32([0, 1.5]), "x"), r"x\[1\] is 1.5"),
        (
            lambda: Relative(NegativeBinomial(), support="counts").check_values(
                np.float32([-1]), "x"
            ),
            r"counts 0, 1, 2, …, but x\[0\] is -1",
        ),
    ],
)
def test_what_is_no_count_or_does_not_fit_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
