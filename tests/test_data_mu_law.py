"""µ-law: its exact inverse on codes, its formula, and what it refuses."""

import math

import numpy as np
import pytest

from kerasar.data import mu_law_decode, mu_law_encode


@pytest.mark.parametrize("levels", [2, 3, 16, 255, 256, 257, 4096, 65535, 65536])
def test_encoding_what_was_decoded_is_the_identity_on_codes(levels):
    codes = np.arange(levels)
    np.testing.assert_array_equal(mu_law_encode(mu_law_decode(codes, levels), levels), codes)


@pytest.mark.parametrize("levels", [2, 256, 1000])
def test_it_takes_the_nearest_of_evenly_spaced_compressed_values(levels):
    values = np.random.default_rng(0).uniform(-1, 1, 50)
    spaced = np.linspace(-1, 1, levels)
    mu = levels - 1
    for value, code in zip(values, mu_law_encode(values, levels), strict=True):
        compressed = math.copysign(math.log(1 + mu * abs(value)) / math.log(1 + mu), value)
        assert code == np.abs(spaced - compressed).argmin()


def test_silence_and_the_loudest_have_the_codes_that_are_stated():
    np.testing.assert_array_equal(mu_law_encode(np.array([-1.0, 0.0, 1.0])), [0, 128, 255])
    decoded = mu_law_decode(np.array([0, 127, 128, 255]))
    assert decoded[0] == -1 and decoded[3] == 1 and abs(decoded[1]) < 1e-4 > abs(decoded[2])


def test_eight_bits_are_bytes_and_more_are_not():
    sound = np.zeros((2, 3), "float32")
    assert mu_law_encode(sound).dtype == np.uint8
    assert mu_law_encode(sound, 257).dtype == np.int32
    assert mu_law_decode(mu_law_encode(sound)).dtype == np.float32
    assert mu_law_encode(sound).shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mu_law_encode(np.array([3, 4])), TypeError, "dtype is int64. Divide"),
        (lambda: mu_law_encode(np.array([0.0, 1.5])), ValueError, "got 1.5. Divide"),
        (lambda: mu_law_encode(np.array([np.nan])), ValueError, "got nan"),
        (
            lambda: mu_law_encode(np.zeros(3), 1),
            ValueError,
            "from 2 to 65,536, but got 1",
        ),
        (lambda: mu_law_encode(np.zeros(3), 8.0), TypeError, "integer, but got 8.0"),
        (lambda: mu_law_decode(np.array([0, 256])), ValueError, r"\[0, 256\), but got 0 … 256"),
        (lambda: mu_law_decode(np.array([-1])), ValueError, "-1"),
        (lambda: mu_law_decode(np.array([0.0])), TypeError, "float64"),
    ],
)
def test_it_refuses(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
