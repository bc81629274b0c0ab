"""`check_normalized` can fail: sums above and below one, NaN, domains that cannot be listed."""

import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar.distributions import Categorical
from kerasar.testing import check_normalized


class Fake:
    """Every one of the 9 pairs of 3 levels has the same log-probability."""

    name, data_shape, data_levels = "fake", (2,), 3

    def __init__(self, log_prob):
        self.value = log_prob

    def log_prob(self, x, condition=None):
        assert len(np.unique(x, axis=0)) == 9
        return np.full(len(x), self.value)


def test_probabilities_that_sum_to_one_pass():
    check_normalized(Fake(np.log(1 / 9)))


@pytest.mark.parametrize("factor", [0.999, 1.001], ids=["below", "above"])
def test_another_sum_is_caught(factor):
    with pytest.raises(AssertionError, match=f"the probabilities of all 9 inputs sum to {factor}"):
        check_normalized(Fake(np.log(factor / 9)))


def test_nan_is_caught():
    with pytest.raises(AssertionError, match="log_prob is NaN"):
        check_normalized(Fake(np.nan))


def test_an_unnormalised_likelihood_is_caught(sequences):
    class Unnormalised(Categorical):
        def log_prob(self, parameters, x):
            return tf.gather(parameters, tf.cast(x, tf.int32), axis=-1, batch_dims=2) - 2.0

    with pytest.raises(AssertionError):
        check_normalized(sequences(likelihood=Unnormalised()))


def test_a_likelihood_of_bits_is_caught(sequences):
    class Bits(Categorical):
        def log_prob(self, parameters, x):
            return super().log_prob(parameters, x) / np.log(2.0).astype("float32")

    with pytest.raises(AssertionError, match="sum to"):
        check_normalized(sequences(likelihood=Bits()))


def test_a_condition_is_repeated(conditional):
    check_normalized(conditional, np.array([[0.3, -0.7]], "float32"))
    check_normalized(conditional, {"label": np.array([[0.3, -0.7]], "float32")})


def test_domains_that_cannot_be_listed_are_refused(sequences):
    with pytest.raises(ValueError, match=r"3 \*\* 20 possible inputs"):
        check_normalized(sequences(length=20))
    with pytest.raises(ValueError, match="known size"):
        check_normalized(sequences(length=None))


def test_the_lectures_network_passes(pixels):
    check_normalized(pixels)
    check_normalized(kerasar.models.ShiftedPixelCNN((2, 1, 1), 2, positional_encoding=False))
