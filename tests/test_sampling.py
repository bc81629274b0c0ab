"""Sampling: all samplers draw the sample of the seed, whatever the batch; options; bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.sampling import METHODS
from kerasar.testing import check_samples, check_the_sample, randomize


def test_samplers_agree_and_follow_log_prob(pixels, sequences):
    check_samples(pixels)
    check_samples(sequences())
    check_samples(sequences(levels=2, units=1, likelihood=Bernoulli()))


@pytest.fixture(scope="module")
def of_twelve_steps(sequences):
    """Shared, for the loops of a model are traced once."""
    return sequences(length=12)


@pytest.mark.parametrize(
    "options",
    [
        dict(temperature=0.3),
        dict(temperature=5.0),
        dict(top_k=1),
        dict(top_k=2, temperature=2.0),
        dict(top_p=0.5),
        dict(top_p=1.0, top_k=3),
    ],
    ids=str,
)
def test_samplers_agree_under_options(of_twelve_steps, options):
    check_samples(of_twelve_steps, **options)


@pytest.mark.long
def test_samplers_agree_on_larger_images():
    model = kerasar.models.ShiftedPixelCNN((7, 9, 1), 5, filters=(8, 8), head_filters=16)
    randomize(model.network)
    check_samples(model, num_samples=16, seed=2)


@pytest.mark.parametrize("method", METHODS)
def test_the_kth_sample_depends_on_the_seed_alone(pixels, sequences, method):
    for model in (pixels, sequences()):
        whole = model.sample(20, seed=5, method=method)
        assert (whole.dtype, whole.shape) == (np.int32, (20, *model.data_shape))
        np.testing.assert_array_equal(model.sample(20, seed=5, method=method), whole)
        for count, chunk_size in ((7, 256), (20, 3), (20, 1)):
            some = model.sample(count, seed=5, method=method, chunk_size=chunk_size)
            np.testing.assert_array_equal(some, whole[:count])
        assert (model.sample(20, seed=6, method=method) != whole).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_the_beginning_of_a_sequence_does_not_depend_on_its_length(sequences, method):
    model = sequences(length=None)
    long = model.sample(8, seed=1, length=9, method=method)
    assert long.shape == (8, 9)
    np.testing.assert_array_equal(model.sample(8, seed=1, length=4, method=method), long[:, :4])
    check_the_sample(model, long, seed=1)


def test_xla_draws_the_same(sequences):
    model = sequences(length=12)
    plain = model.sample(16, seed=4, method="cached", jit_compile=False)
    compiled = model.sample(16, seed=4, method="cached", jit_compile=True)
    check_the_sample(model, compiled, seed=4)
    np.testing.assert_array_equal(compiled, plain)


def test_a_batch_shared_over_cores_gives_the_same_samples(sequences, monkeypatch):
    model = sequences(length=6)
    shared = []

    def two_parts(size, weights):
        shared.append(size)
        return 2

    monkeypatch.setattr("kerasar.sampling.cached._parts", two_parts)
    compiled = model.sample(8, seed=4, method="cached", jit_compile=True)
    assert shared == [8]
    np.testing.assert_array_equal(compiled, model.sample(8, seed=4, method="sequential"))


def test_an_open_image_takes_any_size():
    model = kerasar.models.ShiftedPixelCNN(
        (None, None, 1), 3, filters=(8,), head_filters=8, positional_encoding=False
    )
    randomize(model.network)
    for method in METHODS:
        drawn = model.sample(4, seed=1, image_shape=(3, 5), method=method)
        assert drawn.shape == (4, 3, 5, 1)
        check_the_sample(model, drawn, seed=1)


@pytest.mark.parametrize("method", METHODS)
def test_later_training_is_seen(sequences, method):
    model = sequences()
    model.sample(4, method=method)
    randomize(model.network, seed=3)
    check_the_sample(model, model.sample(64, seed=2, method=method), seed=2)


def test_cold_sampling_takes_the_likeliest(sequences):
    model = sequences()
    cold = model.sample(8, seed=1, temperature=1e-3)
    np.testing.assert_array_equal(cold, model.sample(8, seed=2, top_k=1))
    logits = np.asarray(model.network(cold))
    np.testing.assert_array_equal(cold, logits.argmax(-1))


def test_hot_sampling_is_uniform(sequences):
    drawn = sequences().sample(3000, seed=1, temperature=1e6)
    shares = np.bincount(drawn.ravel(), minlength=3) / drawn.size
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)


def test_top_k_draws_no_other(sequences):
    model = sequences()
    drawn = model.sample(200, seed=1, top_k=2)
    ranks = (-np.asarray(model.network(drawn))).argsort(-1).argsort(-1)
    assert np.take_along_axis(ranks, drawn[..., None], -1).max() == 1


# Prompts.


@pytest.mark.parametrize("method", METHODS)
def test_a_prompt_is_kept_and_continued(sequences, method):
    model = sequences(length=9)
    prompt = np.random.default_rng(0).integers(0, 3, (6, 4))
    drawn = model.sample(6, seed=2, prompt=prompt, method=method)
    np.testing.assert_array_equal(drawn[:, :4], prompt)
    known = np.zeros((6, 9), bool)
    known[:, :4] = True
    check_the_sample(model, drawn, seed=2, known=known)
    one_for_all = model.sample(6, seed=2, prompt=prompt[0], method=method)
    assert (one_for_all[:, :4] == prompt[0]).all()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([[0, 3]], r"prompt must lie in \[0, 3\)"),
        ([[0, 0.5]], "prompt must hold whole numbers"),
        ([[0] * 5], r"at most 4 steps.*\(1, 5\)"),
        ([[0], [1]], "1 sequences"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(sequences, prompt, message):
    with pytest.raises(ValueError, match=message):
        sequences().sample(1, prompt=prompt)


def test_an_image_has_no_prompt(pixels):
    with pytest.raises(ValueError, match="draws images. Use inpaint"):
        pixels.sample(1, prompt=[[0]])


# Bad input.

BAD = {
    "no samples": (dict(num_samples=0), "num_samples must be at least 1, but got 0"),
    "negative": (dict(num_samples=-2), "num_samples must be at least 1, but got -2"),
    "half a sample": (dict(num_samples=1.5), "num_samples must be an integer, but got 1.5"),
    "temperature 0": (dict(temperature=0), "temperature must be a number above 0, but got 0"),
    "below 0": (dict(temperature=-1.0), "temperature must be a number above 0, but got -1.0"),
    "NaN": (dict(temperature=float("nan")), "temperature .* nan"),
    "infinity": (dict(temperature=float("inf")), "temperature .* inf"),
    "text": (dict(temperature="hot"), "temperature must be a finite number, but got 'hot'"),
    "top_k 0": (dict(top_k=0), "top_k must be at least 1"),
    "top_k above the levels": (dict(top_k=4), "top_k must be at most .* 3, but got 4"),
    "top_p 0": (dict(top_p=0.0), r"top_p must lie in \(0, 1\], but got 0.0"),
    "top_p above 1": (dict(top_p=1.1), r"top_p must lie in \(0, 1\], but got 1.1"),
    "top_p NaN": (dict(top_p=float("nan")), "top_p must be a finite number or None.* nan"),
    "negative seed": (dict(seed=-1), "seed must be at least 0"),
    "large seed": (dict(seed=2**31), r"seed must be below 2\*\*31"),
    "fractional seed": (dict(seed=0.5), "seed must be an integer"),
    "unknown method": (dict(method="cashed"), "method must be one of .*cached.*'cashed'"),
    "no chunk": (dict(chunk_size=0), "chunk_size must be at least 1"),
    "negative chunk": (dict(chunk_size=-1), "chunk_size must be at least 1"),
    "another length": (dict(length=5), "built for the size .*4.*length=5"),
    "image size": (dict(image_shape=(2, 2)), "draws sequences: pass length, not image_shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused(sequences, name):
    arguments, message = BAD[name]
    with pytest.raises((ValueError, TypeError), match=message):
        sequences().sample(**arguments)


def test_a_size_is_asked_for_where_it_is_open(sequences):
    with pytest.raises(ValueError, match=r"leaves its size open.*pass length="):
        sequences(length=None).sample(1)
    with pytest.raises(ValueError, match="length must be at least 1"):
        sequences(length=None).sample(1, length=0)


@pytest.mark.parametrize("size", [3, (2, 2, 1), (2, 0), "ab"])
def test_an_image_shape_that_is_no_pair_is_refused(size):
    model = kerasar.models.ShiftedPixelCNN(
        (None, None, 1), 3, filters=(8,), head_filters=8, positional_encoding=False
    )
    with pytest.raises((ValueError, TypeError), match="image_shape"):
        model.sample(1, image_shape=size)


@pytest.mark.filterwarnings("ignore:.*does not declare")
def test_a_layer_of_ones_own_that_declares_nothing_cannot_be_cached():
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return tf.multiply(inputs, 2.0)  # keras.ops would be followed

    x = keras.Input((4,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(3, 6)(x))
    network = keras.Model(x, keras.layers.Dense(3)(Own(name="own")(h)))
    model = kerasar.AutoregressiveModel(network)
    randomize(model.network)
    check_samples(model, methods=("sequential", "parallel"))
    assert model.sample(2).shape == (2, 4)
    with pytest.raises(ValueError, match='own.*method="parallel"'):
        model.sample(2, method="cached")
