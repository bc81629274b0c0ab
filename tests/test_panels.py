"""Many series, one model: reading, choosing, forecasting and judging a panel."""

import csv
import functools
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from serving import serve
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.kinds.panel import Panel
from kerasar.data import find_seasons, load_panel, panel_pieces
from kerasar.forecasting import (
    backtest_panel,
    choose_panel,
    forecast_panel,
    learned_more_of_panel,
    start_from,
)


def draw(count=24, seed=0, seasonal=True):
    """Series of one law and of unlike sizes, lengths and phases; the first has gaps."""
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(count):
        steps, size = int(rng.integers(30, 44)), 10 ** rng.uniform(-3, 5)
        rest = np.zeros(steps)
        for t in range(1, steps):
            rest[t] = 0.6 * rest[t - 1] + rng.normal()
        wave = 3 * seasonal * np.sin(2 * np.pi * (np.arange(steps) + i) / 6)
        found[f"shop {i}"] = (size * (20 + wave + rest)).astype("float32")
    found["shop 0"][[3, 11]] = np.nan
    return found


SERIES = draw()


def write(path, series=SERIES, static=True):
    """A long table of months; all series end together."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["shop", "month", "sales", "region"])
        for i, (name, values) in enumerate(series.items()):
            months = np.datetime64("2024-01") - len(values) + np.arange(len(values))
            for month, value in zip(months, values, strict=True):
                cell = "" if np.isnan(value) else value
                rows.writerow([name, month, cell, "north south".split()[i % 2]])
    return path


@functools.cache
def chosen():
    return choose_panel([values[:-4] for values in SERIES.values()], 4, [6])


@functools.cache
def fitted(num_series=None):
    choice = chosen()
    model = kerasar.models.Forecaster(
        None, likelihood=choice.likelihood(), **choice.arguments, num_series=num_series, units=4
    )
    start_from(model, choice.fitted)
    return choice, model


def test_a_long_table_is_a_panel(tmp_path):
    panel = load_panel(write(tmp_path / "long.csv"), statics=["region"], held_out=0.2)
    assert panel.names == list(SERIES) and panel.column == "sales"
    for one in panel.series:
        np.testing.assert_array_equal(one.whole, SERIES[one.name])
        assert str(one.times[-1]).startswith("2023-12-01") and str(one.frequency) == "month"
    assert panel.static_columns == ("region north", "region south")
    np.testing.assert_array_equal(panel.series[1].covariates_of(50), [[0, 1]] * 50)
    assert [len(one) for one in panel.covariates_of(train_only=True)] == list(map(len, panel.train))


def test_a_wide_table_has_a_series_in_each_row(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("country;2001;2002;2003;2004\nChad;1,5;2;;4\nPeru;;2;5;3,5\n")
    panel = load_panel(path, wide=True)
    assert panel.names == ["Chad", "Peru"]
    np.testing.assert_array_equal(panel.series[0].whole, [1.5, 2, np.nan, 4])
    np.testing.assert_array_equal(panel.series[1].whole, [2, 5, 3.5])
    assert [str(time)[:4] for time in panel.series[1].times] == ["2002", "2003", "2004"]


def test_numbers_name_the_series_of_a_wide_table_beside_times(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("store,2001,2002,2003\n007,1.5,2,3\n12,4,2,5\n")
    panel = load_panel(path, wide=True)
    assert panel.names == ["007", "12"] and str(panel.series[0].frequency) == "year"
    np.testing.assert_array_equal(panel.series[1].whole, [4, 2, 5])
    path.write_text("store,size,2001,2002,2003\n7,100,1.5,2,3\n12,50,4,2,5\n")
    assert load_panel(path, wide=True, statics=["size"]).names == ["7", "12"]
    with pytest.raises(ValueError, match="has times, and 'size', which is none"):
        load_panel(path, wide=True)


def test_short_series_go_by_the_weekdays_of_all(tmp_path):
    days = np.busday_offset("2020-01-01", np.arange(60))
    rows = [f"{name},{day},{i % 7}" for name, n in (("a", 60), ("b", 9)) for i, day in
            enumerate(days[:n])]  # fmt: skip
    path = tmp_path / "days.csv"
    path.write_text("\n".join(["unique_id,ds,y", *rows]))
    panel = load_panel(path)
    assert [len(one.whole) for one in panel.series] == [60, 9]
    assert {str(one.frequency) for one in panel.series} == {"weekday"}
    # With a series of all days, weekends are gaps of the other.
    rows += [f"c,{np.datetime64('2020-01-01') + i},{i % 5}" for i in range(40)]
    path.write_text("\n".join(["unique_id,ds,y", *rows]))
    assert [len(one.whole) for one in load_panel(path).series] == [84, 13, 40]


LONG = "unique_id,ds,y,size\na,2020-01,1,5\na,2020-02,3,5\nb,2020-01,2,6\nb,2020-02,4,6\n"


@pytest.mark.parametrize(
    ("text", "arguments", "match"),
    [
        (
            LONG.replace("02,4,6", "02,4,7"),
            dict(statics=["size"]),
            "'6' to '7' in line 5",
        ),
        (LONG, {}, "2 columns of numbers: 'y', 'size'. Choose one"),
        (LONG, dict(column="z"), "columns named 'z'"),
        (
            LONG.replace("2020-02,4", "2019-12,4"),
            dict(column="y"),
            "Series 'b': .*2019-12-01 after",
        ),
        (LONG.replace(",4,", ",x,"), dict(column="y"), "Series 'b': .*'x'"),
        (LONG.replace("\nb,", "\n ,"), dict(column="y"), "is empty in line 4"),
        (LONG + "c,2020-01-01,1,1\nc,2020-01-02,1,1\n", dict(column="y"), "'c' are a day apart"),
        ("ds,y\n2020-01,1\n2020-02,2\n", {}, "has a column that names its series"),
        ("unique_id,y\na,1.5\na,2\n", {}, "only 'a'"),
        ("unique_id,y\na,1.5\na,2\nb,3\n", {}, "'b' of .* has 1 step"),
        ("id,1,2\na,1.5,2\na,3,4.5\n", dict(wide=True), "'a' names several"),
        ("id,x\na,1.5\nb,3\n", dict(wide=True), "1 columns of numbers"),
        (LONG, dict(column="y", statics=["size"], categories={"size": ["5"]}), "'6' in column"),
    ],
)
def test_what_is_no_panel_is_refused(tmp_path, text, arguments, match):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=match):
        load_panel(tmp_path / "bad.csv", **arguments)


def test_series_together_show_a_season_that_each_is_too_short_for():
    rng = np.random.default_rng(0)
    noise = 0.9 * rng.normal(size=(30, 40))
    waves = np.sin(2 * np.pi * (np.arange(30)[:, None] + np.arange(40)) / 6) + noise
    assert find_seasons(waves, independent=True) == (6,)
    assert find_seasons(noise, independent=True) == ()


def test_pieces_judge_each_step_once():
    series = [np.arange(5.0), np.arange(23.0)]
    pieces = panel_pieces(series, 8, [2, 3], known=True, unknown=0.0)
    judged = [
        (which, int(value))
        for which, x, start in zip(pieces["condition"], pieces["x"], pieces["start"], strict=True)
        for value in x[start:]
    ]
    assert judged == [(1, t) for t in range(2, 5)] + [(2, t) for t in range(3, 23)]
    np.testing.assert_array_equal(pieces["x"][0], [np.nan] * 3 + [0, 1, 2, 3, 4])


def test_one_model_forecasts_all_series_and_others():
    choice, model = fitted()
    assert choice.design.own_scale and len(choice.fitted) == 1
    found = forecast_panel(model, SERIES, 6, num_paths=20, temperature=1e-6)
    for name in ("shop 0", "shop 5"):  # in one batch as each by itself
        alone = kerasar.forecast(model, SERIES[name], 6, num_paths=2, temperature=1e-6).paths
        np.testing.assert_allclose(found[name].paths[:2], alone, rtol=1e-3)
    # A series of another size, and one that is hardly known: nothing is told of either.
    large = {"new": 1e7 * SERIES["shop 3"], "short": SERIES["shop 3"][-7:]}
    new = forecast_panel(model, large, 6, num_paths=300)
    old = kerasar.forecast(model, SERIES["shop 3"], 6, num_paths=300).paths
    np.testing.assert_allclose(new["new"].paths.mean(0) / 1e7, old.mean(0), rtol=0.02)
    assert 0.3 < new["short"].paths.std() / old.std() < 3


def test_a_panel_is_judged_beside_the_naive_forecast(tmp_path):
    _, model = fitted()
    panel = load_panel(write(tmp_path / "long.csv"), column="sales", held_out=0.1)
    found = backtest_panel(model, panel, 4, season=6, num_paths=100)
    assert found.scores["scaled_crps"] < 0.9 * found.seasonal_naive["scaled_crps"]
    assert 0.75 < found.scores["coverage_90"] < 1
    assert set(found.by_series) == set(SERIES) and len(found.by_step["crps"]) == 4
    assert json.loads(json.dumps(found.to_dict()))["forecasts"] == len(SERIES)
    several = backtest_panel(model, panel, 2, {"shop 1": [20, 25]}, num_paths=10)
    assert several.names == ("shop 1", "shop 1") and several.origins == (20, 25)
    worse = [w + 0.3 * np.sign(w) for w in model.get_weights()]
    held_out = [4] * len(panel)
    start = model.get_weights()
    assert learned_more_of_panel(model, worse, panel, 4, held_out)
    assert not learned_more_of_panel(model, start, panel, 4, held_out)


def test_a_model_may_know_which_series_is_which(tmp_path):
    keras.utils.set_random_seed(0)
    _, model = fitted(num_series=2)
    # One jumps up, one down; before the first jump nothing but its name says which.
    rng = np.random.default_rng(1)
    jumps = rng.exponential(3.0, (2, 120)) * (rng.random((2, 120)) < 0.3)
    series = 50 + rng.normal(size=(2, 120)) + jumps * np.array([[1], [-1]])
    pieces = panel_pieces(list(series), 12, [6, 6], known=True)
    model.compile("adam")
    model.optimizer.learning_rate = 0.005
    names = model.network.get_layer("series_embedding").embeddings
    before = np.array(names)
    model.fit(pieces, epochs=20, batch_size=8, verbose=0)
    assert (np.array(names) != before).any(axis=1).all()
    right, wrong = (
        model.log_prob(series.astype("float32"), {"series": np.array(order, "int32")}).sum()
        for order in ([1, 2], [2, 1])
    )
    assert right > wrong + 0.5
    names.assign(10 * rng.normal(size=names.shape))
    past = {"up": np.full(20, 50.0) + rng.normal(size=20)}
    past["down"] = past["other"] = past["up"]
    found = forecast_panel(model, past, 5, num_paths=100, known=["up", "down"])
    ends = [found[name].paths[:, -1].mean() for name in past]
    assert np.isfinite(ends).all() and np.ptp(ends) > 0.1 and len(set(ends)) == 3
    model.export(str(tmp_path / "1"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["forecast"]
    request = dict(past=np.float32(past["up"]), steps=5, num_paths=3, seed=1, temperature=1.0)
    request = {name: tf.constant(value) for name, value in request.items()}
    paths = served(**request, series=tf.constant(1))["paths"]
    expected = forecast_panel(model, {"up": past["up"]}, 5, 3, seed=1, known=["up"], chunk_size=3)[
        "up"
    ].paths
    np.testing.assert_allclose(paths, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: choose_panel([], 3), "at least one series"),
        (lambda m: choose_panel([np.ones(20)], 3), r"series\[0\] has 20 steps with 1 different"),
        (lambda m: choose_panel([np.ones((20, 2))], 3), r"\(20, 2\)"),
        (lambda m: choose_panel(list(SERIES.values()), 3, normalization="seasonal"), "needs a sea"),
        (lambda m: forecast_panel(m, {}, 3), "at least one series"),
        (lambda m: forecast_panel(m, {"a": np.full(9, np.nan)}, 3), "a value that is observed"),
        (
            lambda m: forecast_panel(kerasar.models.CausalConvNet(8, 3), {"a": np.ones(9)}, 3),
            "real series of one variable",
        ),
    ],
)
def test_bad_arguments_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call(fitted()[1])


def test_paths_of_a_panel_that_run_away_name_their_series():
    likelihood = kerasar.distributions.Relative(
        kerasar.distributions.GaussianMixture(1), "difference", own_scale=True
    )
    model = kerasar.models.Forecaster(None, likelihood=likelihood, lags=2, units=2)
    bias = model.network.get_layer("linear_known")
    weights = bias.get_weights()
    weights[1][1] = 5e3  # the mean of each step
    bias.set_weights(weights)
    with pytest.raises(FloatingPointError, match="for series 'b'|for series 'a'"):
        forecast_panel(model, {"a": SERIES["shop 1"], "b": SERIES["shop 2"]}, 5, 10)
    found = forecast_panel(model, {"a": SERIES["shop 1"]}, 5, 10, on_runaway="clip")
    assert found.clipped == 10 and np.isfinite(found["a"].paths).all()


def test_series_that_end_with_gaps_are_drawn_on_from_their_last_values():
    _, model = fitted()
    whole = SERIES["shop 1"][:24]
    through = forecast_panel(model, {"a": whole}, 6, 3, seed=2)["a"].paths
    gap = np.append(whole, [np.nan] * 4)
    found = forecast_panel(model, {"a": gap}, 2, 3, seed=2)["a"].paths
    np.testing.assert_allclose(found, through[:, 4:], rtol=1e-4)
    # Beside another series, each from its own last value.
    both = forecast_panel(model, {"a": gap, "b": SERIES["shop 2"][:28]}, 2, 3, seed=2)
    np.testing.assert_allclose(both["a"].paths, found, rtol=1e-4)


@pytest.mark.parametrize("which", some(["own scale", "which series", "statics"], ["statics"]))
def test_an_exported_model_of_a_panel_forecasts_without_kerasar(tmp_path, which):
    if which == "statics":
        train = [values[:-4] for values in SERIES.values()]
        given = [np.full((len(one), 1), i % 2) for i, one in enumerate(train)]
        choice = choose_panel(train, 4, [6], normalization="seasonal", covariates=given)
        model = kerasar.models.Forecaster(
            None, likelihood=choice.likelihood(), **choice.arguments, units=4
        )
        start_from(model, choice.fitted)
    else:
        _, model = fitted(num_series=24 if which == "which series" else None)
    start, rng = model.get_weights(), np.random.default_rng(0)
    model.set_weights([w + 0.03 * rng.normal(size=w.shape).astype(w.dtype) for w in start])
    past = SERIES["shop 0"].copy()  # with gaps, and of a size of its own
    past[-2:] = np.nan
    condition = {}
    if which == "which series":
        condition["series"] = np.int32(5)
    if which == "statics":
        condition["covariates"] = np.ones((len(past) + 3, 1), "float32")
    model.export(str(tmp_path / "1"), verbose=False)
    request = dict(past=past, steps=3, num_paths=5, seed=4, temperature=1.1)
    x = np.stack([past[:30], SERIES["shop 3"][:30]])
    beside = {name: np.stack([each[:30] if each.ndim else each] * 2)
              for name, each in condition.items()}  # fmt: skip
    served, scored = serve(
        tmp_path / "1", [("forecast", {**request, **condition}), ("log_prob", {"x": x, **beside})]
    )
    known = [f"shop {i}" for i in (9, 8, 7, 6, 0)] if which == "which series" else []
    found = forecast_panel(
        model,
        {"shop 0": past},
        3,
        5,
        seed=4,
        known=known,
        covariates={"shop 0": condition.get("covariates")},
        temperature=1.1,
        on_runaway="clip",
    )
    np.testing.assert_allclose(served["paths"], found["shop 0"].paths, rtol=1e-3)
    expected = model.log_prob(x, condition=beside or None)
    model.set_weights(start)  # it is shared
    np.testing.assert_allclose(scored["log_prob"], expected, rtol=1e-4)


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.usefixtures("loaded_once")
def test_the_commands_train_forecast_and_judge_a_panel(tmp_path, monkeypatch):
    monkeypatch.setattr(Panel, "export", lambda *about: about[-1].mkdir())  # most of the time
    table, folder = write(tmp_path / "sales.csv"), tmp_path / "run"
    found = run(
        "train", "forecaster", "--data", table, "--static", "region", "--epochs", 1, "--out", folder
    )
    assert found.exit_code == 0, found.output
    assert "24 series of sales" in found.output and "forecast" in found.output
    scores = json.loads((folder / "backtest.json").read_text())
    assert scores["scaled_crps"] < scores["seasonal_naive"]["scaled_crps"]
    # Shops that were not there: they begin cold.
    new = write(tmp_path / "new.csv", dict(list(draw(3, seed=9).items())))
    found = run("forecast", folder, "--history", new, "--steps", 3, "--num", 20)
    assert found.exit_code == 0, found.output
    with open(folder / "quantiles-1.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["unique_id"] for row in rows] == [f"shop {i}" for i in range(3) for _ in range(3)]
    assert rows[0]["time"] == "2024-01-01" and float(rows[0]["sales 0.05"]) > 0
    found = run("forecast", folder, "--series", "shop 7", "--steps", 2, "--num", 5)
    assert found.exit_code == 0, found.output
    found = run("forecast", folder, "--series", "shop77")
    assert found.exit_code == 2 and "Did you mean 'shop 7'" in " ".join(found.stderr.split())
    found = run("backtest", folder, "--num", 20)
    assert found.exit_code == 0 and "Forecasts of 24 series" in found.output, found.output
    found = run("score", folder, table)
    assert found.exit_code == 0 and "shop 23 2023-" in found.output, found.output
    quarters = tmp_path / "quarters.csv"
    quarters.write_text(
        "shop,month,sales,region\n"
        + "".join(
            f"{shop},{2000 + i // 4}Q{i % 4 + 1},{i % 7},north\n"
            for shop in "ab"
            for i in range(20)
        )
    )
    found = run("forecast", folder, "--history", quarters)
    assert found.exit_code == 2, found.output
    assert "are a 3 months apart, but those" in " ".join(found.stderr.split())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--static", "regions"], "Did you mean 'region'"),
        (["--levels", "9"], "--levels is for a single series"),
        (["--series", "shop 5", "--static", "region"], "--static, --wide and --embed-series are"),
        (["--wide", "--calendar"], "as a step|1 columns of numbers"),
    ],
)
def test_the_commands_refuse_before_training(tmp_path, options, match):
    table = write(tmp_path / "s.csv")
    found = run("train", "forecaster", "--data", table, *options, "--out", tmp_path / "r")
    assert found.exit_code == 2, found.output
    assert re.search(match, " ".join(found.stderr.split())), found.stderr
    assert not (tmp_path / "r").exists()
