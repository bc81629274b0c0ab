"""The command on sequences, recordings and series: train, sample, score, and what is refused."""

import csv
import json
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from small_entries import small_entry
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app, registry
from kerasar.cli.kinds import KINDS, kind_of
from kerasar.cli.kinds.kind import Samples, check_drawn

pytestmark = pytest.mark.usefixtures("loaded_once")
SMALL = dict(filters=4, skip_filters=4, cycles=1, cycle_length=3)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments):
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done


def refuse(*arguments):
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def small_models():
    """Models of a few weights, and no exports, which take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        settings = {
            "wavenet": {"audio": {**SMALL, "input_encoding": "embedding"}, "series": SMALL},
            "linear-recurrent": {"sequences": dict(filters=4, blocks=1)},
            "causal-conv-net": {"sequences": dict(filters=4, dilations=(1, 2))},
            "realnvp": {"vectors": dict(hidden_units=8, depth=2)},
            "maf": {"vectors": dict(hidden_units=(8,), depth=2)},
        }
        small = {name: small_entry(name, sizes) for name, sizes in settings.items()}
        patch.setattr(registry, "MODELS", MappingProxyType({**registry.MODELS, **small}))
        for kind in (kerasar.AutoregressiveModel, kerasar.FlowModel):
            patch.setattr(kind, "export", lambda model, path, **_: Path(path).mkdir())
        yield


def recordings(folder):
    rng = np.random.default_rng(0)
    for label in ("high", "low"):
        (folder / label).mkdir(parents=True)
        for i in range(6):
            codes = rng.integers(100, 156, 300 + 20 * i)
            kerasar.data.write_wav(folder / label / f"{i}.wav", codes, 8000)


def series_file(path, steps=400):
    t = np.arange(steps)
    values = 10 + np.sin(t / 5) + 0.1 * np.random.default_rng(0).normal(size=steps)
    rows = "\n".join(f"{i},{value:.4f}" for i, value in enumerate(values))
    path.write_text(f"hour,metres\n{rows}\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_models):
    """A run of one epoch for each kind of data."""
    home = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(0)
    length = rng.integers(3, 7, 40)
    rolls = rng.integers(0, 2, (int(length.sum()), 3))
    np.savez(home / "rolls.npz", train=rolls, train_offsets=np.cumsum([0, *length]))
    recordings(home / "voices")
    series_file(home / "tide.csv")
    points = rng.normal(size=(60, 2)) * [1.0, 5.0] + [0.0, 100.0]
    np.savetxt(home / "points.csv", points, delimiter=",", header="a,b", comments="")
    common = ("--epochs", 1, "--batch-size", 4)
    for model, data, name, options in (
        ("causal-conv-net", "rolls.npz", "sequences", ()),
        ("wavenet", "voices", "audio", ("--conditional",)),
        ("wavenet", "tide.csv", "series", ("--column", "metres")),
        ("realnvp", "points.csv", "vectors", ()),
    ):
        succeed("train", model, "--data", home / data, "--out", home / name, *common, *options)
    return home


@pytest.mark.parametrize("name", ["sequences", "audio", "series", "vectors"])
def test_a_run_keeps_its_kind_its_pictures_and_its_result(trained, name):
    config = json.loads((trained / name / "config.json").read_text())
    assert config["kind"] == name and np.isfinite(config["test"]["bits_per_dim"])
    for picture in KINDS[name].pictures:
        assert (trained / name / picture).exists()


def test_sequences_are_drawn_and_scored(trained):
    run_folder = trained / "sequences"
    out = trained / "drawn.npz"
    succeed("sample", run_folder, "--num", 3, "--length", 5, "--out", out)
    with np.load(out) as arrays:
        assert arrays["samples"].shape == (3, 5, 3)
    succeed("score", run_folder, trained / "rolls.npz", "--out", trained / "rolls.csv")
    rows = list(csv.DictReader((trained / "rolls.csv").open()))
    test = kerasar.data.load_sequences(trained / "rolls.npz").test
    nats = -kerasar.load(run_folder).log_prob(test)
    np.testing.assert_allclose([float(r["nats"]) for r in rows], nats, atol=1e-3)
    bits = nats / np.log(2) / (test["length"] * 3)
    np.testing.assert_allclose([float(r["bits_per_dim"]) for r in rows], bits, atol=1e-4)


@pytest.mark.long
def test_a_linear_recurrent_network_is_trained_and_drawn_from(trained):
    run_folder, out = trained / "recurrent", trained / "recurrent.npz"
    common = ("--epochs", 1, "--batch-size", 4, "--out", run_folder)
    succeed("train", "linear-recurrent", "--data", trained / "rolls.npz", *common)
    succeed("sample", run_folder, "--num", 2, "--length", 7, "--out", out)
    with np.load(out) as arrays:
        assert arrays["samples"].shape == (2, 7, 3)


def test_recordings_are_drawn_by_class_and_continued(trained):
    run_folder, prompt = trained / "audio", trained / "voices" / "low" / "2.wav"
    out = trained / "low.npz"
    succeed("sample", run_folder, "--classes", "low", "--num", 2, "--length", 0.01, "--out", out)
    with np.load(out) as arrays:
        assert arrays["samples"].shape == (2, 80)
    wav = trained / "on.wav"
    arguments = ("--num", 1, "--classes", 1, "--prompt", prompt, "--length", 0.01)
    succeed("sample", run_folder, *arguments, "--out", wav)
    import soundfile

    sound, rate = soundfile.read(wav)
    given, _ = soundfile.read(prompt)
    assert rate == 8000 and len(sound) == len(given) + 80
    np.testing.assert_allclose(sound[: len(given)], given, atol=0.02)  # µ-law rounds


def test_a_series_is_forecast(trained):
    files = [trained / name for name in ("paths.csv", "quantiles.csv", "fan.png")]
    arguments = ("--prompt", trained / "tide.csv", "--length", 6, "--num", 20)
    outs = [part for file in files for part in ("--out", file)]
    succeed("sample", trained / "series", *arguments, *outs)
    paths = list(csv.DictReader(files[0].open()))
    assert len(paths) == 120 and {"path", "step", "metres"} == set(paths[0])
    assert len(list(csv.DictReader(files[1].open()))) == 6
    assert files[2].stat().st_size > 1000


def test_a_series_is_forecast_and_judged_by_commands_of_their_own(trained):
    folder = trained / "series"
    result = json.loads((folder / "backtest.json").read_text())
    assert np.isfinite(result["crps"]) and result["seasonal_naive"]["crps"] > 0
    paths = trained / "on.csv"
    succeed("forecast", folder, "--steps", 5, "--num", 9, "--out", paths)
    rows = list(csv.DictReader(paths.open()))
    assert len(rows) == 45 and {"path", "step", "metres"} == set(rows[0])
    days = np.datetime64("2020-02-20") + np.arange(30)
    dated, quantiles = trained / "dated.csv", trained / "on-quantiles.csv"
    dated.write_text("ds,metres\n" + "".join(f"{d},{10 + i % 3}\n" for i, d in enumerate(days)))
    options = ("--steps", 2, "--num", 9, "--history", dated)
    succeed("forecast", folder, *options, "--out", quantiles)
    rows = list(csv.DictReader(quantiles.open()))
    assert [row["time"] for row in rows] == ["2020-03-21", "2020-03-22"]
    days = "".join(f"{i},{i % 7 + 0.5 if i < 50 else ''}\n" for i in range(60))
    (trained / "ends.csv").write_text("day,metres\n" + days)
    said = refuse("train", "forecaster", "--data", trained / "ends.csv", "--out", trained / "no")
    assert "of column 'metres' are missing" in said and not (trained / "no").exists()
    out = trained / "judged.json"
    options = ("--steps", 4, "--origins", 3, "--num", 20)
    said = succeed("backtest", folder, *options, "--out", out).stderr
    assert "Forecasts of 4 steps from 3 places: CRPS" in said
    judged = json.loads(out.read_text())
    assert len(judged["by_step"]["crps"]) == 4 and judged["origins"][0] == 360
    assert out.with_suffix(".png").stat().st_size > 5000
    assert "exists" in refuse("backtest", folder, "--out", out)
    for command in ("forecast", "backtest"):
        said = refuse(command, trained / "vectors")
        assert "Forecasts are of series, but" in said


def test_paths_that_run_away_are_not_written(trained):
    out = trained / "wild-quantiles.csv"
    wild = ("sample", trained / "series", "--length", 6, "--num", 20, "--temperature", 1e6)
    done = run(*wild, "--out", out)
    assert done.exit_code == 1 and "leave 10 times the range" in " ".join(done.stderr.split())
    assert not out.exists()
    succeed(*wild, "--out", out, "--on-runaway", "clip")
    values = np.loadtxt(out, delimiter=",", skiprows=1)[:, 1:]
    assert np.isfinite(values).all() and np.ptp(values) > 10 and np.ptp(values) < 60


def test_samples_that_are_no_numbers_are_not_written():
    values = np.array([[1.0, 2.0], [np.nan, 1.0], [np.inf, np.nan]])
    with pytest.raises(FloatingPointError, match="2 of 3 samples are not finite"):
        check_drawn(Samples(values))
    check_drawn(Samples(values[:1]))
    check_drawn(Samples(np.zeros((3, 4), "int32")))


def test_points_are_drawn_and_scored_in_their_own_units(trained):
    run_folder, out = trained / "vectors", trained / "new.csv"
    succeed("sample", run_folder, "--num", 50, "--out", out)
    drawn = np.loadtxt(out, delimiter=",", skiprows=1)
    assert drawn.shape == (50, 2) and abs(drawn[:, 1].mean() - 100) < 5
    succeed("score", run_folder, trained / "points.csv", "--out", trained / "points-scored.csv")
    rows = list(csv.DictReader((trained / "points-scored.csv").open()))
    test = kerasar.data.load_vectors(trained / "points.csv").test
    nats = -kerasar.load(run_folder).log_prob(test)
    np.testing.assert_allclose([float(r["nats"]) for r in rows], nats, atol=1e-3)
    said = refuse("score", run_folder, trained / "points.csv", "--map", "map.npz")
    assert "FlowModel scores whole examples" in said


def test_points_have_a_detector(trained):
    many = np.random.default_rng(1).normal(size=(700, 2)) * [1.0, 5.0] + [0.0, 100.0]
    np.savetxt(trained / "many.csv", many, delimiter=",", header="a,b", comments="")
    points, good = trained / "points.csv", trained / "many.csv"
    done = succeed("score", trained / "vectors", points, "--detector", "--good", good)
    assert "score,p_value,alarm,statistic" in done.stdout and "are alarms" in done.stderr
    said = refuse("score", trained / "vectors", points, "--detector")
    assert "at least 50 good examples" in said and "--good DATA names others" in said


def test_points_that_were_drawn_are_shown_in_the_picture(trained, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "kerasar.pictures.save", lambda figure, path: shown.append(figure) or path.touch()
    )
    files = (trained / "shown.csv", trained / "shown.png")
    both = (part for file in files for part in ("--out", file))
    succeed("sample", trained / "vectors", "--num", 9, "--seed", 4, "--temperature", 0.5, *both)
    samples = shown[0].axes[1]
    drawn = np.loadtxt(files[0], delimiter=",", skiprows=1)
    np.testing.assert_allclose(samples.lines[0].get_xydata(), drawn, rtol=1e-6)


def test_a_map_of_the_line_is_drawn(trained):
    run, out = trained / "line", trained / "line.png"
    options = ("--epochs", 1, "--batch-size", 1000)
    succeed("train", "piecewise-linear-flow", "--data", "mixture", "--out", run, *options)
    succeed("sample", run, "--num", 20, "--out", out)
    assert (run / "density.png").exists() and out.exists()


def test_points_of_many_numbers_have_no_picture(trained):
    points = np.random.default_rng(0).normal(size=(40, 3))
    np.savetxt(trained / "space.csv", points, delimiter=",", header="a,b,c", comments="")
    run = trained / "space"
    succeed("train", "maf", "--data", trained / "space.csv", "--out", run, "--epochs", 1)
    assert not (run / "density.png").exists()
    assert "have dimension 3. Write a .csv" in refuse("sample", run, "--out", trained / "space.png")


def test_what_data_look_like_says_their_kind(trained):
    kinds = ("audio", "sequences", "series")
    for data, name in (("voices", "audio"), ("rolls.npz", "sequences"), ("tide.csv", "series")):
        assert kind_of("wavenet", kinds, str(trained / data)).name == name
    assert kind_of("wavenet", kinds, "toy").name == "sequences"
    with pytest.raises(ValueError, match=r"audio or sequences or series.*'nothing'"):
        kind_of("wavenet", kinds, "nothing")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("inpaint", "series"), "hides part of images"),
        (("sample", "series", "--classes", "1"), "trained with --conditional"),
        (("sample", "audio", "--classes", "5"), "high, low"),
        (("sample", "audio", "--out", "new.png"), ".wav"),
        (("sample", "audio", "--prompt", "missing.wav"), "there is no 'missing.wav'"),
        (("sample", "sequences", "--length", "2.5"), "whole number of steps"),
        (("score", "audio", "voices", "--map", "maps"), "draws pictures of images"),
        (("sample", "vectors", "--method", "cached"), "--method is for models that draw one value"),
        (("sample", "vectors", "--top-k", "3"), "this is a FlowModel. Leave it out"),
        (("sample", "vectors", "--prompt", "tide.csv"), "--prompt is for sequences"),
        (("inspect", "vectors"), "FlowModel"),
        (("score", "vectors", "mixture"), "shape (batch, 2), but"),
        (("train", "realnvp", "--data", "digits"), "toy density by its name, or a .csv file"),
        (("train", "realnvp", "--data", "mixture"), "take MAF or PiecewiseLinearFlow"),
        (("train", "piecewise-linear-flow", "--data", "moons"), "those of 'moons' have 2. Choose"),
    ],
)
def test_what_does_not_suit_the_kind_is_refused(trained, monkeypatch, arguments, part):
    monkeypatch.chdir(trained)
    assert part in refuse(*arguments)


def test_conditional_needs_classes_and_a_model_that_takes_them(trained, tmp_path):
    out = tmp_path / "run"
    message = refuse("train", "shifted-pixelcnn", "--data", "digits", "--conditional", "--out", out)
    assert "takes none" in message
    np.save(tmp_path / "plain.npy", np.zeros((20, 4, 4), "uint8"))
    message = refuse(
        "train", "shifted-pixelcnn", "--data", tmp_path / "plain.npy", "--conditional", "--out", out
    )
    assert "class of each image" in message and not out.exists()
