"""Forecasts: continuations, their quantiles, the files and the picture made of them."""

import csv

import keras
import numpy as np
import pytest

import kerasar
from kerasar.data import SeriesData, load_series
from kerasar.distributions import GaussianMixture
from kerasar.forecasting import Forecast
from kerasar.forecasting.runaway import Limits, keep_within
from kerasar.pictures import fan_chart, save
from kerasar.testing import randomize


def model_of(length=None, num_variables=None, levels=None, likelihood=None):
    if levels is None:
        likelihood = GaussianMixture(1, num_variables)
    model = kerasar.models.CausalConvNet(
        length,
        levels,
        filters=6,
        dilations=(1, 2),
        likelihood=likelihood,
        num_variables=num_variables,
    )
    randomize(model.network)
    return model


PAST = np.random.default_rng(0).normal(size=30).astype("float32")


def assert_same_paths(found, expected):
    # A sampler that has run for a while is compiled, and rounds differently from then on.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_paths_are_continuations_that_the_model_draws():
    model = model_of()
    found = kerasar.forecast(model, PAST, steps=5, num_paths=7, seed=3, context=20)
    drawn = model.sample(7, seed=3, prompt=PAST[-20:], length=25)
    assert_same_paths(found.paths, drawn[:, 20:])
    np.testing.assert_array_equal(found.past, PAST)
    assert found.columns == ("0",)


def test_the_reach_of_the_network_is_context_enough():
    model = model_of()
    reach = kerasar.receptive_field(model.network).reach
    found = kerasar.forecast(model, PAST, steps=4, num_paths=3)
    drawn = model.sample(3, prompt=PAST[-reach:], length=reach + 4)
    assert_same_paths(found.paths, drawn[:, reach:])
    # What the network says of the next step is the same as if it saw everything.
    longer = [np.append(PAST[-keep:], 0)[None].astype("float32") for keep in (reach, len(PAST))]
    short, whole = (model.compute_parameters(x, training=False)[0, -1] for x in longer)
    np.testing.assert_allclose(short, whole, atol=1e-5)


def test_a_model_of_fixed_length_sees_what_fits():
    model = model_of(length=12)
    found = kerasar.forecast(model, PAST, steps=5, num_paths=3)
    assert_same_paths(found.paths, model.sample(3, prompt=PAST[-7:])[:, 7:])
    for steps, past in ((12, PAST), (5, PAST[:6])):
        with pytest.raises(ValueError, match="sequences of 12 steps, past and forecast together"):
            kerasar.forecast(model, past, steps=steps)


def test_several_variables_go_on_together(tmp_path):
    model = model_of(num_variables=2)
    past = np.random.default_rng(1).normal(size=(9, 2)).astype("float32")
    series = SeriesData("sea", past[:5], past[5:], ("level", "rain"))
    found = kerasar.forecast(model, past, steps=4, num_paths=6, series=series)
    assert found.paths.shape == (6, 4, 2) and found.columns == ("level", "rain")
    assert found.quantiles([0.5]).shape == (1, 4, 2)
    found.write_quantiles(tmp_path / "q.csv", [0.1, 0.9])
    rows = list(csv.reader(open(tmp_path / "q.csv")))
    assert rows[0] == ["step", "level 0.1", "level 0.9", "rain 0.1", "rain 0.9"]
    np.testing.assert_allclose(float(rows[3][3]), found.quantiles([0.1])[0, 2, 1], rtol=1e-6)


def test_a_quantised_series_goes_in_and_comes_out_in_its_own_units(tmp_path):
    x = 100 + 10 * np.random.default_rng(0).normal(size=60)
    np.save(tmp_path / "x.npy", x)
    series = load_series(tmp_path / "x.npy", levels=16)
    model = model_of(levels=16)
    found = kerasar.forecast(model, x[-9:], steps=3, num_paths=4, series=series, context=9)
    codes = model.sample(4, prompt=series.encode(x[-9:]), length=12)[:, 9:]
    np.testing.assert_array_equal(found.paths, series.decode(codes))
    assert found.paths.min() >= x.min() and found.paths.max() <= x.max()


def test_a_further_path_falls_below_a_quantile_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(3000):
        *paths, further = rng.normal(size=(40, 1))
        low, high = Forecast(PAST, np.array(paths), ("0",)).quantiles([0.05, 0.95])
        inside += low[0] <= further[0] <= high[0]
    assert abs(inside / 3000 - 0.9) < 5 * np.sqrt(0.09 / 3000)


def test_paths_are_written_row_by_row(tmp_path):
    paths = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    Forecast(PAST, paths, ("tide",)).write_paths(tmp_path / "p.csv")
    rows = list(csv.reader(open(tmp_path / "p.csv")))
    assert rows[0] == ["path", "step", "tide"] and len(rows) == 7
    assert rows[4][:2] == ["2", "2"]
    assert [np.float32(row[2]) for row in rows[1:]] == paths.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (dict(steps=0), ValueError, "steps must be at least 1"),
        (dict(steps=2.5), TypeError, "steps must be an integer"),
        (dict(num_paths=0), ValueError, "num_paths must be at least 1"),
        (dict(context=0), ValueError, "context must be at least 1"),
        (dict(past=PAST[None]), ValueError, r"shape \('time',\).*\(1, 30\)"),
        (dict(past=[]), ValueError, "at least one step"),
        (dict(past=["a"]), TypeError, "past must hold numbers"),
        (dict(past=np.append(PAST, np.nan)), ValueError, "prompt must be finite"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        kerasar.forecast(model_of(), **{"past": PAST, "steps": 3, "num_paths": 2, **arguments})


def test_images_have_no_forecast():
    model = kerasar.models.ShiftedPixelCNN((4, 4, 1), 2, filters=(4,), head_filters=4)
    with pytest.raises(ValueError, match="draws images"):
        kerasar.forecast(model, PAST, steps=2)


def test_probabilities_are_probabilities():
    with pytest.raises(ValueError, match="between 0 and 1, but one of them is 1.0"):
        Forecast(PAST, np.zeros((3, 2)), ("0",)).quantiles([0.5, 1.0])


def test_a_fan_chart_shows_bands_median_past_and_truth(tmp_path):
    paths = np.random.default_rng(0).normal(size=(200, 6, 2))
    past, actual = np.zeros((4, 2)), np.ones((6, 2))
    figure = fan_chart(past, paths, actual, (0.5, 0.9), ["level", "rain"], "forecast")
    assert len(figure.axes) == 2 and figure.axes[1].get_ylabel() == "rain"
    axes = figure.axes[0]
    assert len(axes.collections) == 2, "a band for each probability"
    wide = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose(
        [wide.min(), wide.max()], [np.quantile(paths[..., 0], q, 0, method="weibull").min()
        if q < 0.5 else np.quantile(paths[..., 0], q, 0, method="weibull").max()
        for q in (0.05, 0.95)],
    )  # fmt: skip
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"median", "past", "actual"}
    np.testing.assert_array_equal(lines["past"].get_xdata(), [-3, -2, -1, 0])
    np.testing.assert_array_equal(lines["actual"].get_xdata(), range(7))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == sorted(["90%", "50%", "median", "past", "actual"])
    save(figure, tmp_path / "fan.png")
    assert (tmp_path / "fan.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("past", "paths", "options", "match"),
    [
        (np.zeros(3), np.zeros(5), {}, r"\(3,\) and \(5,\)"),
        (np.zeros((3, 2)), np.zeros((5, 4)), {}, r"\(3, 2\) and \(5, 4\)"),
        (np.zeros(3), np.zeros((0, 4)), {}, r"\(0, 4\)"),
        (np.zeros(3), np.zeros((5, 4)), dict(actual=np.zeros(3)), r"shape \(4,\), but .*\(3,\)"),
        (np.zeros(3), np.zeros((5, 4)), dict(bands=(0.5, 90)), "one of them is 90"),
        (np.zeros(3), np.zeros((5, 4)), dict(columns=["a", "b"]), "each of 1 variables"),
    ],
)
def test_what_is_no_forecast_is_not_drawn(past, paths, options, match):
    with pytest.raises(ValueError, match=match):
        fan_chart(past, paths, **options)


def test_the_context_is_never_longer_than_what_was_trained_on(tmp_path):
    model = kerasar.models.LinearRecurrent(
        None, None, filters=4, blocks=1, likelihood=GaussianMixture(1)
    )
    assert model.trained_length is None
    model.compile()
    model.fit(PAST[:24].reshape(2, 12), epochs=1, verbose=0)
    model.fit(PAST[:24].reshape(4, 6), epochs=1, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = kerasar.load(tmp_path / "m.keras")
    assert model.trained_length == loaded.trained_length == 12
    found = kerasar.forecast(loaded, PAST, steps=3, num_paths=4)
    assert_same_paths(found.paths, model.sample(4, prompt=PAST[-12:], length=15)[:, 12:])


def explosive(factor=3.0):
    """x[t] = factor · x[t - 1], and a little noise."""
    x = keras.Input((None,), name="x")
    h = kerasar.layers.CausalShift()(keras.ops.expand_dims(x, -1))
    head = keras.layers.Dense(3)
    model = kerasar.AutoregressiveModel(keras.Model(x, head(h)), GaussianMixture(1))
    head.set_weights([np.array([[0, factor, 0]]), np.array([0, 0, -5.0])])
    return model


def test_paths_that_run_away_are_an_error_that_says_which():
    with pytest.raises(FloatingPointError) as error:
        kerasar.forecast(explosive(), [1.0, 1.0], steps=9, num_paths=5)
    # From -2 to 2, two scales about the mean, is the range; ten times it ends at ±20: 3³ = 27.
    said = str(error.value)
    assert "5 of 5 paths" in said and "first at step 3, where '0' is 2" in said
    assert "that range is taken as -2 to 2" in said and "on_runaway" in said
    # A series that is known to reach as far has paths that may.
    series = SeriesData("wild", np.float32([-2e4, 0.0]), np.float32([2e4]), ("a",))
    found = kerasar.forecast(explosive(), [1.0, 1.0], steps=9, num_paths=5, series=series)
    assert found.paths.max() > 10_000 and found.clipped == 0
    series = SeriesData("new", np.float32([-2e4, 2e4]), np.float32([]), ("a",))  # no test part
    assert kerasar.forecast(explosive(), [1.0, 1.0], 9, 5, series=series).clipped == 0


def test_paths_that_run_away_are_clipped_if_that_is_asked_for():
    model = explosive(1e20)  # infinite at the second step
    found = kerasar.forecast(model, [1.0], steps=4, num_paths=3, on_runaway="clip")
    np.testing.assert_allclose(found.paths, 20.0)
    assert found.clipped == 3


def test_a_value_that_is_no_number_is_clipped_to_the_one_before():
    paths = np.array([[[1.0], [np.nan], [np.inf]], [[np.nan], [2.0], [3.0]]])
    limits = Limits(np.array([-2.0]), np.array([4.0]))
    with pytest.raises(FloatingPointError, match="2 of 2 paths .* step 1, where 'a' is nan"):
        keep_within(paths, limits, ["a"], "error", "m")
    kept, clipped = keep_within(paths, limits, ["a"], "clip", "m")
    np.testing.assert_array_equal(kept[..., 0], [[1, 1, 31], [1, 2, 3]])
    assert clipped == 2
