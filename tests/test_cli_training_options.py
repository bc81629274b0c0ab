"""Options of `kerasar train` on how to train: what they set, and that they are resumed."""

import csv
import json
import signal

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorflow.python.framework import config as tf_config
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.kinds.kind import hold_out_validation
from kerasar.cli.support.callbacks import TrainingProgress
from kerasar.cli.support.speed import Speed
from kerasar.cli.support.training_job import TrainingJob
from kerasar.cli.support.training_plan import TrainingPlan

X = np.zeros((20, 2), "float32")


def plan(**settings):
    known = {
        "epochs": 5, "minutes": None, "batch_size": 4, "learning_rate": 0.5, "seed": 0,
        "schedule": "cosine", "warmup_steps": None, "clip_norm": None, "ema": None,
        "patience": None,
    }  # fmt: skip
    return TrainingPlan({**known, **settings}, X, X[:2])


def rates(**settings):
    """Of the steps 0 to 25."""
    schedule = plan(**settings).optimizer(None)._learning_rate
    return [float(schedule(step)) for step in range(26)]


def test_the_rate_falls_along_a_cosine():
    found = rates()
    np.testing.assert_allclose(found, 0.25 * (1 + np.cos(np.pi * np.arange(26) / 25)), atol=1e-6)


def test_the_rate_rises_at_first_where_it_is_asked_to():
    found = rates(warmup_steps=5)
    np.testing.assert_allclose(found[:6], 0.1 * np.arange(6), atol=1e-6)
    falling = 0.25 * (1 + np.cos(np.pi * np.arange(21) / 20))
    np.testing.assert_allclose(found[5:], falling, atol=1e-6)


def test_the_rate_stays_where_it_is_asked_to():
    np.testing.assert_allclose(rates(schedule="constant"), 0.5)
    found = rates(schedule="constant", warmup_steps=2)
    np.testing.assert_allclose(found, [0, 0.25] + [0.5] * 24, atol=1e-6)


def test_a_warm_up_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="--warmup-steps must be below the 25 steps"):
        rates(warmup_steps=25)


def test_gradients_are_clipped_as_asked_else_as_the_model_asks():
    assert plan().optimizer(None).global_clipnorm is None
    assert plan().optimizer(3.0).global_clipnorm == 3.0
    assert plan(clip_norm=0.5).optimizer(3.0).global_clipnorm == 0.5


# By the command.

ROWS = np.random.default_rng(0).integers(0, 3, (60, 1, 4, 1)).repeat(4, axis=1).astype("uint8")
OPTIONS = "--batch-size 10 --epochs 4 --learning-rate 0.02 --checkpoint-steps 1".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.npz"
    np.savez(path, x_train=ROWS[:48], x_test=ROWS[48:])
    return path


@pytest.fixture(autouse=True, scope="module")
def without_finish():
    """Training alone, without what comes after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingJob, "finish", lambda job: None)
        yield


def train(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def trained(data, out, *options):
    done = train("shifted-pixelcnn", "--data", data, "--out", out, *OPTIONS, *options)
    assert done.exit_code == 0, done.output


def history(run):
    with (run / "history.csv").open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


ALL = "--ema 0.8 --warmup-steps 3 --clip-norm 0.3 --patience 3 --schedule constant".split()


@pytest.fixture(scope="module")
def whole(data):
    """A run with all options that nothing ended."""
    trained(data, data.parent / "whole", *ALL)
    return data.parent / "whole"


def weights(run):
    return kerasar.load(run / "model.keras").get_weights()


def test_all_of_them_are_resumed_as_if_nothing_had_ended_it(whole, data, tmp_path, monkeypatch):

    def stop(self, batch, logs=None):
        if len(self.model.history.epoch) == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingProgress, "on_train_batch_end", stop)
        run = tmp_path / "run"
        done = train("shifted-pixelcnn", "--data", data, "--out", run, *OPTIONS, *ALL)
        assert done.exit_code == 130, done.output
    assert train("--resume", run).exit_code == 0
    assert all(map(np.array_equal, weights(whole), weights(run)))
    assert history(run) == history(whole)
    config = json.loads((run / "config.json").read_text())
    assert config["ema"] == 0.8 and config["options"]["schedule"] == "constant"


def test_the_model_that_is_kept_is_the_one_that_was_judged(whole):
    model, rows = kerasar.load(whole / "model.keras"), history(whole)
    held_out = hold_out_validation(ROWS[:48], "images")[1]
    found = model.evaluate(held_out, verbose=0, return_dict=True)["bits_per_dim"]
    assert found == pytest.approx(min(float(row["val_bits_per_dim"]) for row in rows), rel=1e-5)
    averages = model.optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_weights, averages, strict=True):
        np.testing.assert_array_equal(weight, average)


def test_training_stops_when_it_gets_no_better(data, tmp_path):
    trained(data, tmp_path / "run", "--patience", "2", "--learning-rate", "1e-12")
    assert len(history(tmp_path / "run")) == 3  # the first was the best


@pytest.mark.parametrize(
    "options, message",
    [
        (["--ema", "1"], "--ema must lie above 0 and below 1, but got 1"),
        (["--ema", "-0.5"], "--ema must lie above 0"),
        (["--clip-norm", "0"], "--clip-norm must be a finite number above 0"),
        (["--patience", "0"], "--patience must be at least 1"),
        (["--warmup-steps", "1000"], "--warmup-steps must be below the 20 steps"),
        (["--schedule", "linear"], "'linear' is not one of 'cosine', 'constant'"),
        (["--precision", "float16"], "'float16' is not one of 'float32', 'mixed_bfloat16'"),
        (["--minutes", "1", "--schedule", "constant"], "--epochs or --minutes, not both"),
    ],
)
def test_what_cannot_be_is_refused_before_training(data, tmp_path, options, message):
    done = train("shifted-pixelcnn", "--data", data, "--out", tmp_path / "run", *OPTIONS, *options)
    assert done.exit_code == 2 and not (tmp_path / "run").exists()
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_a_training_by_the_clock_has_its_own_schedule(data, tmp_path):
    for option in (["--warmup-steps", "3"], ["--schedule", "constant"]):
        run = tmp_path / "run"
        done = train("nice", "--data", data, "--out", run, "--minutes", "1", *option)
        assert done.exit_code == 2 and f"{option[0]} is for --epochs" in done.stderr


@pytest.fixture
def determinism():
    yield
    tf_config.disable_op_determinism()


def test_a_deterministic_training_repeats_bit_for_bit(data, tmp_path, determinism):
    ends = []
    for name in ("one", "other"):
        trained(data, tmp_path / name, "--deterministic", "--epochs", "2")
        ends.append(weights(tmp_path / name))
        assert tf_config.is_op_determinism_enabled()
        tf_config.disable_op_determinism()
    assert all(map(np.array_equal, *ends))
    assert history(tmp_path / "one") == history(tmp_path / "other")
    assert json.loads((tmp_path / "one" / "config.json").read_text())["deterministic"] is True


def test_norms_of_gradients_are_drawn_for_tensorboard(whole):
    events = next((whole / "tensorboard" / "train").glob("*"))
    tags = [
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert tags.count("gradient_norm") == 4


def test_a_line_says_how_far_training_is_how_good_and_how_fast():
    now = [0.0]
    progress = TrainingProgress(Console(quiet=True), plan(), "dim", "images")
    progress._speed = Speed(4, "images", clock=lambda: now[0])
    said = "epoch 1/5  0 % of training, the first step is being compiled"
    assert progress.describe() == said
    progress.on_epoch_begin(1)
    progress.on_train_batch_end(0, {"bits_per_dim": 1.5})
    assert progress.describe() == "epoch 2/5  20 % of training, 1.500 bits/dim"
    now[0] = 2.0
    progress.on_train_batch_end(3, {"bits_per_dim": 1.25})
    said = "epoch 2/5  32 % of training, 1.250 bits/dim, 6.0 images/s, 11 s left"
    assert progress.describe() == said


def test_speed_counts_from_look_to_look():
    now = [0.0]
    speed = Speed(10, "images", clock=lambda: now[0])
    assert speed.take() == ("", "")
    speed.begin_epoch()
    speed.count(0, 0.1)  # this one compiles
    now[0] = 2.0
    assert speed.take() == ("", "")
    speed.count(4, 0.5)
    assert speed.take() == ("20 images/s", "2 s left")
    speed.begin_epoch()
    now[0] = 402.0
    speed.count(0, 0.6)
    assert speed.take() == ("0.0 images/s", "27 min left")
