"""The batches that `fit` and `evaluate` make of arrays."""

import keras
import numpy as np
import pytest

from kerasar.data.batching import array_batches


def passes(data, count=2):
    return [np.concatenate(list(data.as_numpy_iterator())).tolist() for _ in range(count)]


def test_each_pass_gives_every_example_once_in_an_order_that_the_seed_of_keras_repeats():
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        found.append([passes(array_batches(np.arange(100), 7)) for _ in range(2)])
    assert found[0] == found[1]
    orders = [order for two in found[0] for order in two]
    assert len({tuple(order) for order in orders}) == 4  # another fit has other orders
    assert all(sorted(order) == list(range(100)) for order in orders)


@pytest.mark.parametrize("shuffle", [True, False])
def test_parts_stay_together(shuffle):
    parts = {"x": np.arange(10), "condition": {"global": 2 * np.arange(10)}}
    batches = list(array_batches(parts, 4, shuffle).as_numpy_iterator())
    assert [len(batch["x"]) for batch in batches] == [4, 4, 2]
    for batch in batches:
        np.testing.assert_array_equal(batch["condition"]["global"], 2 * batch["x"])


def test_tensorflow_does_not_tune_them():
    """Its tuner sleeps for up to a minute at the end of a pass, and the pass waits for it."""
    assert array_batches(np.arange(10), 3).options().autotune.enabled is False
