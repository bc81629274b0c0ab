"""Flows that are saved, loaded, copied and served give the same numbers."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from drawing import some
from flows import IMAGES, LABELS, POINTS, pictures, plane
from serving import serve

import kerasar
from kerasar.distributions import Logistic

MODELS = {
    "plane": (lambda: plane(base=Logistic()), {"x": POINTS}),
    "conditional": (lambda: plane(condition_shape=(3,)), {"x": POINTS, "condition": LABELS}),
    "images": (pictures, {"x": IMAGES}),
}


def same(model, other, data):
    np.testing.assert_allclose(other.log_prob(data), model.log_prob(data), rtol=1e-6)
    condition = data.get("condition")
    count = len(data["x"])
    np.testing.assert_allclose(
        other.sample(count, seed=2, condition=condition),
        model.sample(count, seed=2, condition=condition),
        atol=1e-6,
    )
    assert (other.name, other.exact, other.scales) == (model.name, model.exact, model.scales)


@pytest.mark.parametrize("name", MODELS)
def test_a_file_gives_the_same_model(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    model.save(tmp_path / "model.keras")
    same(model, kerasar.load(tmp_path / "model.keras"), data)


@pytest.mark.parametrize("name", MODELS)
def test_a_config_and_weights_give_the_same_model(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    same(model, clone, data)
    model.save_weights(tmp_path / "model.weights.h5")
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    again.load_weights(tmp_path / "model.weights.h5")
    same(model, again, data)


def test_a_fitted_model_goes_on_training_after_loading(tmp_path):
    model = plane(standardize=True)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False, steps_per_execution=1)
    model.fit(POINTS, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    assert loaded.bijection.bijections[0].is_adapted
    same(model, loaded, {"x": POINTS})
    for one in (model, loaded):
        one.fit(POINTS, verbose=0, shuffle=False)
    np.testing.assert_allclose(loaded.log_prob(POINTS), model.log_prob(POINTS), rtol=1e-4)


OPTIONS = dict(seed=3, temperature=1.0)


@pytest.mark.parametrize("name", some(MODELS, ["conditional", "images"]))
def test_a_server_gives_pythons_numbers(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    model.export(tmp_path / "1")
    rows, condition = len(data["x"]), data.get("condition")
    given = {} if condition is None else {"condition": condition}
    default, found, z, drawn, cool = serve(
        tmp_path / "1",
        [
            ("serving_default", data),
            ("log_prob", data),
            ("latent", data),
            ("sample", dict(num_samples=rows, **OPTIONS, **given)),
            ("sample", dict(num_samples=rows, **{**OPTIONS, "temperature": 0.5}, **given)),
        ],
    )
    assert default == found
    np.testing.assert_allclose(found["log_prob"], model.log_prob(data), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(z["latent"], model.latent(data["x"], condition), atol=1e-5)
    for answer, temperature in ((drawn, 1.0), (cool, 0.5)):
        expected = model.sample(rows, seed=3, temperature=temperature, condition=condition)
        np.testing.assert_allclose(answer["samples"], expected, atol=1e-5)


def test_bad_requests_fail_with_a_message_and_the_next_one_works(tmp_path):
    model = pictures()
    model.export(tmp_path / "1")
    bad = {
        r"x must lie in [0, 4)": ("log_prob", dict(x=IMAGES + 1)),
        r"x must lie in [0, 4) ": ("latent", dict(x=IMAGES.astype(int) - 1)),
        "num_samples must lie in [1, 4096]": ("sample", dict(num_samples=0, **OPTIONS)),
        "seed must not be negative": ("sample", dict(num_samples=1, seed=-1, temperature=1.0)),
        "temperature must be above 0": ("sample", dict(num_samples=1, seed=0, temperature=0.0)),
    }
    good = ("log_prob", dict(x=IMAGES))
    answers = serve(tmp_path / "1", [r for request in bad.values() for r in (request, good)])
    for message, answer, after in zip(bad, answers[::2], answers[1::2], strict=True):
        assert isinstance(answer, str) and message.strip() in answer
        np.testing.assert_allclose(after["log_prob"], model.log_prob(IMAGES), rtol=1e-5)


def test_bad_conditions_and_numbers_fail_with_a_message(tmp_path):
    plane(condition_shape=(3,)).export(tmp_path / "1")
    nan = LABELS.copy()
    nan[1, 1] = np.nan
    answers = serve(
        tmp_path / "1",
        [
            ("log_prob", dict(x=POINTS, condition=LABELS[:3])),
            ("log_prob", dict(x=POINTS, condition=nan)),
            ("sample", dict(num_samples=2, condition=LABELS, **OPTIONS)),
            ("log_prob", dict(x=POINTS * np.nan, condition=LABELS)),
        ],
    )
    words = ["condition must have one row", "x must have a finite condition"]
    for word, answer in zip([*words, words[0], "x must be finite"], answers, strict=True):
        assert isinstance(answer, str) and word in answer


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        plane().export(tmp_path / "1")


@pytest.mark.long
def test_a_fresh_process_loads_a_file_by_its_path(tmp_path):
    plane().save(tmp_path / "model.keras")
    code = f"import kerasar; print(kerasar.load({str(tmp_path / 'model.keras')!r}).sample(1).shape)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "(1, 2)", run.stderr
