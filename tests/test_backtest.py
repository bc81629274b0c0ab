"""Backtests: scores that are what they are said to be, places, the naive forecast, the picture."""

import numpy as np
import pytest

import kerasar
from kerasar.distributions import GaussianMixture, Relative
from kerasar.forecasting import backtest, crps, energy_score, seasonal_naive
from kerasar.pictures import backtest_figure, save

RNG = np.random.default_rng(0)
WALK = np.cumsum(RNG.normal(size=120)).astype("float32")


@pytest.fixture(scope="module")
def model():
    """A random walk: the last value and a normal step of the scale that steps have had."""
    likelihood = Relative(GaussianMixture(1), "difference", memory=100)
    return kerasar.models.Forecaster(None, likelihood=likelihood, lags=1, units=4)


def test_bands_and_scores_of_the_true_process_are_its_own(model):
    found = kerasar.backtest(model, WALK, horizon=4, origins=30, first=40, num_paths=300)
    assert found.paths.shape == (30, 300, 4, 1) and found.actual.shape == (30, 4, 1)
    assert found.origins[0] == 40 and found.origins[-1] == 116
    assert 0.8 < found.scores["coverage_90"] < 0.99 and 0.3 < found.scores["coverage_50"] < 0.7
    # The naive forecast is the same process.
    for name in ("crps", "wql", "mase", "energy_score"):
        np.testing.assert_allclose(found.scores[name], found.seasonal_naive[name], rtol=0.06)
    np.testing.assert_allclose(np.mean(found.by_step["crps"]), found.scores["crps"])
    each = crps(found.paths[..., 0], found.actual[..., 0])
    np.testing.assert_allclose(each.mean(), found.scores["crps"])
    median = np.quantile(found.paths[..., 0], 0.5, axis=1, method="weibull")
    steps = np.abs(np.diff(WALK[:40].astype("float64"))).mean()
    expected = np.abs(median - found.actual[..., 0]).mean() / steps
    np.testing.assert_allclose(found.scores["mase"], expected, rtol=1e-6)
    assert set(found.to_dict()) >= {"crps", "wql", "mase", "coverage_50", "seasonal_naive"}


def test_each_forecast_is_what_forecast_draws_there(model):
    found = backtest(model, WALK, 3, origins=[50, 90], num_paths=150, seed=4, context=30)
    again = kerasar.forecast(model, WALK[:50], 3, num_paths=150, seed=4, context=30)
    np.testing.assert_allclose(found.paths[0, ..., 0], again.paths, rtol=1e-4, atol=1e-4)


def test_what_is_missing_is_neither_seen_nor_judged(model):
    series = WALK.copy()
    series[[60, 92, 95]] = np.nan
    found = backtest(model, series, 4, origins=[62, 92], num_paths=100)
    assert np.isnan(found.actual).sum() == 2 and np.isfinite(found.paths).all()
    assert all(np.isfinite(list(found.scores.values())))


def test_energy_score_is_the_mean_of_all_pairs():
    paths, actual = RNG.normal(size=(7, 3)), RNG.normal(size=3)
    pairs = np.linalg.norm(paths[:, None] - paths, axis=-1).sum() / (7 * 6)
    expected = np.linalg.norm(paths - actual, axis=-1).mean() - pairs / 2
    np.testing.assert_allclose(energy_score(paths, actual), expected)
    # Of one dimension it is CRPS.
    np.testing.assert_allclose(energy_score(paths[:, :1], actual[:1]), crps(paths, actual)[0])


def test_scores_are_those_of_scoringrules():
    rules = pytest.importorskip("scoringrules")
    paths, actual = RNG.normal(size=(4, 30, 5)), RNG.normal(size=(4, 5))
    theirs = rules.crps_ensemble(actual, np.moveaxis(paths, 1, -1), estimator="fair")
    np.testing.assert_allclose(crps(paths, actual), theirs)


def test_the_naive_forecast_repeats_the_last_season():
    series = np.tile([1.0, 5.0, 2.0], 6)[:, None]
    paths = seasonal_naive(series, [12, 13], 5, 3, 4)
    np.testing.assert_array_equal(paths[0, :, :, 0], [[1, 5, 2, 1, 5]] * 4)
    np.testing.assert_array_equal(paths[1, :, :, 0], [[5, 2, 1, 5, 2]] * 4)
    walk = seasonal_naive(WALK[:, None], [100], 9, 1, 4000)[0, :, :, 0]
    deviation = np.sqrt(np.mean(np.diff(WALK[:100].astype("float64")) ** 2))
    np.testing.assert_allclose(walk.std(axis=0), deviation * np.sqrt(np.arange(1, 10)), rtol=0.05)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (dict(horizon=120), "needs a longer series"),
        (dict(origins=0), "origins must be at least 1"),
        (dict(origins=[]), "at least one place"),
        (dict(origins=[40, 119]), "each of origins must be from 1 to 116"),
        (dict(first=118), "first must be from 1 to 116"),
        (dict(num_paths=1), "num_paths must be at least 2"),
        (dict(series=np.append(WALK, [np.nan] * 9), origins=[121]), "are missing"),
        (dict(series=WALK[None]), r"one series of shape \('time',\)"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, match):
    with pytest.raises(ValueError, match=match):
        backtest(model, **{"series": WALK, "horizon": 4, **arguments})


def test_the_picture_shows_how_often_bands_held(tmp_path):
    paths = RNG.normal(size=(20, 400, 6))
    actual = 2 * RNG.normal(size=(20, 6))  # twice as wide as the bands
    figure = backtest_figure(WALK, range(20, 40), paths, actual, "walk")
    curve = figure.axes[0].lines[1]
    held = dict(zip(np.round(curve.get_xdata(), 2), curve.get_ydata(), strict=True))
    assert abs(held[0.9] - 0.59) < 0.12 and len(figure.axes) == 4
    save(figure, tmp_path / "b.png")
    with pytest.raises(ValueError, match="an origin for each"):
        backtest_figure(WALK, range(3), paths, actual)
