"""The layer between the units of the data and those of the network."""

import keras
import numpy as np
import pytest

from kerasar.layers import Standardize
from kerasar.testing import check_layer

X = np.random.default_rng(0).normal(size=(4, 7, 2)).astype("float32")


@pytest.mark.parametrize("mean, scale", [(0.5, 2.0), ((0.5, -1.0), (2.0, 0.1))])
def test_it_keeps_what_a_layer_promises(tmp_path, mean, scale):
    check_layer(Standardize(mean, scale), X, tmp_path)


def test_it_takes_the_mean_away_and_divides_by_the_scale():
    expected = (X - np.array([0.5, -1.0])) / [2.0, 0.1]
    np.testing.assert_allclose(Standardize((0.5, -1.0), (2.0, 0.1))(X), expected, rtol=1e-5)


def test_low_precision_begins_after_the_mean_is_gone():
    # bfloat16 has no 1003: next to 1000 it knows 1000 and 1004 only.
    found = Standardize(1000.0, 1.0, dtype="mixed_bfloat16")(np.float32([[1000, 1001, 1003]]))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_array_equal(np.asarray(found, "float32"), [[0, 1, 3]])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Standardize(0.0, 0.0), ValueError, "scale of Standardize must be above 0"),
        (lambda: Standardize(0.0, (1.0, -2.0)), ValueError, "above 0, but got -2.0"),
        (lambda: Standardize(np.inf), ValueError, "mean of Standardize must be finite"),
        (lambda: Standardize("1"), TypeError, "must be a scalar, or one for each variable"),
        (lambda: Standardize(True), TypeError, "must be a scalar"),
        (lambda: Standardize((1.0, 2.0, 3.0))(X), ValueError, r"3 variables.*\(4, 7, 2\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
