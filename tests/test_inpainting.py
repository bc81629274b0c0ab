"""In-painting: what is given stays, what is drawn is the sample of the seed, masks may differ."""

import numpy as np
import pytest

import kerasar
from kerasar.noise import fold_in
from kerasar.sampling import METHODS
from kerasar.testing import check_the_sample, randomize

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (12, 4, 5, 1))
KNOWN = RNG.random((12, 4, 5, 1)) < RNG.random((12, 1, 1, 1))
KNOWN[0], KNOWN[1] = False, True


@pytest.fixture(scope="module")
def model():
    model = kerasar.models.ShiftedPixelCNN((4, 5, 1), 4, filters=(8, 8), head_filters=8)
    randomize(model.network)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_given_pixels_stay_and_the_others_are_the_sample(model, method):
    drawn = model.inpaint(IMAGES, KNOWN, seed=3, method=method)
    assert (drawn.dtype, drawn.shape) == (np.int32, IMAGES.shape)
    np.testing.assert_array_equal(drawn[KNOWN], IMAGES[KNOWN])
    assert (drawn != IMAGES).any()
    check_the_sample(model, drawn, seed=3, known=KNOWN)


@pytest.mark.parametrize("method", METHODS)
def test_same_integers_twice_and_whatever_the_batch(model, method):
    drawn = model.inpaint(IMAGES, KNOWN, seed=3, method=method)
    for count, chunk_size in ((12, 256), (5, 256), (12, 5), (12, 1)):
        again = model.inpaint(
            IMAGES[:count], KNOWN[:count], seed=3, method=method, chunk_size=chunk_size
        )
        np.testing.assert_array_equal(again, drawn[:count])
    assert (model.inpaint(IMAGES, KNOWN, seed=4, method=method) != drawn).any()


@pytest.mark.parametrize("method", METHODS)
def test_several_completions_of_each_image(model, method):
    drawn = model.inpaint(IMAGES, KNOWN, seed=3, num_completions=3, method=method)
    assert drawn.shape == (12, 3, 4, 5, 1)
    for version in range(3):
        of_version = drawn[:, version]
        np.testing.assert_array_equal(of_version[KNOWN], IMAGES[KNOWN])
        check_the_sample(model, of_version, fold_in(3, version), known=KNOWN)
    # The first is what num_completions=1 gives; the others are others; chunks may cut through an
    # image.
    np.testing.assert_array_equal(drawn[:, 0], model.inpaint(IMAGES, KNOWN, seed=3))
    assert (drawn[0, 1] != drawn[0, 2]).any() and (drawn[0, 0] != drawn[0, 1]).any()
    chunked = model.inpaint(IMAGES, KNOWN, seed=3, num_completions=3, method=method, chunk_size=4)
    np.testing.assert_array_equal(chunked, drawn)


def test_nothing_given_is_sampling(model):
    nothing = np.zeros((6, 4, 5, 1), bool)
    np.testing.assert_array_equal(
        model.inpaint(IMAGES[:6], nothing, seed=8), model.sample(6, seed=8)
    )


def test_everything_given_comes_back(model):
    np.testing.assert_array_equal(model.inpaint(IMAGES, np.ones(IMAGES.shape, bool)), IMAGES)


@pytest.mark.parametrize("rubbish", [np.nan, -7, 99, 0.5])
def test_what_stands_at_unknown_places_is_ignored(model, rubbish):
    expected = model.inpaint(IMAGES, KNOWN, seed=3)
    masked = np.where(KNOWN, IMAGES.astype("float32"), rubbish)
    np.testing.assert_array_equal(model.inpaint(masked, KNOWN, seed=3), expected)


def test_bytes_and_options(model):
    drawn = model.inpaint(IMAGES.astype("uint8"), KNOWN, seed=3, temperature=0.5, top_k=2)
    check_the_sample(model, drawn, seed=3, known=KNOWN, temperature=0.5, top_k=2)


def test_sequences_are_filled_in_too(sequences):
    model = sequences(length=None)
    x = RNG.integers(0, 3, (6, 7))
    known = RNG.random((6, 7)) < 0.5
    for method in METHODS:
        drawn = model.inpaint(x, known, seed=1, method=method)
        np.testing.assert_array_equal(drawn[known], x[known])
        check_the_sample(model, drawn, seed=1, known=known)


def test_completions_follow_the_conditional_distribution(sequences):
    """Given x₀ and x₁, the rest is drawn from p(x₂, x₃ | x₀, x₁), by enumeration."""
    model = sequences()
    start, n = [2, 0], 5000
    x = np.tile([*start, 0, 0], (n, 1))
    drawn = model.inpaint(x, np.tile([True, True, False, False], (n, 1)), seed=1, chunk_size=n)
    ends = np.indices((3, 3)).reshape(2, -1).T
    nats = model.log_prob([[*start, *end] for end in ends])
    p = np.exp(nats - np.logaddexp.reduce(nats))
    counts = np.bincount(drawn[:, 2] * 3 + drawn[:, 3], minlength=9)
    assert (np.abs(counts - n * p) < 5 * np.sqrt(n * p) + 1).all()


BAD = {
    "integer mask": (IMAGES, KNOWN.astype(int), TypeError, "known must be Boolean.*int64"),
    "float mask": (IMAGES, KNOWN * 1.0, TypeError, "known must be Boolean.*float64"),
    "mask of one image": (IMAGES, KNOWN[0], ValueError, r"\(12, 4, 5, 1\).*\(4, 5, 1\).*broadcast"),
    "mask without channels": (IMAGES, KNOWN[..., 0], ValueError, r"known .*\(12, 4, 5\)"),
    "wrong size": (
        IMAGES[:, :3],
        KNOWN[:, :3],
        ValueError,
        r"x must have shape \(batch, 4, 5",
    ),
    "level too high": (IMAGES + 1, KNOWN, ValueError, r"x must lie in \[0, 4\), but holds 4"),
    "negative": (IMAGES - 1, KNOWN, ValueError, r"x must lie in \[0, 4\), but holds -1"),
    "fraction": (IMAGES + 0.5, KNOWN, ValueError, "x must hold whole numbers"),
    "NaN": (IMAGES + np.nan, KNOWN, ValueError, "x must be finite"),
    "empty": (IMAGES[:0], KNOWN[:0], ValueError, "x is empty"),
    "text": (np.full(IMAGES.shape, "a"), KNOWN, TypeError, "x must hold numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_and_masks_are_refused(model, name):
    images, known, error, message = BAD[name]
    with pytest.raises(error, match=message):
        model.inpaint(images, known)


@pytest.mark.parametrize(
    "arguments",
    [dict(num_completions=0), dict(temperature=0), dict(chunk_size=0), dict(method="x")],
    ids=str,
)
def test_bad_arguments_are_refused(model, arguments):
    with pytest.raises((ValueError, TypeError), match=next(iter(arguments))):
        model.inpaint(IMAGES, KNOWN, **arguments)
