"""`log_prob` and `log_prob_map`: the chain rule, units, shapes, unequal lengths, bad data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.testing import check_normalized, randomize

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 3, (5, 2, 2, 1))
SEQUENCES = RNG.integers(0, 3, (6, 4))


def test_it_is_the_chain_rule(sequences):
    """Term by term, each from a network that is given the values before it and nothing more."""
    model = sequences()
    terms = np.zeros(SEQUENCES.shape)
    for step in range(4):
        before = np.where(np.arange(4) < step, SEQUENCES, 0)
        logits = np.asarray(model.network(before))[:, step].astype("float64")
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        terms[:, step] = np.log(p[np.arange(6), SEQUENCES[:, step]])
    np.testing.assert_allclose(model.log_prob_map(SEQUENCES), terms, atol=1e-5)
    np.testing.assert_allclose(model.log_prob(SEQUENCES), terms.sum(-1), atol=1e-5)


def test_shapes_and_dtypes(pixels, sequences):
    for model, x in ((pixels, IMAGES), (sequences(), SEQUENCES)):
        found, terms = model.log_prob(x), model.log_prob_map(x)
        assert (found.shape, found.dtype) == ((len(x),), np.float32)
        assert (terms.shape, terms.dtype) == (x.shape, np.float32)
        np.testing.assert_allclose(terms.sum(axis=tuple(range(1, x.ndim))), found, rtol=1e-5)


def test_an_example_has_its_own_condition_whatever_the_batch():
    """Two rows and two examples: `ops.add` would take a condition of each for a bias of each."""
    x = keras.Input((2, 4, 1), dtype="int32", name="x")
    offset = keras.Input((1, 1, 1), name="offset")
    h = kerasar.layers.CausalShift(1)(kerasar.layers.ScaleLevels(3)(x))
    h = keras.layers.Add()([h, offset])
    h = keras.layers.Dense(3)(keras.layers.Dense(5, activation="tanh")(h))
    network = keras.Model([x, offset], kerasar.layers.SplitChannels(1)(h))
    model = kerasar.AutoregressiveModel(network)
    randomize(network)
    images, offsets = RNG.integers(0, 3, (3, 2, 4, 1)), RNG.normal(size=(3, 1, 1, 1))
    expected = np.concatenate(
        [model.log_prob(images[i : i + 1], offsets[i : i + 1]) for i in range(3)]
    )
    drawn = model.sample(3, condition=offsets, method="cached")
    for count in (2, 3):
        found = model.log_prob(images[:count], offsets[:count])
        np.testing.assert_allclose(found, expected[:count], rtol=1e-5)
        some = model.sample(count, condition=offsets[:count], method="cached")
        np.testing.assert_array_equal(some, drawn[:count])


def test_it_stays_float32_in_low_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = kerasar.models.ShiftedPixelCNN((2, 2, 1), 3, filters=(4,), head_filters=8)
    finally:
        keras.config.set_dtype_policy(before)
    randomize(model.network)
    assert model.log_prob(IMAGES).dtype == np.float32
    check_normalized(model)


def test_a_binary_model_is_normalised(sequences):
    model = sequences(levels=2, units=1, likelihood=Bernoulli())
    check_normalized(model)
    assert model.log_prob_map(SEQUENCES % 2).shape == (6, 4)


def test_the_number_at_once_does_not_matter(sequences):
    model = sequences()
    for size in (1, 4, 100):
        np.testing.assert_allclose(
            model.log_prob(SEQUENCES, batch_size=size), model.log_prob(SEQUENCES), rtol=1e-5
        )


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float32", "float64", "bool"])
def test_whole_numbers_of_any_kind_are_data(sequences, dtype):
    model = sequences()
    x = np.minimum(SEQUENCES, 1) if dtype == "bool" else SEQUENCES
    np.testing.assert_allclose(model.log_prob(x.astype(dtype)), model.log_prob(x), rtol=1e-6)
    np.testing.assert_allclose(model.log_prob(tf.constant(x)), model.log_prob(x), rtol=1e-6)


def test_later_training_is_seen(sequences):
    model = sequences()
    before = model.log_prob(SEQUENCES)
    randomize(model.network, seed=1)
    assert np.abs(model.log_prob(SEQUENCES) - before).max() > 0.01


# Unequal lengths.


def test_padding_adds_nothing_and_changes_nothing(sequences):
    model = sequences()
    length = np.array([1, 2, 3, 4, 4, 2])
    whole = model.log_prob_map(SEQUENCES)
    padded = model.log_prob_map({"x": SEQUENCES, "length": length})
    real = np.arange(4) < length[:, None]
    np.testing.assert_allclose(padded, np.where(real, whole, 0), atol=1e-6)
    assert (padded[~real] == 0).all()

    other = np.where(real, SEQUENCES, (SEQUENCES + 1) % 3)  # whatever stands in the padding
    np.testing.assert_allclose(
        model.log_prob({"x": other, "length": length}), padded.sum(-1), atol=1e-5
    )


def test_metrics_divide_by_real_positions(sequences):
    model = sequences()
    model.compile(jit_compile=False)
    data = {"x": SEQUENCES, "length": np.array([1, 2, 3, 4, 4, 2])}
    found = model.evaluate(data, return_dict=True, verbose=0, batch_size=4)
    nats = -model.log_prob(data).astype("float64")
    np.testing.assert_allclose(found["loss"], nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["bits_per_dim"], nats.sum() / 16 / np.log(2), rtol=1e-5)
    np.testing.assert_allclose(found["perplexity"], np.exp(nats.sum() / 16), rtol=1e-5)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ([1, 2, 3], "one integer for each of the 6 sequences"),
        ([1.0] * 6, "one integer for each.*float64"),
        ([0, 1, 2, 3, 4, 4], r"\[1, 4\].*holds 0"),
        ([5, 1, 2, 3, 4, 4], r"\[1, 4\].*5"),
    ],
)
def test_a_length_that_does_not_fit_is_refused(sequences, length, message):
    with pytest.raises(ValueError, match=f"length .*{message}"):
        sequences().log_prob({"x": SEQUENCES, "length": np.array(length)})


def test_images_have_no_length(pixels):
    with pytest.raises(ValueError, match="length is for sequences"):
        pixels.log_prob({"x": IMAGES, "length": np.full(5, 2)})


def test_an_open_length_is_taken_as_it_comes(sequences):
    model = sequences(length=None)
    long = RNG.integers(0, 3, (2, 9))
    np.testing.assert_allclose(
        model.log_prob_map(long)[:, :4], model.log_prob_map(long[:, :4]), atol=1e-5
    )


# Bad input.


def with_value(value, dtype="float32"):
    x = IMAGES.astype(dtype)
    x[1, 0, 1, 0] = value
    return x


BAD = {
    "too large": (
        with_value(3, "int32"),
        ValueError,
        r"x must lie in \[0, 3\), but holds 3.*levels=4",
    ),
    "negative": (
        with_value(-1, "int32"),
        ValueError,
        r"x must lie in \[0, 3\), but holds -1.*Shift",
    ),
    "fraction": (with_value(0.5), ValueError, r"x must hold whole numbers.*x\[1, 0, 1, 0\] is 0.5"),
    "NaN": (with_value(np.nan), ValueError, r"x must be finite, but x\[1, 0, 1, 0\] is nan"),
    "infinity": (with_value(np.inf), ValueError, r"x must be finite, but x\[1, 0, 1, 0\] is inf"),
    "huge": (with_value(1e20), ValueError, r"x must lie in \[0, 3\)"),
    "one example": (IMAGES[0], ValueError, r"\(batch, 2, 2, 1\).*\(2, 2, 1\).*pass x\[None\]"),
    "no channels": (IMAGES[..., 0], ValueError, r"\(5, 2, 2\).*x\[..., None\]"),
    "wrong size": (np.zeros((5, 3, 2, 1), int), ValueError, r"\(batch, 2, 2, 1\).*\(5, 3, 2, 1\)"),
    "a number": (np.array(3), ValueError, r"shape is \(\)"),
    "empty": (IMAGES[:0], ValueError, "x is empty"),
    "text": (np.full(IMAGES.shape, "a"), TypeError, "x must hold numbers.*<U1"),
    "objects": (IMAGES.astype(object), TypeError, "x must hold numbers.*object"),
    "complex": (IMAGES.astype(complex), TypeError, "x must hold .*complex128"),
    "ragged": ([[1, 2], [3]], (ValueError, TypeError), "x must"),
    "nothing": (None, TypeError, "x must hold numbers"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", ["log_prob", "log_prob_map"])
def test_bad_data_are_refused(pixels, name, method):
    x, error, message = BAD[name]
    with pytest.raises(error, match=message):
        getattr(pixels, method)(x)


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_bad_batch_size_is_refused(pixels, size):
    with pytest.raises((ValueError, TypeError), match="batch_size"):
        pixels.log_prob(IMAGES, batch_size=size)


def test_unknown_parts_are_refused(sequences):
    with pytest.raises(ValueError, match=r"key \"x\".*\['X'\]"):
        sequences().log_prob({"X": SEQUENCES})
    with pytest.raises(ValueError, match=r"\['lengths', 'x'\]"):
        sequences().log_prob({"x": SEQUENCES, "lengths": np.ones(6, int)})
