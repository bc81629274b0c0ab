"""The benchmarks of binary data run in their tiny mode, and write what they found."""

import json

import numpy as np
import pytest
from run_benchmark import run_benchmark

from kerasar.data import load_sequences


def result(folder):
    assert (folder / "best.keras").exists()
    return json.loads((folder / "result.json").read_text())


@pytest.mark.long
def test_nade_on_binary_images(tmp_path):
    run_benchmark("quality.nade_mnist", "--tiny", "--out", tmp_path)
    found = result(tmp_path)
    # Twenty random bits are 20 ln 2 = 13.9 nats.
    assert 12 < found["test_nats"] < 17 and 12 < found["valid_nats"] < 17
    assert found["epochs"] == len(found["history"]) > found["chosen_epoch"] >= 0


@pytest.mark.long
@pytest.mark.parametrize("keys", ["independent", "NADE"])
def test_music(tmp_path, keys):
    run_benchmark(
        "quality.music", "--tiny", "--out", tmp_path, *(["--joint"] if keys == "NADE" else [])
    )
    found = result(tmp_path)
    assert found["keys"] == keys
    # Eight random keys are 8 ln 2 = 5.5 nats a step.
    assert all(4 < found["test_nats_a_step"][way] < 8 for way in ("all_steps", "after_the_first"))


def test_piano_rolls_become_sequences(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="only this script needs scipy")
    rng = np.random.default_rng(0)
    rolls = [rng.integers(0, 2, (steps, 88)).astype("uint8") for steps in (3, 5)]
    pieces = np.empty((1, 2), object)
    pieces[0] = rolls
    for name in ("JSB_Chorales", "Nottingham"):
        parts = {"traindata": pieces, "validdata": pieces, "testdata": pieces}
        scipy_io.savemat(tmp_path / f"{name}.mat", parts)
    run_benchmark("data.prepare_music", tmp_path, tmp_path)
    data = load_sequences(tmp_path / "nottingham.npz")
    np.testing.assert_array_equal(data.valid["length"], [3, 5])
    np.testing.assert_array_equal(data.test["x"][0, :3], rolls[0])


@pytest.mark.long
@pytest.mark.parametrize("model", ["gated", "diagonal_bilstm"])
def test_images(tmp_path, model):
    run_benchmark("quality.images", model, "--tiny", "--out", tmp_path)
    found = result(tmp_path)
    # 36 random bits are 25 nats, a bit each.
    assert 24 < found["test_nats"] < 30
    assert found["test_bits_per_dim"] == pytest.approx(
        found["test_nats"] / np.log(2) / 36, rel=1e-3
    )


@pytest.mark.long
def test_pixel_vae(tmp_path):
    run_benchmark("quality.pixel_vae", "--tiny", "--out", tmp_path)
    found = result(tmp_path)
    assert found["classifier_on_test"] > 0.9
    assert found["test_elbo"] < 0
    assert (tmp_path / "reconstructions.png").exists() and (tmp_path / "samples.png").exists()
