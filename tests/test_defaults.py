"""The settings of `kerasar train`: chosen by kind, size and number of the data."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from drawing import some
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.defaults import Choice, Facts
from kerasar.cli.registry import MODELS

#: The house's own sets: digits, MNIST, binarized MNIST, the subset of CIFAR-10.
DIGITS = Facts("images", 1_350, (8, 8, 1), 17)
MNIST = Facts("images", 54_000, (28, 28, 1), 256)
BINARY = Facts("images", 50_000, (28, 28, 1), 2)
CIFAR = Facts("images", 4_500, (32, 32, 3), 256)


def train(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("facts", [DIGITS, MNIST, BINARY, CIFAR], ids=str)
def test_each_model_has_settings_for_each_set(name, facts):
    choice = MODELS[name].choose(facts)
    epochs = choice.epochs(facts.examples)
    steps = epochs * -(-facts.examples // choice.batch_size)
    assert 1 <= epochs <= choice.passes
    # Whole passes: one of them may be more than what was asked for.
    assert epochs == 1 or steps <= 1.5 * choice.steps


def test_more_data_are_passed_over_less_often():
    choice = Choice(batch_size=10, learning_rate=1e-3, steps=1_000, passes=40)
    assert [choice.epochs(count) for count in (50, 1_000, 5_000, 10**6)] == [40, 10, 2, 1]
    assert choice.epochs(1_000, batch_size=100) == 40


@pytest.mark.parametrize(
    ("facts", "settings", "compiled"),
    [
        (MNIST, dict(minutes=12, epochs=None, batch_size=4), True),
        (MNIST, dict(minutes=None, epochs=1, batch_size=4), True),
        (MNIST, dict(minutes=1, epochs=None, batch_size=4), False),
        (MNIST, dict(minutes=12, epochs=None, batch_size=64), False),
        (Facts("images", 60, (28, 28, 1), 256), dict(minutes=None, epochs=9, batch_size=4), False),
        (Facts("images", 9_000, (64, 64, 1), 256), dict(minutes=60, batch_size=4), False),
        (DIGITS, dict(minutes=12, batch_size=8), False),
    ],
    ids=str,
)
def test_long_trainings_in_small_steps_are_compiled(facts, settings, compiled):
    found = MODELS["gated-pixelcnn"].choose(facts).compilation(facts, settings)
    assert found == ({"jit_compile": True} if compiled else {})


def test_objects_are_seen_whole():
    facts = Facts("images", 10_000, (28, 28, 1), 256)
    gated, pixelcnn = (
        MODELS[name].build(facts, image_shape=(28, 28, 1), levels=4)
        for name in ("gated-pixelcnn", "pixelcnn")
    )
    assert kerasar.receptive_field(gated.network).reach is None  # by recurrences: all before
    above = kerasar.receptive_field(pixelcnn.network).reach[0]
    assert 14 <= above <= 28 + 16


@pytest.mark.parametrize("name", ["gated-pixelcnn", "pixelcnn", "pixelrnn-diagonal"])
@pytest.mark.parametrize("colors", some([2, 3, 4], [3]))
def test_each_color_gets_its_share_of_the_channels(name, colors):
    facts = Facts("images", 4_500, (17, 17, colors), 4)  # no small images
    model = MODELS[name].build(facts, image_shape=facts.shape, levels=4)
    assert model.data_shape == facts.shape


@pytest.fixture
def without_export(monkeypatch):
    """An export takes most of the time; tests/test_cli_train.py looks at one."""
    for kind in (kerasar.AutoregressiveModel, kerasar.FlowModel):
        monkeypatch.setattr(kind, "export", lambda model, path, **_: Path(path).mkdir())


@pytest.mark.usefixtures("without_export")
def test_a_run_by_the_clock(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x_train=rng.integers(3, size=(40, 4, 4, 1)).astype("uint8"))
    out, began = tmp_path / "run", time.monotonic()
    done = train("pixelcnn", "--data", tmp_path / "x.npz", "--minutes", "0.02", "--out", out)
    assert done.exit_code == 0, done.output
    assert "0.02 minutes in batches of 8, Adam at a rate of 0.002" in done.output
    assert "round 1/2" in done.output
    config = json.loads((out / "config.json").read_text())
    assert config["minutes"] == 0.02 and config["epochs"] is None
    assert config["training"]["steps"] > 0
    assert config["training"]["seconds"] < time.monotonic() - began


@pytest.mark.long
@pytest.mark.usefixtures("without_export")
def test_a_flow_by_the_clock_takes_its_statistics_from_the_data(tmp_path):
    out = tmp_path / "run"
    done = train("realnvp", "--data", "moons", "--minutes", "0.01", "--out", out)
    assert done.exit_code == 0, done.output


def test_epochs_and_minutes_exclude_each_other(tmp_path):
    done = train("pixelcnn", "--data", "digits", "--minutes", "1", "--epochs", "2")
    assert done.exit_code == 2 and "--epochs or --minutes, not both" in done.output
    done = train("pixelcnn", "--data", "digits", "--minutes", "0")
    assert done.exit_code == 2 and "--minutes must be a finite number above 0" in done.output


@pytest.fixture
def rolls(tmp_path):
    """Two notes that sound together or not at all: to know one is to know the other."""
    x = np.repeat(np.random.default_rng(0).integers(2, size=(40, 6, 1)), 2, axis=-1)
    np.savez(tmp_path / "rolls.npz", train=x, test=x[:8])
    return tmp_path / "rolls.npz"


@pytest.mark.usefixtures("without_export")
def test_the_joint_likelihood_of_vectors(rolls, tmp_path):
    out = tmp_path / "run"
    settings = ("--likelihood", "nade", "--epochs", "1", "--out", out)
    done = train("causal-conv-net", "--data", rolls, *settings)
    assert done.exit_code == 0, done.output
    model = kerasar.load(out)
    assert isinstance(model.likelihood, kerasar.distributions.BernoulliNADE)
    assert json.loads((out / "config.json").read_text())["likelihood"] == "nade"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("causal-conv-net", "rolls", "nad"), "is bernoulli or nade, but got 'nad'"),
        (("nade", "rolls", "nade"), "cannot be chosen for 'nade': it has its own"),
        (("realnvp", "moons", "nade"), "cannot be chosen for 'realnvp'"),
        (("pixelcnn", "digits", "nade"), "is categorical or logistic-mixture, but got 'nade'"),
    ],
)
def test_a_likelihood_that_does_not_fit(arguments, message, rolls, tmp_path):
    model, data, likelihood = arguments
    out = tmp_path / "run"
    data = rolls if data == "rolls" else data
    done = train(model, "--data", data, "--likelihood", likelihood, "--out", out)
    assert done.exit_code == 2 and message in " ".join(done.output.split())
    assert not out.exists()
