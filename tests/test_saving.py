"""Saving: files, copies and weights give equal outputs; files from strangers are data."""

import zipfile

import keras
import numpy as np
import pytest

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.testing import randomize

X = np.random.default_rng(0).integers(0, 3, (12, 4))
LABEL = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")


def same(a, b, condition=None):
    np.testing.assert_array_equal(a.log_prob(X % 2, condition), b.log_prob(X % 2, condition))
    assert type(a) is type(b) and type(a.likelihood) is type(b.likelihood)


def test_a_file_gives_the_model_back(sequences, tmp_path):
    for model in (sequences(), sequences(levels=2, units=1, likelihood=Bernoulli())):
        model.save(tmp_path / "model.keras")
        same(model, kerasar.load(tmp_path / "model.keras"))
    same(model, kerasar.load(str(tmp_path / "model.keras")))
    same(model, kerasar.load(tmp_path))  # a run folder


def test_a_conditional_model_comes_back(conditional, tmp_path):
    conditional.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    same(conditional, loaded, LABEL)
    assert loaded.conditions.shapes == {"label": (2,)}


def test_a_pixelcnn_comes_back(pixels, tmp_path):
    pixels.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    images = X.reshape(12, 2, 2, 1)
    np.testing.assert_array_equal(loaded.log_prob(images), pixels.log_prob(images))
    np.testing.assert_array_equal(loaded.sample(5, seed=1), pixels.sample(5, seed=1))


@pytest.mark.parametrize("jit_compile", [None, False])
def test_training_goes_on_where_it_stopped(sequences, tmp_path, jit_compile):
    """With its optimizer's state: two epochs, saved in between or not, end alike."""
    model = sequences()
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, jit_compile=jit_compile, steps_per_execution=3)
    fit = dict(batch_size=4, shuffle=False, verbose=0)
    model.fit(X, **fit)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    assert (loaded.jit_compile, loaded.steps_per_execution) == (model.jit_compile, 3)
    assert int(loaded.optimizer.iterations) == 3
    for one in (model, loaded):
        one.fit(X, **fit)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_model_that_was_not_compiled_stays_so(sequences, tmp_path):
    sequences().save(tmp_path / "model.keras")
    assert not kerasar.load(tmp_path / "model.keras").compiled


def test_weights_alone(sequences, tmp_path):
    model, other = sequences(), sequences()
    model.save_weights(tmp_path / "model.weights.h5")
    randomize(other.network, seed=9)
    assert (other.log_prob(X) != model.log_prob(X)).any()
    other.load_weights(tmp_path / "model.weights.h5")
    same(model, other)


def test_a_clone_of_the_network(sequences, pixels):
    for model in (sequences(), pixels):
        clone = keras.models.clone_model(model.network)
        clone.set_weights(model.network.get_weights())
        x = X.reshape(-1, *model.data_shape)
        again = kerasar.AutoregressiveModel(clone, model.likelihood)
        np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))


def test_a_clone_of_the_model(sequences):
    model = sequences()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    same(model, clone)


def test_custom_objects_are_registered_under_kerasar():
    names = [
        *(name for name in vars(kerasar.layers) if name[0].isupper()),
        "AutoregressiveModel",
    ]
    for name in names:
        cls = getattr(kerasar.layers, name, None) or getattr(kerasar, name)
        assert keras.saving.get_registered_name(cls) == f"kerasar>{name}"


# Files that are none of ours.


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model at '.*missing.keras'"):
        kerasar.load(tmp_path / "missing.keras")
    with pytest.raises(FileNotFoundError, match="no model at"):
        kerasar.load(tmp_path)


def test_a_damaged_file(sequences, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match=r"model.keras' is not a .keras file, or is damaged"):
        kerasar.load(path)
    sequences().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is not a .keras file, or is damaged"):
        kerasar.load(path)


ZIP_FILES = {
    "no model": {"hello.txt": "a zip file, but no model"},
    "no weights": {"metadata.json": "{}", "config.json": "{}"},
    "half a config": {"metadata.json": "{}", "config.json": "{", "model.weights.h5": ""},
}


@pytest.mark.parametrize(
    "kind",
    [
        "no model",
        "no weights",
        "half a config",
    ],
)
def test_a_zip_file_that_is_no_model(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as file:
        for name, text in ZIP_FILES[kind].items():
            file.writestr(name, text)
    with pytest.raises(ValueError, match="model.keras' is (damaged|not a .keras file)"):
        kerasar.load(tmp_path / "model.keras")


def test_a_file_with_code_is_refused(tmp_path):
    x = keras.Input((4,))
    keras.Model(x, keras.layers.Lambda(lambda x: x)(x)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="[Ll]ambda"):
        kerasar.load(tmp_path / "model.keras")


@pytest.mark.parametrize("name", ["best.h5", "best.hdf5", "best", "best.keras.h5"])
def test_other_formats_are_refused_when_a_model_is_saved(sequences, tmp_path, name):
    with pytest.raises(ValueError, match=r"filepath must be .*, but got '.*best.*\.keras'"):
        sequences().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_home_folder_is_understood(sequences, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model = sequences()
    model.save("~/model.keras")
    model.save_weights("~/model.weights.h5")
    assert (tmp_path / "model.keras").exists()
    loaded = kerasar.load("~/model.keras")
    loaded.load_weights("~/model.weights.h5")
    same(model, loaded)
    with pytest.raises(TypeError, match="path must be a path"):
        kerasar.load(3)
