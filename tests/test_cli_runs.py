"""The commands that use a run: sample, inpaint, score, export."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.image import imread
from typer.testing import CliRunner

from kerasar.cli import app
from kerasar.cli.kinds.images.masks import Hide, known_pixels
from kerasar.cli.support.run_folder import RunFolder
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.loading import load as loaded
from kerasar.models import ShiftedPixelCNN
from kerasar.scores import AnomalyDetector

pytestmark = pytest.mark.usefixtures("loaded_once")
LEVELS, SHAPE = 5, (4, 6, 1)


def kerasar(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments):
    done = kerasar(*arguments)
    assert done.exit_code == 0, done.output
    return done


def images(count, seed=0, levels=LEVELS, shape=SHAPE):
    x = np.random.RandomState(seed).randint(0, levels, (count, *shape)).astype("uint8")
    x.flat[0] = levels - 1
    return x


@pytest.fixture(scope="module")
def model():
    return ShiftedPixelCNN(SHAPE, LEVELS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    """A run that was never trained: what the commands do does not depend on it."""
    folder = tmp_path_factory.mktemp("runs")
    np.savez(folder / "noise.npz", x_train=images(12), x_test=images(7, seed=1))
    data = {"data": "noise", "data_path": str(folder / "noise.npz"), "data_dir": None}
    run = RunFolder(folder / "run", {"model": "shifted-pixelcnn", **data})
    run.path.mkdir()
    run.save_config()
    run.save_model(model)
    return folder


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """A copy of the run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "run", tmp_path / "run")
    return "run"


def new_files(folder="."):
    ours = {"run/config.json", "run/model.keras"}
    found = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted({os.path.relpath(file) for file in found} - ours)


# sample


def test_samples_are_those_of_the_model(run, model):
    succeed("sample", run, "--num", 3, "--seed", 5, "--temperature", 0.5, "--out", "a.npz")
    with np.load("a.npz") as arrays:
        expected = model.sample(3, seed=5, temperature=0.5)
        np.testing.assert_array_equal(arrays["samples"], expected)


def test_samples_are_drawn_into_the_run_folder_by_default(run):
    open("run/samples-1.png", "w").close()
    assert succeed("sample", run, "--num", 2).stdout.strip() == "run/samples-2.png"
    assert imread("run/samples-2.png").shape[0] > 100


def test_several_outputs_hold_the_same_samples(run):
    succeed("sample", run, "--num", 2, "--out", "a.png", "--out", "a.npz")
    assert new_files() == ["a.npz", "a.png"]


# inpaint


def test_in_painting_leaves_what_is_known(run, folder):
    succeed("inpaint", run, "--hide", "random", "--images", 4, "--num", 2, "--out", "a.npz")
    with np.load("a.npz") as arrays:
        known, given, completed = (arrays[key] for key in ("known", "given", "completed"))
    with np.load(folder / "noise.npz") as noise:
        np.testing.assert_array_equal(given[known], noise["x_test"][:4][known])
    assert completed.shape == (4, 2, *SHAPE) and not known.all() and known.any()
    np.testing.assert_array_equal(completed[:, 0][known], given[known])
    np.testing.assert_array_equal(completed[:, 1][known], given[known])


def test_in_painting_is_drawn_into_the_run_folder_by_default(run):
    assert succeed("inpaint", run).stdout.strip() == "run/inpainting-bottom-1.png"
    assert imread("run/inpainting-bottom-1.png").shape[0] > 300


@pytest.mark.parametrize(
    "hide, hidden",
    [
        (Hide.bottom, [[0, 0, 0, 0]] * 2 + [[1, 1, 1, 1]] * 2),
        (Hide.top, [[1, 1, 1, 1]] * 2 + [[0, 0, 0, 0]] * 2),
        (Hide.left, [[1, 1, 0, 0]] * 4),
        (Hide.right, [[0, 0, 1, 1]] * 4),
        (Hide.center, [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]),
    ],
    ids=lambda value: value.value if isinstance(value, Hide) else "",
)
def test_what_is_hidden_is_what_was_asked(hide, hidden):
    known = known_pixels(hide, (2, 4, 4, 3))
    assert known.shape == (2, 4, 4, 3) and known.dtype == bool
    assert (known[1, ..., 2] == ~np.array(hidden, bool)).all()


def test_random_masks_differ_between_images_and_follow_the_seed():
    first, second = known_pixels(Hide.random, (2, 8, 8, 1), seed=1)
    assert (first != second).any() and 10 < first.sum() < 54
    again = known_pixels(Hide.random, (2, 8, 8, 1), seed=1)
    np.testing.assert_array_equal(again, [first, second])
    assert (known_pixels(Hide.random, (2, 8, 8, 1), seed=2) != again).any()


# score


def rows_of(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["name", "nats", "bits_per_dim"]
    return [row["name"] for row in rows], np.array([float(row["nats"]) for row in rows])


def test_scores_are_the_models_log_probabilities(run, model, folder):
    done = succeed("score", run, folder / "noise.npz")
    names, nats = rows_of(done.stdout)
    with np.load(folder / "noise.npz") as noise:
        np.testing.assert_allclose(nats, -model.log_prob(noise["x_test"]), atol=1e-3)
    assert names == [f"test/{i}" for i in range(7)]


def test_bits_per_dim_are_nats_in_another_unit(run, folder):
    done = succeed("score", run, folder / "noise.npz")
    for row in csv.DictReader(io.StringIO(done.stdout)):
        assert float(row["bits_per_dim"]) == pytest.approx(
            float(row["nats"]) / np.log(2) / 24, 1e-4
        )


@pytest.mark.parametrize("part, count", [("test", 7), ("train", 12), ("all", 19)])
def test_the_part_that_is_scored_can_be_chosen(run, folder, part, count):
    names, _ = rows_of(succeed("score", run, folder / "noise.npz", "--part", part).stdout)
    assert len(names) == count


def test_a_single_array_is_scored_whole_and_in_its_order(run, model):
    np.save("x.npy", x := images(25, seed=2))
    names, nats = rows_of(succeed("score", run, "x.npy").stdout)
    assert names == [str(i) for i in range(25)]
    np.testing.assert_allclose(nats, -model.log_prob(x), atol=1e-3)


@pytest.mark.parametrize("classes", [("",), ("b", "a")], ids=["flat", "classes"])
def test_each_png_of_a_folder_gets_its_own_score(run, model, classes):
    expected = {}
    for i, x in enumerate(images(13, seed=3)):
        name = os.path.join(classes[i % len(classes)], f"image{i}.png")
        os.makedirs(os.path.dirname(f"photos/{name}"), exist_ok=True)
        tf.io.write_file(f"photos/{name}", tf.io.encode_png(x))
        expected[name] = -model.log_prob(x[None])[0]
    names, nats = rows_of(succeed("score", run, "photos").stdout)
    assert set(names) == set(expected)
    np.testing.assert_allclose(nats, [expected[name] for name in names], atol=1e-3)


def test_a_map_in_numbers_sums_to_the_score(run, folder):
    done = succeed("score", run, folder / "noise.npz", "--map", "map.npz")
    names, nats = rows_of(done.stdout)
    with np.load("map.npz", allow_pickle=False) as arrays:
        assert arrays["names"].tolist() == names
        assert arrays["log_prob_map"].shape == (7, *SHAPE)
        np.testing.assert_allclose(-arrays["log_prob_map"].sum((1, 2, 3)), nats, atol=1e-3)


def test_a_map_in_pictures_has_one_for_each_image(run, folder):
    succeed("score", run, folder / "noise.npz", "--map", "map", "--out", "scores.csv")
    pictures = [f"map/test/{i}.png" for i in range(7)]
    assert new_files() == sorted(["scores.csv", "map/README.txt", *pictures])
    assert min(imread(pictures[0]).shape[:2]) > 100


def test_scores_in_a_file_are_those_on_the_screen(run, folder):
    shown = succeed("score", run, folder / "noise.npz").stdout
    done = succeed("score", run, folder / "noise.npz", "--out", "scores.csv")
    with open("scores.csv") as file:
        assert file.read() == shown
    assert done.stdout == ""


@pytest.fixture
def judging(run, tmp_path):
    """A run whose data leave enough to fit a detector on, and a file of other images."""
    np.savez("many.npz", x_train=images(600), x_test=images(5, seed=1))
    shutil.copytree(run, "judging")
    config = json.loads((tmp_path / "judging" / "config.json").read_text())
    config |= {"data_path": "many.npz", "data_dir": None}
    (tmp_path / "judging" / "config.json").write_text(json.dumps(config))
    np.save("odd.npy", np.concatenate([images(3, seed=2), np.zeros((1, *SHAPE), "uint8")]))
    return tmp_path / "judging"


def test_a_detector_is_fitted_once_and_judges(judging):
    done = succeed("score", judging, "odd.npy", "--detector", "--picture", "strangest.png")
    assert "Fitted a detector on the examples that chose the best epoch, 39 of them" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    detector = loaded(judging / "detector.keras")
    x = np.load("odd.npy")
    np.testing.assert_allclose([float(row["score"]) for row in rows], detector.score(x), atol=1e-3)
    np.testing.assert_allclose([float(row["p_value"]) for row in rows], detector.p_value(x))
    assert [row["alarm"] for row in rows] == [str(int(a)) for a in detector.is_anomaly(x, 0.05)]
    assert min(imread("strangest.png").shape[:2]) > 100
    again = succeed("score", judging, "odd.npy", "--detector")
    assert again.stdout == done.stdout and "Fitted" not in again.stderr


def test_a_detector_is_fitted_on_what_the_user_calls_good(judging):
    np.save("good.npy", images(80, seed=3))
    succeed("score", judging, "odd.npy", "--detector", "--good", "good.npy", "--out", "scores.csv")
    assert not (judging / "detector.keras").exists()
    detector = AnomalyDetector(loaded(judging / "model.keras")).fit(np.load("good.npy"))
    with open("scores.csv") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(scores, detector.score(np.load("odd.npy")), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--good", "odd.npy"), "--good is for the detector. Add --detector"),
        (("--picture", "a.png"), "--picture is for the detector. Add --detector"),
        (("--detector", "--picture", "a.pdf"), "--picture must end in .png"),
        (("--detector", "--good", "odd.npy"), "at least 50 good examples, but got 4"),
        (("--detector", "--false-alarms", "0.001"), "needs at least 999 examples for calibration"),
        (("--detector", "--false-alarms", "2"), "--false-alarms must lie above 0"),
    ],
)
def test_what_a_detector_cannot_do_is_said(judging, arguments, words):
    done = kerasar("score", judging, "odd.npy", *arguments)
    assert done.exit_code == 2 and words in " ".join(done.output.split())


def test_a_detector_of_another_model_is_refused(judging):
    succeed("score", judging, "odd.npy", "--detector")
    other = ShiftedPixelCNN(SHAPE, LEVELS)
    other.save(judging / "model.keras")
    done = kerasar("score", judging, "odd.npy", "--detector")
    assert "must be a detector of the model in" in done.output and "Remove it" in done.output


# export


@pytest.fixture
def quick_export(monkeypatch):
    """Writes a folder and nothing in it; tests/test_cli_train.py looks at a real export."""
    monkeypatch.setattr(AutoregressiveModel, "export", lambda model, path, **_: os.makedirs(path))
    monkeypatch.setattr("kerasar.cli.commands.export.serving_guide", lambda path: "Signatures:")


def test_exports_are_numbered(run, quick_export):
    for number in (1, 2):
        assert succeed("export", run).stdout.strip() == f"run/export/{number}"
    assert set(os.listdir("run/export")) == {"1", "2"}


def test_an_export_goes_where_it_is_told(run, quick_export):
    assert succeed("export", run, "--out", "models/digits/1").stdout.strip() == "models/digits/1"
    assert os.path.isdir("models/digits/1")


def test_an_export_has_the_version_that_is_asked_for(run, quick_export):
    done = succeed("export", run, "--version", 7)
    assert done.stdout.strip() == "run/export/7" and "Signatures:" in done.stderr
    for options, words in [((7,), "exists"), ((8, "--out", "a"), "not both"), ((0,), "at least 1")]:
        done = kerasar("export", run, "--version", *options)
        assert done.exit_code == 2 and words in " ".join(done.stderr.split())


# Bad input: message, exit status 2, nothing left behind.


def assert_refused(done, *parts, left=()):
    assert done.exit_code == 2, done.output
    message = " ".join(done.stderr.replace("│", " ").split())
    for part in parts:
        assert part in message
    assert "Traceback" not in done.output
    assert new_files() == sorted(left)


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["sample", "--num", 0], ["--num must be at least 1, but got 0"]),
        (
            ["sample", "--temperature", 0],
            ["--temperature must be a finite number above 0, but got 0"],
        ),
        (["sample", "--temperature", "nan"], ["--temperature must", "got nan"]),
        (["sample", "--top-k", 0], ["--top-k must be at least 1, but got 0"]),
        (["sample", "--top-k", 6], ["top_k", "at most", "5", "6"]),
        (["sample", "--top-p", 1.5], ["--top-p must lie", "1.5"]),
        (["sample", "--seed", -1], ["--seed must be from 0 to 2,147,483,647, but got -1"]),
        (["sample", "--method", "magic"], ["method", "magic"]),
        (["sample", "--out", "a.gif"], ["--out", ".png or .npz", "'a.gif'", "'a.png'"]),
        (["inpaint", "--hide", "nothing"], ["--hide", "nothing", "bottom"]),
        (["inpaint", "--num", 0], ["--num must be at least 1, but got 0"]),
        (["inpaint", "--images", -1], ["--images must be at least 1, but got -1"]),
        (["inpaint", "--data", "digits"], ["5 levels", "'digits'"]),
        (["inpaint", "--out", "run/model.keras"], ["--out", "model.keras"]),
        (["score", "digits", "--out", "a", "--map", "a"], ["--map", "are one"]),
        (["export", "--out", "run"], ["--out", "'run' exists"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_options_are_refused(run, arguments, parts):
    command, *options = arguments
    assert_refused(kerasar(command, run, *options), *parts)


@pytest.mark.parametrize(
    "make, parts",
    [
        (lambda: np.save("x.npy", images(9, levels=9)), ["5 levels", "from 0 to 4", "value 8"]),
        (lambda: np.save("x.npy", images(9, shape=(4, 5, 1))), ["(4, 6, 1)", "(4, 5, 1)"]),
        (lambda: np.save("x.npy", images(9, shape=(4, 6, 3))), ["(4, 6, 1)", "(4, 6, 3)"]),
        (lambda: open("x.npy", "wb").write(b"\x93NUMPY"), ["'x.npy'", "damaged"]),
        (lambda: np.save("x.npy", images(9) / 2), ["whole numbers", "x.npy"]),
    ],
    ids=["levels", "size", "colour", "damaged", "fractions"],
)
def test_images_that_the_model_cannot_take_are_refused(run, make, parts):
    make()
    done = kerasar("score", run, "x.npy", "--out", "scores.csv", "--map", "map")
    assert_refused(done, *parts, left=["x.npy"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "run", "--out", "mine.png"],
        ["inpaint", "run", "--out", "mine.png"],
        ["score", "run", "digits", "--out", "mine.png"],
        ["score", "run", "digits", "--map", "mine.png"],
        ["export", "run", "--out", "mine.png"],
    ],
    ids=" ".join,
)
def test_what_exists_is_never_overwritten(run, arguments):
    with open("mine.png", "w") as file:
        file.write("precious")
    assert_refused(kerasar(*arguments), "'mine.png' exists", left=["mine.png"])
    with open("mine.png") as file:
        assert file.read() == "precious"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "run", "--out", "a.npz", "--out", "./a.npz"],
        ["inpaint", "run", "--out", "a.npz", "--out", "a.npz"],
        ["score", "run", "digits", "--out", "a.npz", "--map", "run/../a.npz"],
    ],
    ids=" ".join,
)
def test_two_outputs_of_one_name_are_refused_early(run, arguments):
    assert_refused(kerasar(*arguments), "name of its own", "'a.npz' and", "are one", left=[])


COMMANDS = [["sample"], ["inpaint"], ["score", "digits"], ["export"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_unknown_run_is_answered_with_its_neighbour(run, command):
    done = kerasar(command[0], "rn", *command[1:])
    assert_refused(done, "RUN", "there is no 'rn'", "Did you mean 'run'?")


def test_a_folder_that_is_no_run_is_refused(run):
    os.mkdir("other")
    assert_refused(kerasar("sample", "other"), "RUN", "'other' holds no such files", "'run'")


def test_a_damaged_model_is_refused(run):
    with open("run/model.keras", "rb") as file:
        whole = file.read()
    for damaged in (whole[:1000], whole[:5000] + b"xxxx" + whole[5004:], b""):
        with open("run/model.keras", "wb") as file:
            file.write(damaged)
        assert_refused(kerasar("sample", "run"), "run/model.keras", "cannot be read")


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\xff"])
def test_a_damaged_config_is_refused(run, text):
    with open("run/config.json", "w", encoding="latin-1") as file:
        file.write(text)
    assert_refused(kerasar("sample", "run"), "run/config.json", "train again")


def test_the_real_command_says_nothing_but_its_result(run):
    code = "from kerasar.cli import main\nmain()"
    clean = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code, "sample", "run", "--num", "2"],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "run/samples-1.png\n", "")


def test_the_configuration_is_readable_json(run):
    with open("run/config.json") as file:
        assert json.load(file)["model"] == "shifted-pixelcnn"
