"""Muon: which kernels take orthogonal steps, and how large those are."""

import keras
import numpy as np
import pytest

import kerasar
from kerasar.training import Muon


def layers_trained(dtype):
    """A network with kernels of each sort."""
    x = keras.Input((6, 6, 3), name="x")
    h = keras.layers.Conv2D(8, 3, padding="same", dtype=dtype, name="convolution")(x)
    h = keras.layers.DepthwiseConv2D(3, padding="same", dtype=dtype, name="depthwise")(h)
    h = keras.layers.Dense(8, dtype=dtype, name="dense")(h)
    h = keras.layers.Dense(3, dtype=dtype, name="narrow")(h)
    h = keras.layers.Dense(8, dtype=dtype, name="left_out")(h)
    return keras.Model(x, h)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_of_two_sides_take_orthogonal_steps(dtype):
    keras.utils.set_random_seed(0)
    network = layers_trained(dtype)
    optimizer = Muon(0.1, exclude_layers=["left"])
    optimizer.build(network.trainable_variables)
    before = [np.asarray(weight) for weight in network.trainable_variables]
    gradients = [keras.random.normal(weight.shape, dtype=dtype) for weight in before]
    optimizer.apply(gradients, network.trainable_variables)
    orthogonal = set()
    for weight, old in zip(network.trainable_variables, before, strict=True):
        step = (np.asarray(weight) - old).reshape(-1, weight.shape[-1])
        values = np.linalg.svd(step / (0.1 * 0.2 * max(step.shape) ** 0.5), compute_uv=False)
        if step.shape[0] > 1 and 0.5 < values.min() and values.max() < 1.5:
            orthogonal.add(weight.path)
        else:  # Adam's first step
            np.testing.assert_allclose(np.abs(step), 0.1, rtol=1e-2)
    assert orthogonal == {"convolution/kernel", "dense/kernel"}


def test_it_trains_saves_and_goes_on(tmp_path):
    x = kerasar.data.toy_sequences(64, length=8)
    keras.utils.set_random_seed(0)
    model = kerasar.models.CausalConvNet(8, 16, filters=8, dilations=(1,))
    model.compile(Muon(5e-3, exclude_layers=["head"], use_ema=True))
    losses = model.fit(x, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is Muon
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, loaded):
        keras.utils.set_random_seed(1)
        one.fit(x, shuffle=False, verbose=0)
    for left, right in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_the_command_takes_it(name, tmp_path):
    from typer.testing import CliRunner

    from kerasar.cli import app

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x_train=rng.integers(3, size=(40, 4, 4, 1)).astype("uint8"))
    arguments = ["train", "pixelcnn", "--data", tmp_path / "x.npz", "--epochs", "1"]
    arguments += ["--optimizer", name, "--out", tmp_path / "run"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert f"{name.capitalize()} at a rate of 0.002" in done.output
