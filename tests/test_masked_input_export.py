"""The SavedModel of a masked-input model: Python's numbers from the loader of a server."""

import re

import keras
import numpy as np
import pytest
from serving import serve

import kerasar
from kerasar.testing import randomize

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (6, 2, 2, 1)).astype("int32")
KNOWN = RNG.random(IMAGES.shape) < 0.5
OPTIONS = dict(seed=3, temperature=1.0, top_k=0, top_p=1.0)


def small(order):
    model = kerasar.models.MaskedInputLeNet(
        (2, 2, 1), 4, order=order, filters=(4, 4), kernel_sizes=(1, 1), hidden_units=8
    )
    randomize(model.network)
    return model


@pytest.fixture(scope="module")
def model():
    return small("random")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """From the model saved and loaded, so that both ways are checked at once."""
    folder = tmp_path_factory.mktemp("exported")
    model.save(folder / "model.keras")
    kerasar.load(folder / "model.keras").export(folder / "1")
    return folder / "1"


def test_log_prob_is_pythons(model, exported):
    (found,) = serve(exported, [("serving_default", dict(x=IMAGES))])
    assert set(found) == {"log_prob", "log_prob_map"}
    np.testing.assert_allclose(found["log_prob"], model.log_prob(IMAGES), rtol=1e-5)
    np.testing.assert_allclose(found["log_prob_map"], model.log_prob_map(IMAGES), atol=1e-5)


def test_samples_are_pythons(model, exported):
    (found,) = serve(exported, [("sample", dict(num_samples=9, **OPTIONS))])
    np.testing.assert_array_equal(found["samples"], model.sample(9, seed=3))


def test_completions_are_pythons(model, exported):
    bent = dict(seed=4, temperature=0.7, top_k=2, top_p=0.9)
    (found,) = serve(exported, [("inpaint", dict(x=IMAGES, known=KNOWN, **bent))])
    np.testing.assert_array_equal(found["samples"], model.inpaint(IMAGES, KNOWN, **bent))
    np.testing.assert_array_equal(np.array(found["samples"])[KNOWN], IMAGES[KNOWN])


def test_bad_requests_fail_with_a_message(exported):
    (said,) = serve(exported, [("inpaint", dict(x=IMAGES + 4, known=KNOWN, **OPTIONS))])
    assert "x must lie in [0, 4)" in said


def test_a_permutation_is_kept(tmp_path):
    model = small((2, 0, 3, 1))
    model.export(tmp_path / "1")
    (found,) = serve(tmp_path / "1", [("inpaint", dict(x=IMAGES, known=KNOWN, **OPTIONS))])
    np.testing.assert_array_equal(found["samples"], model.inpaint(IMAGES, KNOWN, seed=3))


def test_a_sequence_model_has_no_continuation(tmp_path):
    x, known = keras.Input((3,), dtype="int32", name="x"), keras.Input((3,), name="known")
    h = keras.layers.Dense(3)(kerasar.layers.mask_and_values(x, known, 3)[..., 0])
    kerasar.MaskedInputModel(keras.Model([x, known], h)).export(tmp_path / "1")
    (said,) = serve(tmp_path / "1", [("continuation", dict(prompt=[[1]], length=3, **OPTIONS))])
    assert re.search("continuation.*inpaint, log_prob, sample, serving_default", said)
    with pytest.raises(FileExistsError, match="exists already"):
        kerasar.MaskedInputModel(keras.Model([x, known], h)).export(tmp_path / "1")
