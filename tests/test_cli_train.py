"""`kerasar train`: what a run folder holds, how training ends, what is refused."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.image import imread
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.kinds.kind import hold_out_validation
from kerasar.cli.support.new_run import new_run_path
from kerasar.cli.support.run_folder import RunFolder, RunState
from kerasar.cli.support.shell import called_as
from kerasar.data import load_images

SETTINGS = ["--epochs", "2", "--batch-size", "10", "--seed", "3"]


def train(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def left_behind(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def toy_images(count, levels=3, shape=(4, 4, 1)):
    """Each row repeats one value, so there is something to learn."""
    rows = np.random.RandomState(count).randint(0, levels, (count, shape[0], 1, shape[2]))
    return np.broadcast_to(rows, (count, *shape)).astype("uint8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs, and what the command said."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "rows.npz", x_train=toy_images(40), x_test=toy_images(9))
    done = train(
        "shifted-pixelcnn", "--data", folder / "rows.npz", "--out", folder / "run", *SETTINGS
    )
    assert done.exit_code == 0, done.output
    return folder / "run", done


def test_a_run_folder_holds_all_it_should(trained):
    run, _ = trained
    assert {path.name for path in run.iterdir()} == {
        "config.json",
        "model.keras",
        "history.csv",
        "tensorboard",
        "samples.png",
        "inpainting.png",
        "export",
    }
    assert (run / "export" / "1" / "saved_model.pb").is_file()
    about = json.loads((run / "export" / "1" / "assets" / "config.json").read_text())
    assert about["trained"]["epochs"] == 2 and about["trained"]["test"]["nats"] > 0


def test_the_settings_of_a_run_are_kept(trained):
    config = json.loads((trained[0] / "config.json").read_text())
    assert config["model"] == "shifted-pixelcnn" and config["data"] == "rows"
    assert (config["epochs"], config["batch_size"], config["seed"]) == (2, 10, 3)
    assert config["examples"] == {"train": 36, "validation": 4, "test": 9}


def test_the_saved_model_has_the_test_result_that_was_said(trained):
    run, done = trained
    reached = json.loads((run / "config.json").read_text())["test"]
    test = load_images(run.parent / "rows.npz").test
    nats = -kerasar.load(run).log_prob(test).mean()
    assert nats == pytest.approx(reached["nats"], rel=1e-5)
    assert reached["bits_per_dim"] == pytest.approx(nats / np.log(2) / 16, rel=1e-5)
    assert f"(9): {reached['bits_per_dim']:.3f} bits/dim, {nats:.2f} nats" in done.stdout


def test_the_best_epoch_is_kept(trained):
    run, _ = trained
    with (run / "history.csv").open() as file:
        reached = [float(row["val_bits_per_dim"]) for row in csv.DictReader(file)]
    chosen = json.loads((run / "config.json").read_text())["training"]
    assert len(reached) == 2
    assert chosen["validation_bits_per_dim"] == min(reached)
    assert chosen["best_epoch"] == 1 + reached.index(min(reached))
    _, validation = hold_out_validation(load_images(run.parent / "rows.npz").train, "images")
    judged = kerasar.load(run).evaluate(validation, verbose=0, return_dict=True)
    assert judged["bits_per_dim"] == pytest.approx(min(reached), rel=1e-5)


@pytest.mark.parametrize("name", ["samples.png", "inpainting.png"])
def test_the_pictures_are_pictures(trained, name):
    height, width = imread(trained[0] / name).shape[:2]
    assert height > 300 and width > 300


def events(folder):
    for file in folder.rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            yield from event.summary.value


def test_tensorboard_gets_curves_and_images_of_samples(trained):
    logs = trained[0] / "tensorboard"
    shown = {(value.tag, value.metadata.plugin_data.plugin_name) for value in events(logs)}
    assert {("bits_per_dim", "scalars"), ("loss", "scalars"), ("samples", "images")} <= shown


def test_tensorboard_images_can_be_decoded(trained):
    images = [value for value in events(trained[0] / "tensorboard") if value.tag == "samples"]
    width, height, png = tf.make_ndarray(images[0].tensor)
    assert tf.io.decode_png(png).shape == (int(height), int(width), 3)


def test_what_can_be_done_next_is_said(trained):
    run, done = trained
    for command in ("sample", "inpaint", "score"):
        assert f"kerasar {command} {run}" in done.stdout


def test_validation_images_are_taken_from_the_training_images():
    images = np.arange(40).reshape(40, 1, 1, 1)
    train, validation = hold_out_validation(images, "images")
    assert sorted([*train.ravel(), *validation.ravel()]) == list(range(40))
    assert len(validation) == 4


def test_a_single_image_is_not_enough():
    with pytest.raises(ValueError, match="tenth of the images.*at least 2, but .*holds 1"):
        hold_out_validation(np.zeros((1, 2, 2, 1)), "images")


def test_without_out_runs_are_named_and_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("my rows.npy", toy_images(9))
    for number in ("", "-2", "-3"):
        path = new_run_path(None, "shifted-pixelcnn", "my rows.npy")
        assert path == Path(f"runs/shifted-pixelcnn-my-rows{number}")
        path.mkdir(parents=True)
    assert new_run_path(None, "m", "tfds:mnist/3d") == Path("runs/m-tfds-mnist-3d")


# How training ends early.


def stop_after(epoch, error, monkeypatch):
    """Makes training raise an error, or do so, while the given epoch (from 0) is under way."""

    def raise_it(self, batch, logs=None):
        if len(self.model.history.epoch) == epoch:
            if callable(error):
                return error()
            raise error

    monkeypatch.setattr(
        kerasar.cli.support.callbacks.TrainingProgress, "on_train_batch_end", raise_it
    )


@pytest.fixture
def data(trained):
    return trained[0].parent / "rows.npz"


@pytest.fixture
def quick_finish(monkeypatch):
    """An empty picture and export, for the real ones take most of the time of a short run."""
    monkeypatch.setattr(
        "kerasar.cli.kinds.images.showcase.draw_pictures",
        lambda run, *arguments: (run.path / "samples.png").touch(),
    )
    monkeypatch.setattr(
        kerasar.AutoregressiveModel, "export", lambda model, path, **_: os.makedirs(path)
    )


def rows(run):
    """History without its times."""
    with (run / "history.csv").open() as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]


def test_ctrl_c_saves_the_training_and_resuming_it_ends_as_if_nothing_had_been(
    trained, tmp_path, monkeypatch, quick_finish
):
    whole, data = trained[0], trained[0].parent / "rows.npz"
    with monkeypatch.context() as patch:
        stop_after(1, lambda: signal.raise_signal(signal.SIGINT), patch)
        run = tmp_path / "run"
        done = train("shifted-pixelcnn", "--data", data, "--out", run, *SETTINGS)
    assert done.exit_code == 130 and f"kerasar train --resume {run}" in done.stderr
    assert RunState.of(run) is RunState.killed and (run / "model.keras").is_file()
    done = train("--resume", run)
    assert done.exit_code == 0, done.output
    assert RunState.of(run) is RunState.finished and not (run / "checkpoints").exists()
    for one, other in zip(kerasar.load(whole).weights, kerasar.load(run).weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert rows(run) == rows(whole)
    config = json.loads((run / "config.json").read_text())
    assert config["test"] == json.loads((whole / "config.json").read_text())["test"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--epochs", "3"], "--epochs cannot be given"),
        (["--learning-rate", "0.1"], "--learning-rate cannot be given"),
        (["--seed", "4"], "--seed cannot be given"),
        (["--restart"], "--restart cannot be given"),
        (["nice"], "MODEL cannot be given"),
    ],
)
def test_a_training_is_resumed_as_it_was_begun(trained, options, message):
    done = train("--resume", trained[0], *options)
    assert_refused(done, message)


def test_only_what_did_not_end_is_resumed(trained, tmp_path):
    assert_refused(train("--resume", trained[0]), "is finished")
    assert_refused(train("--resume", tmp_path / "nowhere"), "there is no")
    assert_refused(train(), "MODEL is missing")
    assert_refused(train("nice"), "--data DATA is missing")


def test_runs_are_listed_with_their_state(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copytree(trained[0], tmp_path / "a" / "done")
    shutil.copytree(trained[0], tmp_path / "stopped")
    (tmp_path / "stopped" / "UNFINISHED.txt").touch()
    (tmp_path / "stopped" / "checkpoints").mkdir()
    (tmp_path / "stopped" / "checkpoints" / "step-000000001.npz").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    done = CliRunner().invoke(app, ["runs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    best = min(float(row["val_bits_per_dim"]) for row in rows(trained[0]))
    for words in (["a/done", "2/2", f"{best:.3f}", "finished"], ["not finished, can be resumed"]):
        line = next(line for line in done.stdout.splitlines() if words[-1] in line)
        assert all(word in line for word in (*words, "shifted-pixelcnn", "rows")), done.stdout
    assert "damaged" in done.stdout
    assert_refused(CliRunner().invoke(app, ["runs", str(tmp_path / "nowhere")]), "no folder")


def test_data_that_changed_since_are_not_resumed(trained, tmp_path, monkeypatch, quick_finish):
    data, run = tmp_path / "rows.npz", tmp_path / "run"
    np.savez(data, x_train=toy_images(40), x_test=toy_images(9))
    with monkeypatch.context() as patch:
        stop_after(1, lambda: signal.raise_signal(signal.SIGINT), patch)
        assert train("shifted-pixelcnn", "--data", data, "--out", run, *SETTINGS).exit_code == 130
    np.savez(data, x_train=(toy_images(40) + 1) % 3, x_test=toy_images(9))
    before = sorted(os.listdir(run / "checkpoints"))
    assert_refused(train("--resume", run), "training data was uint8 of shape (36, 4, 4, 1)")
    data.unlink()
    assert_refused(train("--resume", run), "rows.npz")
    assert RunState.of(run) is RunState.killed and before == sorted(os.listdir(run / "checkpoints"))
    assert RunFolder(run, {}).can_resume


def test_ctrl_c_in_the_first_epoch_keeps_nothing(data, tmp_path, monkeypatch):
    stop_after(0, KeyboardInterrupt(), monkeypatch)
    done = train("shifted-pixelcnn", "--data", data, "--out", tmp_path / "new" / "run", *SETTINGS)
    assert done.exit_code == 130 and "Nothing was kept" in done.stderr
    assert not left_behind(tmp_path)


def test_training_that_fails_at_once_leaves_nothing(data, tmp_path):
    out = tmp_path / "new" / "run"
    done = train("shifted-pixelcnn", "--data", data, "--out", out, "--learning-rate", "1e38")
    assert done.exit_code == 1
    assert "Error: Training stopped" in done.stderr and "learning rate" in done.stderr
    assert not left_behind(tmp_path)


def test_training_that_fails_later_keeps_the_best_model(data, tmp_path, monkeypatch, quick_finish):
    stop_after(1, FloatingPointError("the loss is inf"), monkeypatch)
    done = train("shifted-pixelcnn", "--data", data, "--out", tmp_path / "run", *SETTINGS)
    assert done.exit_code == 1 and "Error: the loss is inf" in done.stderr
    assert isinstance(kerasar.load(tmp_path / "run"), keras.Model)


# Bad input: message, exit status 2, nothing left behind.


def assert_refused(done, *parts):
    assert done.exit_code == 2, done.output
    message = " ".join(done.stderr.replace("│", " ").split())
    for part in parts:
        assert part in message
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "option, value, parts",
    [
        ("--epochs", "0", ["--epochs must be at least 1, but got 0"]),
        ("--epochs", "many", ["--epochs", "integer"]),
        ("--batch-size", "-3", ["--batch-size must be at least 1, but got -3"]),
        ("--seed", "-1", ["--seed must be from 0", "-1"]),
        ("--levels", "1", ["--levels must be at least 2, but got 1"]),
        ("--learning-rate", "0", ["--learning-rate must be a finite number above 0, but got 0"]),
        ("--learning-rate", "nan", ["--learning-rate", "got nan"]),
        ("--learning-rate", "inf", ["--learning-rate", "got inf"]),
    ],
)
def test_bad_numbers_are_refused(tmp_path, monkeypatch, option, value, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(train("shifted-pixelcnn", "--data", "digits", option, value), *parts)
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    "model, data, parts",
    [
        ("shifted-pixelcn", "digits", ["MODEL", "'shifted-pixelcn'", "mean 'shifted-pixelcnn'"]),
        ("shifted-pixelcnn", "digit", ["'digit'", "Did you mean 'digits'"]),
        ("shifted-pixelcnn", "missing.npz", ["no file or folder 'missing.npz'"]),
    ],
    ids=["model", "data", "file"],
)
def test_unknown_names_are_refused(tmp_path, monkeypatch, model, data, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(train(model, "--data", data), *parts)
    assert not left_behind(tmp_path)


def write_damaged(path):
    np.savez(path, x_train=toy_images(9), x_test=toy_images(9))
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    "write, parts",
    [
        (write_damaged, ["bad.npz", "damaged"]),
        (lambda p: np.savez(p, x=np.array([{}])), ["bad.npz", "Python objects"]),
        (lambda p: np.savez(p, x=toy_images(9) / 2), ["whole numbers", "0.5"]),
        (lambda p: np.savez(p, x=toy_images(9).astype(float) * np.nan), ["whole numbers", "nan"]),
        (lambda p: np.savez(p, x=np.zeros((9, 16), "uint8")), ["(9, 16)"]),
        (lambda p: np.savez(p, x=toy_images(9, shape=(4, 4, 3))), ["gray images", "(4, 4, 3)"]),
    ],
    ids=["damaged", "pickled", "fractions", "NaN", "rank", "colour"],
)
def test_bad_images_are_refused(tmp_path, monkeypatch, write, parts):
    monkeypatch.chdir(tmp_path)
    write(Path("bad.npz"))
    assert_refused(train("shifted-pixelcnn", "--data", "bad.npz"), *parts)
    assert left_behind(tmp_path) == ["bad.npz"]


def test_levels_that_do_not_hold_the_data_are_refused(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = train("shifted-pixelcnn", "--data", data, "--levels", "2")
    assert_refused(done, "levels=2", "holds the value 2")
    assert not left_behind(tmp_path)


def test_an_output_that_exists_is_not_touched(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    done = train("shifted-pixelcnn", "--data", "digits", "--out", out)
    assert_refused(done, "--out", "exists", "run-2")
    assert left_behind(tmp_path) == ["run", "run/mine.txt"]


def test_an_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("precious")
    done = train("shifted-pixelcnn", "--data", "digits", "--out", tmp_path / "file" / "run")
    assert_refused(done, "--out", "is a file")
    assert left_behind(tmp_path) == ["file"]


def test_the_real_command_ends_with_message_and_status(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kerasar", "train", "pixel", "--data", "digits"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("Error: MODEL must be") and "Traceback" not in done.stderr
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    "argv, on_path, called",
    [
        (".venv/bin/kerasar", None, ".venv/bin/kerasar"),
        (".venv/bin/kerasar", "/usr/bin/kerasar", ".venv/bin/kerasar"),
        ("/usr/bin/kerasar", "/usr/bin/kerasar", "kerasar"),
        ("/somewhere/kerasar/cli/__main__.py", None, "kerasar"),
    ],
)
def test_what_can_be_done_next_can_be_copied(monkeypatch, argv, on_path, called):
    monkeypatch.setattr(sys, "argv", [argv])
    monkeypatch.setattr("shutil.which", lambda name: on_path)
    assert called_as() == called


def test_weights_that_cannot_be_trained_in_memory_are_told_first(data, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasar.cli.support.training_setup.available_memory", lambda: 2**16)
    done = train("shifted-pixelcnn", "--data", data, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert re.search(r"MODEL has [\d,]+ weights.*'.*kernel' of shape \(.*GiB", done.stderr)
    assert not left_behind(tmp_path)


class ResourceExhaustedError(Exception):
    """As TensorFlow's, which is no error of Python's own."""


def wrapped(error):
    try:
        raise error
    except Exception as cause:
        try:
            raise RuntimeError("in between") from cause
        except RuntimeError as outer:
            return outer


@pytest.mark.parametrize(
    "error", [MemoryError("x"), ResourceExhaustedError("OOM"), wrapped(MemoryError())], ids=repr
)
def test_memory_that_runs_out_is_a_sentence(data, tmp_path, monkeypatch, error):
    def run_out(*arguments, **options):
        raise error

    monkeypatch.setattr("kerasar.cli.support.training_job.TrainingJob.fit", run_out)
    done = train("shifted-pixelcnn", "--data", data, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert re.search(
        r"Error: Memory ran out: [\d.,]+ GiB are available. Take less, with --batch-size or "
        r"--levels or --context, or a smaller model.*\nNothing was kept",
        done.stderr,
    )
    assert not left_behind(tmp_path)
