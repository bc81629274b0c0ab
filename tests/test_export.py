"""The SavedModel, in a process with neither Keras nor kerasar: Python's results, safe requests."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from serving import serve

import kerasar
from kerasar.layers import CausalShift, SplitChannels
from kerasar.testing import randomize
from kerasar.testing.saved_model import run_in_fresh_process

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (6, 4, 5, 1)).astype("int32")
KNOWN = RNG.random(IMAGES.shape) < RNG.random((6, 1, 1, 1))
OPTIONS = dict(seed=3, temperature=1.0, top_k=0, top_p=1.0)


@pytest.fixture(scope="module")
def model():
    model = kerasar.models.ShiftedPixelCNN((4, 5, 1), 4, filters=(8, 8), head_filters=8)
    randomize(model.network)
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """From the model saved and loaded, so that both ways are checked at once."""
    folder = tmp_path_factory.mktemp("exported")
    model.save(folder / "model.keras")
    kerasar.load(folder / "model.keras").export(folder / "1")
    return folder / "1"


def test_log_prob_is_pythons(model, exported):
    request = dict(x=IMAGES)
    for found in serve(exported, [("serving_default", request), ("log_prob", request)]):
        assert set(found) == {"log_prob", "log_prob_map"}
        np.testing.assert_allclose(found["log_prob"], model.log_prob(IMAGES), rtol=1e-5)
        np.testing.assert_allclose(found["log_prob_map"], model.log_prob_map(IMAGES), atol=1e-5)


def test_samples_and_completions_are_pythons(model, exported):
    bent = dict(seed=4, temperature=0.7, top_k=2, top_p=0.9)
    hot = {**OPTIONS, "temperature": 2.0}
    answers = serve(
        exported,
        [
            ("sample", dict(num_samples=9, **OPTIONS)),
            ("sample", dict(num_samples=2, **OPTIONS)),
            ("sample", dict(num_samples=9, **bent)),
            ("sample", dict(num_samples=9, **hot)),
            ("inpaint", dict(x=IMAGES, known=KNOWN, **OPTIONS)),
            ("inpaint", dict(x=IMAGES, known=KNOWN, **bent)),
            ("inpaint", dict(x=np.where(KNOWN, IMAGES, -5), known=KNOWN, **OPTIONS)),
        ],
    )
    found = [np.array(answer["samples"]) for answer in answers]
    np.testing.assert_array_equal(found[0], model.sample(9, seed=3))
    np.testing.assert_array_equal(found[1], found[0][:2])
    np.testing.assert_array_equal(found[2], model.sample(9, **bent))
    np.testing.assert_array_equal(found[3], model.sample(9, seed=3, temperature=2.0))
    np.testing.assert_array_equal(found[4], model.inpaint(IMAGES, KNOWN, seed=3))
    np.testing.assert_array_equal(found[5], model.inpaint(IMAGES, KNOWN, **bent))
    np.testing.assert_array_equal(found[6], found[4])


def test_bad_requests_fail_with_a_message_and_the_next_one_works(model, exported):
    def one(**inputs):
        return {**dict(num_samples=1), **OPTIONS, **inputs}

    pair = dict(x=IMAGES, known=KNOWN, **OPTIONS)
    bad = {
        r"x must lie in [0, 4)": ("log_prob", dict(x=IMAGES + 1)),
        r"x must lie in [0, 4) ": ("log_prob", dict(x=IMAGES - 1)),
        "x must have shape (any, 4, 5, 1), but has] [6 4 4 1]": (
            "log_prob",
            dict(x=IMAGES[:, :, 1:]),
        ),
        "x must have shape (any, 4, 5, 1), but has] [6 20]": (
            "log_prob",
            dict(x=IMAGES.reshape(6, 20)),
        ),
        "known must have shape (any, 4, 5, 1)": ("inpaint", {**pair, "known": KNOWN[:, 1:]}),
        "num_samples must have shape ()": ("sample", one(num_samples=[1])),
        "num_samples must lie in [1, 4096]": ("sample", one(num_samples=0)),
        "num_samples must lie in [1, 4096] ": ("sample", one(num_samples=-3)),
        "num_samples must lie in [1, 4096]  ": ("sample", one(num_samples=10**9)),
        "seed must not be negative": ("sample", one(seed=-1)),
        "temperature must be above 0": ("sample", one(temperature=0.0)),
        "temperature must be above 0 ": ("sample", one(temperature=float("nan"))),
        "temperature must be above 0 and finite": ("sample", one(temperature=float("inf"))),
        "top_k must lie in [0, 4]": ("sample", one(top_k=5)),
        "top_k must lie in [0, 4] ": ("sample", one(top_k=-1)),
        "top_p must lie in (0, 1]": ("sample", one(top_p=0.0)),
        "top_p must lie in (0, 1] ": ("sample", one(top_p=1.5)),
        "known must have the shape of x": ("inpaint", {**pair, "known": KNOWN[:1]}),
        r"x must lie in [0, 4)  ": ("inpaint", {**pair, "x": IMAGES + 4}),
    }
    good = ("sample", dict(num_samples=2, **OPTIONS))
    answers = serve(exported, [request for bad_one in bad.values() for request in (bad_one, good)])
    expected = model.sample(2, seed=3).tolist()
    for message, answer, after in zip(bad, answers[::2], answers[1::2], strict=True):
        assert isinstance(answer, str), f"{message}: a number came back"
        assert message.strip() in answer
        assert after == {"samples": expected}


def test_an_empty_batch_fails_with_a_message(exported):
    with pytest.raises(RuntimeError, match="x must hold at least one example"):
        run_in_fresh_process(exported, "log_prob", x=IMAGES[:0])


def test_a_condition_is_an_input_by_name(conditional, tmp_path):
    conditional.export(tmp_path / "1")
    x = RNG.integers(0, 3, (5, 4))
    label = RNG.normal(size=(5, 2)).astype("float32")
    nan = label.tolist()
    nan[2][0] = float("nan")
    found, drawn, filled, *errors = serve(
        tmp_path / "1",
        [
            ("log_prob", dict(x=x, label=label)),
            ("sample", dict(num_samples=5, label=label, **OPTIONS)),
            ("inpaint", dict(x=x, known=x > 0, label=label, **OPTIONS)),
            ("log_prob", dict(x=x, label=label[:1])),
            ("sample", dict(num_samples=5, label=label[:1], **OPTIONS)),
            ("sample", dict(num_samples=1, label=label, **OPTIONS)),
            ("inpaint", dict(x=x, known=x > 0, label=label[:3], **OPTIONS)),
            ("log_prob", dict(x=x, label=nan)),
            ("sample", dict(num_samples=5, label=nan, **OPTIONS)),
            ("log_prob", dict(x=x)),
        ],
    )
    np.testing.assert_allclose(found["log_prob"], conditional.log_prob(x, label), rtol=1e-5)
    np.testing.assert_array_equal(drawn["samples"], conditional.sample(5, seed=3, condition=label))
    np.testing.assert_array_equal(
        filled["samples"], conditional.inpaint(x, x > 0, seed=3, condition=label)
    )
    for error in errors:
        assert isinstance(error, str) and "label" in error


def test_an_open_length_is_served(sequences, tmp_path):
    model = sequences(length=None)
    model.export(tmp_path / "1", max_samples=3, max_positions=30)
    x = RNG.integers(0, 3, (3, 9))
    found, filled, *errors = serve(
        tmp_path / "1",
        [
            ("log_prob", dict(x=x)),
            ("inpaint", dict(x=x, known=x > 0, **OPTIONS)),
            ("sample", dict(num_samples=4, length=2, **OPTIONS)),
            ("sample", dict(num_samples=2, length=16, **OPTIONS)),
            ("sample", dict(num_samples=1, length=10**9, **OPTIONS)),
            ("continuation", dict(prompt=x, length=11, **OPTIONS)),
            ("sample", dict(num_samples=1, length=0, **OPTIONS)),
        ],
    )
    words = [
        "[1, 3]",
        *3
        * [
            "30 values at most",
        ],
        "length must be at least 1",
    ]
    for word, error in zip(words, errors, strict=True):
        assert word in error
    np.testing.assert_allclose(found["log_prob"], model.log_prob(x), rtol=1e-5)
    np.testing.assert_array_equal(filled["samples"], model.inpaint(x, x > 0, seed=3))


def test_sequences_of_vectors_are_served(tmp_path):
    x = keras.Input((None, 2), dtype="int32", name="x")
    h = L.GRU(4, return_sequences=True)(CausalShift()(keras.ops.cast(x, "float32")))
    model = kerasar.AutoregressiveModel(keras.Model(x, SplitChannels(2)(L.Dense(6)(h))))
    randomize(model.network)
    model.export(tmp_path / "1", max_samples=3)
    x = RNG.integers(0, 3, (3, 6, 2))
    drawn, continued, *errors = serve(
        tmp_path / "1",
        [
            ("sample", dict(num_samples=3, length=6, **OPTIONS)),
            ("continuation", dict(prompt=x[:, :4], length=6, **OPTIONS)),
            ("continuation", dict(prompt=x + 3, length=6, **OPTIONS)),
            ("continuation", dict(prompt=[*x, x[0]], length=6, **OPTIONS)),
            ("continuation", dict(prompt=x, length=5, **OPTIONS)),
        ],
    )
    np.testing.assert_array_equal(drawn["samples"], model.sample(3, 3, length=6))
    expected = model.sample(3, 3, prompt=x[:, :4], length=6)
    np.testing.assert_array_equal(continued["samples"], expected)
    words = ["prompt must lie in [0, 3)", "the rows of prompt must lie in [1, 3]", "length must be"]
    for word, error in zip(words, errors, strict=True):
        assert word in error


def test_nothing_is_overwritten_and_nothing_left_behind(model, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "note.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="exists already.*overwrites nothing"):
        model.export(tmp_path / "1")
    assert [p.name for p in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1" / "note.txt").read_text() == "keep me"


def test_half_an_export_is_no_export(model, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(tf.saved_model, "save", fails)
    with pytest.raises(OSError, match="disk full"):
        model.export(tmp_path / "new" / "1")
    assert not list((tmp_path / "new").iterdir())
