"""How a series is normalized: linear autoregressions, their choice, and the start of a network."""

import functools
import math

import numpy as np
import pytest
from drawing import some

import kerasar
from kerasar.data import find_seasons
from kerasar.distributions import GaussianMixture, Independent
from kerasar.forecasting import choose, crps, learned_more, seasonal_naive, start_from
from kerasar.forecasting.blend import blend
from kerasar.forecasting.dynamics import autoregression
from kerasar.forecasting.linear import Design, LinearForecaster

RNG = np.random.default_rng(0)
MONTHS = np.arange(160)
SEASONAL = 50 + 10 * np.sin(2 * np.pi * MONTHS / 12) + RNG.normal(size=160)
GAPS = np.where(RNG.random(160) < 0.2, np.nan, SEASONAL)


def model_of(choice):
    return kerasar.models.Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)


@pytest.mark.parametrize(
    ("series", "normalization", "support", "own_scale"),
    [
        (SEASONAL, "difference", (0, 100), False),
        (GAPS, "seasonal", "positive", True),
        pytest.param(GAPS, "window", "positive", False, marks=pytest.mark.long),
        pytest.param(GAPS, "seasonal", "real", False, marks=pytest.mark.long),
        pytest.param(GAPS, "window", "real", True, marks=pytest.mark.long),
    ],
)
def test_a_network_begins_as_the_linear_model(series, normalization, support, own_scale):
    choice = choose(series[:120], 12, [12], support, normalization)
    linear = choice.fitted[0]
    season = linear.design.season
    design = Design(normalization, season, 20, support, 5, (12,), 2, 3.0, own_scale=own_scale)
    linear = LinearForecaster.fit(series[:120], design)
    from kerasar.forecasting.choose import Choice

    choice = Choice(design, (linear,), 1.0, series[:120])
    model = model_of(choice)
    start_from(model, [linear])
    x = series.astype("float32")[None]
    parameters = model.compute_parameters(x, training=False)[0].numpy()
    units = (linear_line(series, support) - linear.center) / linear.unit
    frame = linear.frame.along(units).frame
    features, z, observed = linear.features(units, frame, np.zeros((len(series), 0)))
    means = features @ linear.weights
    # Before the far lags reach into the series both have zeros there.
    np.testing.assert_allclose(parameters[:, 3:6], np.repeat(means[:, None], 3, 1), atol=2e-3)
    np.testing.assert_allclose(parameters[:, -2], frame.level[:-1], atol=1e-4)
    np.testing.assert_allclose(parameters[:, -1], frame.log_scale[:-1], atol=1e-4)


def linear_line(x, support):
    return {
        "real": lambda: x,
        "positive": lambda: np.log(x),
        (0, 100): lambda: np.log(x) - np.log(100 - x),
    }[support]()


@functools.cache
def begun():
    """Shared, for the loops of a model are traced once: its weights, with which a test begins."""
    choice = choose(SEASONAL[:120], 6, [12], normalization="seasonal")
    model = model_of(choice)
    start_from(model, choice.fitted)
    return choice, model, model.get_weights()


def test_paths_of_a_network_that_begins_so_are_those_of_the_linear_model():
    choice, model, start = begun()
    model.set_weights(start)
    found = kerasar.forecast(model, SEASONAL, 12, num_paths=600).paths
    expected = choice.fitted[0].simulate(SEASONAL, [160], 12, 600)[0]
    spread = expected.std(axis=0)
    np.testing.assert_array_less(np.abs(found.mean(0) - expected.mean(0)), 0.25 * spread)
    np.testing.assert_allclose(found.std(axis=0), spread, rtol=0.15)


def test_the_mean_of_linear_models_is_one():
    designs = [
        Design("seasonal", 12, 24, lags=3),
        Design("seasonal", 12, 24, lags=5, seasons=(12,), cycles=1, ridge=5.0),
        Design("seasonal", 12, 24, lags=14, seasons=(24,), ridge=9.0),
    ]
    models = [LinearForecaster.fit(GAPS, design) for design in designs]
    both = blend(models, [0.5, 0.3, 0.2])
    for model in (both, *models):
        model.sigma = 0.0  # no noise: paths are what is expected
    paths = [model.simulate(GAPS, [100, 150], 1, 1) for model in models]
    expected = np.tensordot([0.5, 0.3, 0.2], paths, 1)
    np.testing.assert_allclose(both.simulate(GAPS, [100, 150], 1, 1), expected)


def test_errors_behind_missing_steps_are_wider():
    rng = np.random.default_rng(4)
    x = np.zeros(3000)
    for t in range(1, 3000):
        x[t] = 0.8 * x[t - 1] + rng.normal()
    x = np.where(rng.random(3000) < 0.2, np.nan, x)
    linear = LinearForecaster.fit(x, Design("none", lags=3, ridge=1.0))
    assert np.exp(linear.widths[0]) == pytest.approx(np.sqrt(1.64), rel=0.12)
    from kerasar.forecasting.choose import Choice

    model = model_of(Choice(linear.design, (linear,), 1.0, x))
    start_from(model, [linear])
    # The law knows how many steps lie between two values, and the network nearly as much.
    seen = np.flatnonzero(np.isfinite(x))
    apart = np.diff(seen)
    variance = (1 - 0.64**apart) / 0.36
    errors = x[seen[1:]] - 0.8**apart * x[seen[:-1]]
    law = np.mean(0.5 * np.log(2 * np.pi * variance) + errors**2 / variance / 2)
    nats = -model.log_prob(x[None].astype("float32"))[0] / len(seen)
    assert law - 0.005 < nats < law + 0.02


@pytest.mark.parametrize("longest", [1, 16])
def test_a_series_with_gaps_is_forecast_better_than_by_its_last_seasons(longest):
    """Of 40 % missing steps, one by one or many in a row."""
    rng = np.random.default_rng(3)
    steps = np.arange(300)
    whole = 10 + np.array(autoregressive(0.7, 300, rng)) + 5 * np.sin(2 * np.pi * steps / 7)
    x = whole.copy()
    while np.isnan(x[:252]).mean() < 0.4:
        start = rng.integers(260)
        x[start : start + rng.integers(1, longest + 1)] = np.nan
    origins = list(range(252, 290, 2))
    actual = np.stack([whole[origin : origin + 10] for origin in origins])
    paths = choose(x[:252], 10, [7]).fitted[0].simulate(x, origins, 10, 200)
    naive = seasonal_naive(x[:, None], origins, 10, 7, 200)[..., 0]
    assert crps(paths, actual).mean() < crps(naive, actual).mean()
    low, high = np.quantile(paths, [0.05, 0.95], axis=1)
    assert 0.8 < ((low <= actual) & (actual <= high)).mean() < 0.98


def autoregressive(weight, steps, rng):
    found = [0.0]
    for _ in range(1, steps):
        found.append(weight * found[-1] + rng.normal())
    return found


def test_weights_of_a_series_without_gaps_are_found_in_one_with_gaps():
    x = np.zeros(4000)
    for t in range(2, len(x)):
        x[t] = 0.9 * x[t - 1] - 0.5 * x[t - 2] + RNG.normal()
    x[RNG.random(len(x)) < 0.5] = np.nan
    errors = []
    for gapless in (False, True):
        weights = LinearForecaster.fit(
            x, Design("none", lags=3, gapless=gapless, ridge=1.0)
        ).weights
        # The value of the last step, and the last that was observed, are then the same.
        found = weights[:6:2] + [0, 0, weights[8]]
        errors.append(np.abs(found - [0.0, -0.5, 0.9]).max())
    assert errors[1] < 0.1 < errors[0], errors


def test_a_drift_beyond_doubt_is_part_of_the_naive_forecast():
    walk = np.cumsum(0.4 + np.random.default_rng(2).normal(size=400))
    ahead = choose(walk, 12).fitted[0].simulate(walk, [400], 12, 400).mean(axis=1)[0, -1]
    assert ahead - walk[-1] == pytest.approx(12 * 0.4, abs=1.5)


def test_nothing_is_chosen_over_the_naive_forecast_by_chance():
    walks = (np.cumsum(np.random.default_rng(i).normal(size=110)) for i in range(8))
    designs = [choose(50 + walk, 12).design for walk in walks]
    plain = [d.complexity == 0 and d.normalization == "difference" for d in designs]
    assert sum(plain) >= 5


@pytest.mark.parametrize("joint", some([True, False], [False]))
def test_each_variable_begins_with_its_own_linear_model(joint):
    other = np.cumsum(RNG.normal(size=160))
    series = np.stack([SEASONAL, other], 1)
    if not joint:
        series[5, 0] = np.nan
    choice = choose(series, 6, [12], normalization="difference")
    kind = type(choice.likelihood().likelihood)
    assert kind is (GaussianMixture if joint else Independent)
    model = model_of(choice)
    start_from(model, choice.fitted)
    paths = kerasar.forecast(model, series, 6, num_paths=400).paths
    for variable in range(2):
        alone = choice.fitted[variable].simulate(series[:, variable], [160], 6, 400)[0]
        apart = np.abs(paths[..., variable].mean(0) - alone.mean(0))
        np.testing.assert_array_less(apart, 0.3 * alone.std(axis=0))


def test_the_level_that_forecasts_best_is_chosen():
    rng = np.random.default_rng(1)
    assert choose(SEASONAL, 12, [12]).design.normalization == "seasonal"
    walks = (np.cumsum(np.random.default_rng(i).normal(size=200) + 0.3) for i in range(1, 5))
    found = [choose(walk, 12).design for walk in walks]
    assert all(design.normalization == "difference" for design in found)
    assert [design.support for design in found].count("real") >= 3
    growing = np.exp(0.2 * np.cumsum(rng.normal(size=250)))
    assert choose(growing, 12).design.support == "positive"
    noise = rng.normal(size=600)
    design = choose(noise, 12).design  # a mean over many steps
    assert design.normalization in ("none", "window") or design.dynamics == "persistent"


def test_a_walk_that_has_not_gone_far_yet_is_not_taken_for_a_level():
    walks = (np.cumsum(np.random.default_rng(seed).normal(size=600)) for seed in range(4))
    levels = [choose(walk, 12, support="real").design.normalization for walk in walks]
    assert levels.count("difference") >= 3


def test_a_path_that_runs_away_is_not_passed_over():
    paths = np.append(np.linspace(-1, 1, 59), 1e30)[:, None]
    assert crps(paths, [0.0])[0] < 1e20 < crps(paths, [0.0], fair=False)[0]
    rng = np.random.default_rng(0)
    wave = 10 + 3 * np.sin(2 * np.pi * np.arange(900) / 24) + rng.normal(size=900)
    choice = choose(wave, 24, [24])
    drawn = choice.fitted[0].simulate(wave, [900], 168, 200)
    assert np.abs(drawn).max() < 60


def test_the_dynamics_of_classical_methods_are_autoregressions():
    # Exponential smoothing forecasts a weighted mean of all values, the last first.
    x = RNG.normal(size=40).cumsum()
    mean = x[0]
    for value in x[1:]:
        mean += 0.3 * (value - mean)
    weights = autoregression([1.0], [1.0, 0.3 - 1], 39)
    assert x[-1] + weights @ np.diff(x)[::-1] == pytest.approx(mean)
    # A straight line goes on, and a season that grows from year to year.
    line = LinearForecaster.fit(
        3.0 * np.arange(80.0), Design("difference", lags=30, dynamics="damped")
    )
    ahead = line.simulate(3.0 * np.arange(80.0), [80], 3, 4).mean(axis=1)[0]
    np.testing.assert_allclose(ahead, [240, 243, 246], rtol=1.5e-2)
    growing = np.arange(72.0) + np.tile(np.arange(12.0) ** 2, 6)
    design = Design("seasonal", 12, lags=3, drift=True)
    ahead = LinearForecaster.fit(growing, design).simulate(growing, [72], 3, 400).mean(axis=1)[0]
    np.testing.assert_allclose(ahead, [72, 74, 78], atol=0.5)


@pytest.mark.parametrize("kind", ["shift", "trend", "stretches", "outliers", "skewed", "short"])
def test_no_choice_is_much_worse_than_the_last_season_or_value(kind):
    rng, t = np.random.default_rng(3), np.arange(150)
    series = {
        "shift": np.where(t < 90, 20, 45) + rng.normal(size=150),
        "trend": 0.5 * t + 3 * rng.normal(size=150),
        "stretches": np.repeat(rng.normal(size=15) * 4 + 20, 10),
        "outliers": 20
        + 5 * np.sin(t / 12 * 2 * np.pi)
        + 60.0 * (t % 37 == 5)
        + rng.normal(size=150),
        "skewed": rng.lognormal(1.0, 0.8, size=150),
        "short": 10 + 0.4 * t[:36] + np.tile([5, -3, 1, -3], 9) + rng.normal(size=36),
    }[kind]
    end = len(series) - max(len(series) // 10, 6)
    seasons = find_seasons(series[:end])
    linear = choose(series[:end], 6, seasons).fitted[0]
    origins = list(range(end, len(series) - 5))
    actual = np.stack([series[o : o + 6] for o in origins])
    naive = seasonal_naive(series[:, None], origins, 6, min(seasons, default=1), 200)[..., 0]
    ours = crps(linear.simulate(series, origins, 6, 200), actual).mean()
    assert ours < 1.15 * crps(naive, actual).mean()


def test_what_training_makes_worse_is_not_kept():
    _, model, start = begun()
    model.set_weights(start)
    assert not learned_more(model, start, SEASONAL, 6, 120)  # the same weights: no better
    worse = [w + 0.3 * RNG.normal(size=w.shape).astype(w.dtype) for w in start]
    model.set_weights(worse)
    assert not learned_more(model, start, SEASONAL, 6, 120)
    assert all((a == b).all() for a, b in zip(model.get_weights(), worse, strict=True))
    model.set_weights(start)
    assert learned_more(model, worse, SEASONAL, 6, 120)


def test_a_piece_is_so_long_that_its_first_season_is_forgotten():
    noise = draw_noise(0, 600)
    walk = np.concatenate([5 * noise[:12], noise[12:]])
    for t in range(12, 600):
        walk[t] += walk[t - 12]
    design = Design("seasonal", 12, 30, "real", 3)
    linear = LinearForecaster.fit(walk, design)
    units = (walk - linear.center) / linear.unit
    for steps, near in ((60, False), (design.settled, True)):
        scale = np.exp(linear.frame.along(units[-steps:]).frame.log_scale[-1]) * linear.unit
        assert (abs(scale - 1) < 0.3) == near, (steps, scale)


def test_a_walk_has_no_season_but_that_which_it_is_given():
    for drift, most in ((0.0, 2), (0.5, 2)):
        walks = [drift * np.arange(400) + np.cumsum(draw_noise(i, 400)) for i in range(30)]
        assert sum(bool(find_seasons(walk)) for walk in walks) <= most
    season = 3 * np.sin(2 * np.pi * np.arange(400) / 12)
    assert [find_seasons(walk + season) for walk in walks[:5]] == [(12,)] * 5


def draw_noise(seed, steps):
    return np.random.default_rng(seed).normal(size=steps)


def test_bands_that_training_made_too_narrow_are_not_kept():
    """Even if the centers of its paths, or the width of its bands, give it the better CRPS."""
    choice, model, start = begun()
    model.set_weights(start)
    bias, exact = model.network.get_layer("linear_known").bias, choice.fitted[0]

    def widened(by):
        model.network.get_layer("linear_known").bias.assign(exact_bias + by * is_log_scale)
        return model.get_weights()

    exact_bias = np.array(bias)
    is_log_scale = np.arange(len(exact_bias)) // model.likelihood.likelihood.num_components == 2
    assert np.allclose(exact_bias[is_log_scale], math.log(exact.sigma) + np.log(exact.scales))
    too_wide, too_narrow = widened(1.3), widened(-1.2)
    scores = []
    for weights in (too_wide, too_narrow):
        model.set_weights(weights)
        found = kerasar.backtest(model, SEASONAL, 6, 12, 120, num_paths=100, verbose=False)
        scores.append(found.scores["crps"])
    assert scores[1] < scores[0]
    assert not learned_more(model, too_wide, SEASONAL, 6, 120)


def test_bands_of_a_process_that_is_known_hold_without_being_widened():
    rng = np.random.default_rng(2)
    x = np.zeros(900)
    for t in range(1, 900):
        x[t] = 0.8 * x[t - 1] + rng.normal()
    choice = choose(x[:700], 10)
    assert choice.widening <= 1.15
    paths = choice.fitted[0].simulate(x, np.arange(700, 890, 10), 10, 300)
    low, high = np.quantile(paths, [0.05, 0.95], axis=1)
    actual = np.stack([x[o : o + 10] for o in range(700, 890, 10)])
    assert abs(((low <= actual) & (actual <= high)).mean() - 0.9) < 0.08


def test_crps_is_that_of_a_normal_distribution():
    paths = RNG.normal(2.0, 3.0, size=(4000, 1))
    z = (4.0 - 2.0) / 3.0
    below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    density = math.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    exact = 3 * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))
    np.testing.assert_allclose(crps(paths, [4.0]), [exact], rtol=0.05)
    few = RNG.normal(2.0, 3.0, size=(20_000, 3, 1))  # fair: the same mean from 3 paths
    np.testing.assert_allclose(crps(few, np.full((20_000, 1), 4.0)).mean(), exact, rtol=0.05)


def test_seasons_are_found_in_what_repeats():
    days = np.arange(24 * 40)
    rng = np.random.default_rng(0)
    hourly = np.sin(2 * np.pi * days / 24) * (1 + (days // 24 % 7 > 4)) + 0.1 * rng.normal(size=960)
    assert find_seasons(hourly) == (24, 168)
    assert find_seasons(np.where(rng.random(960) < 0.2, np.nan, hourly)) == (24, 168)
    weekly = np.where(rng.random(960) < 0.6, np.nan, np.sin(2 * np.pi * np.arange(960) / 7))
    assert find_seasons(weekly + 0.5 * rng.normal(size=960)) == (7,)
    assert find_seasons(np.cumsum(rng.normal(size=500))) == ()
    assert find_seasons(3.0 * np.arange(60)) == find_seasons(np.arange(3.0)) == ()


@pytest.mark.parametrize(
    ("series", "arguments", "match"),
    [
        ([1.0] * 5, {}, "at least 10 steps that are observed, but variable 0 .* has 5"),
        ([2.0] * 30, {}, "Variable 0 of series is 2 throughout"),
        (SEASONAL, dict(horizon=0), "horizon must be at least 1"),
        (SEASONAL, dict(normalization="seasonal", seasons=()), "needs a season"),
        (SEASONAL, dict(support="above"), "support must be"),
        (SEASONAL, dict(seasons=[1]), "each of seasons must be at least 2"),
    ],
)
def test_what_cannot_be_chosen_for_is_refused(series, arguments, match):
    with pytest.raises(ValueError, match=match):
        choose(series, **{"horizon": 6, **arguments})


def test_seasons_are_found_where_none_are_named():
    month = np.arange(120)
    noise = np.random.default_rng(0).normal(0, 1.0, 120)
    series = 20 + 0.1 * month + 4 * np.sin(2 * np.pi * month / 12) + noise
    assert choose(series, 12).design == choose(series, 12, seasons=[12]).design
    assert choose(series, 12, seasons=()).arguments["seasons"] == ()
