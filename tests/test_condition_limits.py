"""Limits of conditions, read off the layers that take them in."""

import keras
import numpy as np
import pytest
from keras import layers as L
from small_layers import Undeclared

import kerasar
from kerasar.causality.condition_limits import ConditionLimits, condition_limits, open_length
from kerasar.causality.graph import read_graph
from kerasar.layers import CausalShift


def network(condition, body):
    x = keras.Input((12,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(4, 6)(x))
    return keras.Model([x, condition], L.Dense(4)(L.Add()([h, body(condition)])))


def slow(steps=None):
    return keras.Input((steps, 2), name="slow")


NETWORKS = {
    "a table": (
        lambda: network(keras.Input((1,), dtype="int32", name="label"), L.Embedding(7, 6)),
        {"label": ConditionLimits(num_classes=7)},
    ),
    "repetition": (
        lambda: network(slow(4), lambda c: L.Dense(6)(L.UpSampling1D(3)(c))),
        {"slow": ConditionLimits(hop=3)},
    ),
    "transposed convolution": (
        lambda: network(slow(), lambda c: L.Conv1DTranspose(6, 8, 4, padding="same")(c)),
        {"slow": ConditionLimits(hop=4)},
    ),
    "neither": (lambda: network(slow(12), L.Dense(6)), {}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_they_are_read_off_the_network(name):
    build, expected = NETWORKS[name]
    found = condition_limits(read_graph(build()))
    found.pop("x", None)  # the data are looked up in a table as well
    assert found == expected


@pytest.mark.parametrize("name", ["a table", "repetition", "transposed convolution"])
def test_any_network_that_has_them_refuses_what_breaks_them(name):
    model = kerasar.AutoregressiveModel(NETWORKS[name][0]())
    x = np.zeros((2, 12), int)
    fits, breaks, message = {
        "a table": (np.zeros((2, 1)), np.full((2, 1), 7), "holds 7"),
        "repetition": (np.zeros((2, 4, 2)), np.zeros((2, 6, 2)), "6 × 3 = 18.*length 12"),
        "transposed convolution": (np.zeros((2, 3, 2)), np.zeros((2, 12, 2)), "12 × 4 = 48"),
    }[name]
    assert np.isfinite(model.log_prob(x, condition=fits)).all()
    with pytest.raises(ValueError, match=message):
        model.log_prob(x, condition=breaks)
    with pytest.raises(ValueError, match=message):
        model.sample(2, condition=breaks)
    with pytest.raises(ValueError, match=message):
        model.inpaint(x, x == 0, condition=breaks)


def test_an_open_length_that_is_probed_or_checked_holds_whole_steps():
    x, steps = keras.Input((None,), dtype="int32", name="x"), slow()
    h = Undeclared()(CausalShift()(L.Embedding(4, 6)(x)))
    h = L.Add()([h, L.Dense(6)(L.UpSampling1D(7)(steps))])
    with pytest.warns(UserWarning, match="probed"):
        model = kerasar.AutoregressiveModel(keras.Model([x, steps], L.Dense(4)(h)))
    drawn = model.sample(1, length=14, condition=np.zeros((1, 2, 2)))
    assert drawn.shape == (1, 14)
    assert open_length(model.conditions.limits, 64) == 70


@pytest.mark.parametrize(
    ("together", "axes"),
    [
        (lambda h, c: L.Add()([h, L.Dense(6)(c)]), (0,)),
        (lambda h, c: L.Concatenate()([h, c]), (0,)),
        (lambda h, c: L.Add()([h, L.Dense(6)(L.GlobalAveragePooling1D(keepdims=True)(c))]), None),
    ],
    ids=["added", "joined", "summed up first"],
)
def test_what_lies_beside_data_of_any_length_is_found_by_trial(together, axes):
    x = keras.Input((None,), dtype="int32", name="x")
    beside = keras.Input((None, 2), name="beside")
    h = together(CausalShift()(L.Embedding(4, 6)(x)), beside)
    found = condition_limits(read_graph(keras.Model([x, beside], L.Dense(4)(h))), with_sizes=True)
    assert found.get("beside") == (None if axes is None else ConditionLimits(beside=axes))
