"""The training pipeline gives every example once a pass, in an order that a seed repeats."""

import keras
import numpy as np
import pytest

from kerasar.data import pipeline


def passes(data, count=2):
    return [np.concatenate(list(data.as_numpy_iterator())).tolist() for _ in range(count)]


def test_each_pass_gives_every_example_once_in_an_order_of_its_own():
    first, second = passes(pipeline(np.arange(1000), 64))
    assert sorted(first) == sorted(second) == list(range(1000))
    assert first != second != list(range(1000)) != first


def test_the_whole_set_is_shuffled_not_a_window_of_it():
    """In a uniform order an example moves n/3 places on average, here 3,333 give or take 30."""
    order = np.array(passes(pipeline(np.arange(10_000), 100), 1)[0])
    assert abs(np.abs(order - np.arange(10_000)).mean() - 10_000 / 3) < 150


def test_a_seed_repeats_its_orders_and_another_does_not():
    x = np.arange(100)
    assert passes(pipeline(x, 7, seed=3)) == passes(pipeline(x, 7, seed=3))
    assert passes(pipeline(x, 7, seed=3)) != passes(pipeline(x, 7, seed=4))


def test_without_a_seed_each_pipeline_has_orders_of_its_own_which_keras_seed_repeats():
    x = np.arange(100)
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        found.append([passes(pipeline(x, 7, seed=None)) for _ in range(2)])
    assert found[0] == found[1] and found[0][0] != found[0][1]


def test_tensorflow_does_not_tune_it():
    """Its tuner sleeps for up to a minute at the end of a pass, and the pass waits for it."""
    assert pipeline(np.arange(10), 3).options().autotune.enabled is False


def test_the_order_does_not_depend_on_the_batch_size():
    x = np.arange(100)
    assert passes(pipeline(x, 7)) == passes(pipeline(x, 100))


def test_without_shuffling_the_order_is_kept():
    assert passes(pipeline(np.arange(10), 3, shuffle=False)) == [list(range(10))] * 2


def test_batches_have_the_asked_size_and_the_dtype_of_the_data():
    x = np.zeros((10, 8, 8, 1), np.uint8)
    data = pipeline(x, 4)
    assert [batch.shape[0] for batch in data.as_numpy_iterator()] == [4, 4, 2]
    assert int(data.cardinality()) == 3  # Keras shows progress by it
    assert data.element_spec.dtype == "uint8" and data.element_spec.shape[1:] == (8, 8, 1)


def test_conditions_stay_with_their_examples():
    x = np.arange(50)
    for batch in pipeline(x, 8, condition=x * 2).as_numpy_iterator():
        np.testing.assert_array_equal(batch["condition"], batch["x"] * 2)
    named = {"global": x * 3, "local": np.stack([x, -x], 1)}
    for batch in pipeline(x, 8, condition=named).as_numpy_iterator():
        np.testing.assert_array_equal(batch["condition"]["global"], batch["x"] * 3)
        np.testing.assert_array_equal(batch["condition"]["local"][:, 1], -batch["x"])


@pytest.mark.parametrize(
    "arguments, error, match",
    [
        ({"x": np.zeros((0, 3))}, ValueError, r"at least one example.*\(0, 3\)"),
        ({"x": 3}, ValueError, r"got shape \(\)"),
        ({"batch_size": 0}, ValueError, r"batch_size must be at least 1, but got 0"),
        ({"batch_size": 2.0}, TypeError, r"batch_size must be an integer, but got 2.0"),
        ({"condition": np.zeros(3)}, ValueError, r"4 examples of x.*row of condition.*\(3,\)"),
        ({"condition": {"global": 1}}, ValueError, r"condition\['global'\].*shape \(\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        pipeline(**{"x": np.zeros(4), "batch_size": 2, **arguments})
