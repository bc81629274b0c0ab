"""Tensors joined along positions: start tokens, halves of a sequence, rows on top of an image."""

import keras
import pytest
from drawing import check_cached
from keras import layers as L
from keras import ops

import kerasar
from kerasar.layers import CausalShift, SplitChannels
from kerasar.testing import randomize

T, K, C = 6, 3, 4


class Start(L.Layer):
    """A learned token in front, and the last one cut off."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, h):
        start = ops.repeat(self.token, ops.shape(h)[0], axis=0)
        return ops.concatenate([start, h[:, :-1]], axis=1)

    def compute_output_shape(self, shape):
        return shape


def embedded(x, extra=0):
    return L.Embedding(K + extra, C)(x)


def zeros_in_front(x):
    h = embedded(x)
    return ops.concatenate([ops.zeros_like(h[:, :1]), h[:, :-1]], axis=1)


def by_the_layer(x):
    h = embedded(x)
    return L.Concatenate(axis=1)([ops.zeros_like(h[:, :2]), h[:, :-2]])


def a_token_in_front(x):
    return embedded(ops.concatenate([ops.full_like(x[:, :1], K), x[:, :-1]], axis=1), extra=1)


def memory_that_is_cut_off(x):
    """Tokens in front, a convolution over all, and only the outputs of the data."""
    h = CausalShift()(embedded(x))
    memory = ops.full_like(h[:, :2], 0.5)
    h = L.Conv1D(C, 3, padding="causal")(ops.concatenate([memory, h], axis=1))
    return h[:, 2:]


def two_halves(x):
    h = CausalShift()(embedded(x))
    return ops.concatenate(
        [L.Dense(C)(h)[:, :3], L.Conv1D(C, 2, padding="causal")(h)[:, 3:]], axis=1
    )


def some_of_each(x):
    h = CausalShift()(embedded(x))
    return ops.concatenate([h[:, :2], ops.zeros_like(h[:, :1]), h[:, 2:-1]], axis=1)


def network(body, length=T):
    x = keras.Input((length,), dtype="int32", name="x")
    return keras.Model(x, L.Dense(K)(L.Activation("tanh")(body(x))))


CAUSAL = {
    zeros_in_front: {-1},
    by_the_layer: {-2},
    a_token_in_front: {-1},
    lambda x: Start()(embedded(x)): {-1},
    memory_that_is_cut_off: {-1, -2, -3},
    two_halves: {-1, -2},
    some_of_each: {-1, -2},
}


@pytest.mark.parametrize("body", CAUSAL)
def test_parts_behind_each_other_are_proven_and_stepped(body):
    made = network(body)
    randomize(made)
    model = kerasar.AutoregressiveModel(made)
    assert kerasar.receptive_field(made).offsets == {(lag,) for lag in CAUSAL[body]}
    check_cached(model)


def test_an_open_length_is_proven_at_the_length_it_has():
    model = kerasar.AutoregressiveModel(network(zeros_in_front, None))
    randomize(model.network)
    check_cached(model, 4, length=9)


def test_rows_on_top_of_an_image():
    x = keras.Input((3, 3, 1), name="x")
    above = ops.concatenate([ops.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
    left = ops.concatenate([ops.zeros_like(x[:, :, :1]), x[:, :, :-1]], axis=2)
    h = L.Concatenate()([L.Conv2D(4, (1, 3), padding="same")(above), left])
    model = kerasar.AutoregressiveModel(
        keras.Model(x, SplitChannels(1)(L.Dense(2)(L.Dense(4, "tanh")(h)))),
        kerasar.distributions.Categorical(),
    )
    randomize(model.network)
    check_cached(model)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: ops.concatenate([embedded(x)[:, 1:], ops.zeros_like(embedded(x)[:, :1])], axis=1),
        lambda x: ops.concatenate([embedded(x)[:, -1:], embedded(x)[:, :-1]], axis=1),
        lambda x: ops.concatenate([(h := embedded(x))[:, :3], h[:, 3:]], axis=1),
        lambda x: ops.concatenate([(h := CausalShift()(embedded(x)))[:, 2:], h[:, :2]], axis=1),
    ],
)
def test_parts_that_come_too_early_are_refused(body):
    with pytest.raises(ValueError, match="not strictly causal"):
        kerasar.check_causal(network(body))
