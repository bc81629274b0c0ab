"""What is known of a series before it comes: columns, the calendar, and the steps ahead."""

import csv
import functools

import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.kinds.series import Series
from kerasar.cli.server.export_folder import ExportFolder
from kerasar.data import load_series
from kerasar.data.calendar import calendar_columns
from kerasar.data.frequency import Frequency
from kerasar.forecasting import choose, start_from

RNG = np.random.default_rng(0)
STEPS, AHEAD = 220, 24
PROMOTION = (RNG.random(STEPS + AHEAD) < 0.2).astype("float32")
PRICE = RNG.normal(size=STEPS + AHEAD).astype("float32")
COVARIATES = np.stack([PROMOTION, PRICE], axis=1)
SALES = (50 + 9 * PROMOTION[:STEPS] + RNG.normal(size=STEPS)).astype("float32")


@functools.cache
def fitted(normalization="difference"):
    choice = choose(SALES, 12, [12], normalization=normalization, covariates=COVARIATES[:STEPS])
    model = kerasar.models.Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)
    start_from(model, choice.fitted)
    return choice, model


@pytest.fixture
def table(tmp_path):
    """A CSV file of daily sales, with 24 days ahead of which only the covariates are known."""
    days = np.datetime64("2023-01-01") + np.arange(STEPS + AHEAD)
    with open(tmp_path / "sales.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ds", "sales", "promotion", "price"])
        for i, day in enumerate(days):
            rows.writerow([day, SALES[i] if i < STEPS else "", PROMOTION[i], PRICE[i]])
    return tmp_path / "sales.csv"


@pytest.mark.parametrize("normalization", some(["difference", "seasonal"], ["seasonal"]))
def test_forecasts_follow_what_is_known_ahead(normalization):
    choice, model = fitted(normalization)
    paths = kerasar.forecast(model, SALES, AHEAD, 300, covariates=COVARIATES).paths
    mean = paths.mean(axis=0)
    promoted = PROMOTION[STEPS:] > 0
    assert mean[promoted].mean() - mean[~promoted].mean() == pytest.approx(9, abs=4)
    # The network begins as the linear model, covariates included.
    units = np.array(choice.covariates)
    standard = (COVARIATES - units[:, 0]) / units[:, 1]
    expected = choice.fitted[0].simulate(SALES, [STEPS], AHEAD, 300, covariates=standard)[0]
    np.testing.assert_allclose(mean, expected.mean(axis=0), atol=0.3 * expected.std(axis=0).max())
    found = kerasar.backtest(model, SALES, 12, 6, season=12, covariates=COVARIATES)
    assert found.scores["crps"] < 0.5 * found.seasonal_naive["crps"]


@pytest.mark.long
def test_an_exported_model_takes_covariates(tmp_path):
    _, model = fitted()
    model.export(str(tmp_path / "1"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["forecast"]
    request = dict(past=SALES, steps=12, num_paths=3, seed=1, temperature=1.0)
    request = {name: tf.constant(value) for name, value in request.items()}
    paths = served(**request, covariates=tf.constant(COVARIATES[: STEPS + 12]))["paths"]
    expected = kerasar.forecast(model, SALES, 12, 3, seed=1, covariates=COVARIATES).paths
    np.testing.assert_allclose(paths, expected, rtol=1e-4)
    warm_up = dict(ExportFolder(tmp_path / "1").warm_up_requests())["forecast"]
    assert np.isfinite(served(**warm_up)["paths"]).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="covariates"):
        served(**request, covariates=tf.constant(COVARIATES[:STEPS]))


def test_rows_at_the_end_with_nothing_but_covariates_are_steps_ahead(table):
    data = load_series(table, covariates=["promotion", "price"], gaps=True, calendar=True)
    assert data.columns == ("sales",) and len(data.whole) == STEPS == len(data.times)
    known = data.covariates_of(STEPS + AHEAD + 9)
    np.testing.assert_array_equal(known[:, :2], COVARIATES)  # no more are known
    assert known.shape == (STEPS + AHEAD, 2 + 7 + 4)
    only = load_series(table, column="sales", gaps=True, calendar=True)
    assert len(only.covariates_of(1000)) == 1000  # a calendar has no end


def test_the_calendar_is_that_of_the_times():
    times = np.datetime64("2024-02-28T06:00:00", "s") + np.arange(4) * np.timedelta64(21_600, "s")
    names, values = calendar_columns(times, Frequency(seconds=21_600))
    at = dict(zip(names, values.T, strict=True))
    np.testing.assert_allclose(at["hour sin 1"], [1, 0, -1, 0], atol=1e-6)
    np.testing.assert_array_equal(at["Wednesday"], [1, 1, 1, 0])
    np.testing.assert_array_equal(at["Thursday"], [0, 0, 0, 1])
    share = (58 + np.arange(1, 5) / 4) / 366
    np.testing.assert_allclose(at["year cos 1"], np.cos(2 * np.pi * share), atol=1e-6)
    months = np.array(["2023-12", "2024-01"], "datetime64[s]")
    assert {name.split()[0] for name in calendar_columns(months, Frequency(months=1))[0]} == {
        "year"
    }
    with pytest.raises(ValueError, match="says nothing of steps of a year"):
        calendar_columns(months, Frequency(months=12))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, t: kerasar.forecast(m, SALES, 25, covariates=COVARIATES), "ask for 24 steps"),
        (lambda m, t: kerasar.forecast(m, SALES, 5), "takes 2 covariates of each step"),
        (
            lambda m, t: kerasar.forecast(m, SALES, 5, covariates=PROMOTION[:, None]),
            r"shape \(time \+ steps, 2\)",
        ),
        (
            lambda m, t: kerasar.forecast(m, SALES, 5, covariates=np.nan * COVARIATES),
            "must be finite",
        ),
        (
            lambda m, t: kerasar.forecast(
                kerasar.models.Forecaster(None), SALES, 5, covariates=COVARIATES
            ),
            "takes no covariates",
        ),
        (lambda m, t: load_series(t, covariates=["promotions"], gaps=True), "Did you mean 'prom"),
        (
            lambda m, t: load_series(t, "price", covariates=["price"], gaps=True),
            "'price' is named as both",
        ),
        (lambda m, t: load_series(t, covariates=["sales"], gaps=True), "no value at 2023-08-09"),
        (lambda m, t: load_series(t, covariates=["price"]), "pass gaps=True"),
        (lambda m, t: choose(SALES, 12, covariates=COVARIATES), r"shape \(220, covariates\)"),
    ],
)
def test_covariates_that_do_not_fit_are_refused(call, match, table):
    model = fitted()[1]
    with pytest.raises(ValueError, match=match):
        call(model, table)


@pytest.mark.usefixtures("loaded_once")
def test_the_commands_train_and_forecast_with_what_is_known_ahead(table, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Series, "export", lambda *about: about[-1].mkdir()
    )  # it takes most of the time
    run = tmp_path / "run"
    arguments = ["train", "forecaster", "--data", table, "--covariate", "promotion", "--calendar"]
    arguments += ["--column", "sales", "--epochs", 1, "--out", run]
    found = CliRunner().invoke(app, list(map(str, arguments)))
    assert found.exit_code == 0, found.output
    assert "12 covariates" in found.output
    found = CliRunner().invoke(app, ["forecast", str(run), "--steps", "24", "--num", "50"])
    assert found.exit_code == 0, found.output
    with open(run / "quantiles-1.csv") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["time"] == "2023-08-09" and len(rows) == AHEAD
    medians = np.array([float(row["sales 0.5"]) for row in rows])
    promoted = PROMOTION[STEPS:] > 0
    assert medians[promoted].mean() - medians[~promoted].mean() > 4
    found = CliRunner().invoke(app, ["forecast", str(run), "--steps", "25"])
    assert found.exit_code == 2 and "ask for 24 steps" in " ".join(found.stderr.split())
