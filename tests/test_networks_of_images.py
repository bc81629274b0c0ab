"""Networks on images as people write them: masked kernels, pixels in a row, colors cut by hand."""

import keras
import numpy as np
import pytest
from brute_force import positions_seen
from drawing import some
from keras import layers as L
from keras import ops

import kerasar
from kerasar.causality.graph import read_graph
from kerasar.layers import CausalShift, MaskedConv2D
from kerasar.testing import randomize

H, W, K = 2, 3, 3
#: What a 3×3 kernel may see of the pixels before, and of the present one too.
BEFORE, UP_TO_NOW = (np.arange(9).reshape(3, 3, 1, 1) < n for n in (4, 5))


def gray(dtype="int32"):
    return keras.Input((H, W, 1), dtype=dtype, name="x")


def two_colors():
    return keras.Input((H, W, 2), dtype="int32", name="x")


def embedded(x):
    return L.Embedding(K, 6)(x[..., 0])


def network(x, h):
    return keras.Model(x, L.Reshape((H, W, 1, K))(L.Dense(K)(ops.tanh(h))))


# Kernels with a mask.


class SameSize(L.Layer):
    filters = 6

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.filters)


class Tutorial(SameSize):
    """The layer of keras.io's example: masks the weights of a layer in `call`, for good."""

    def __init__(self, mask, **options):
        super().__init__(**options)
        self.mask, self.conv = mask, L.Conv2D(6, 3, padding="same", activation="relu")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x):
        self.conv.kernel.assign(self.conv.kernel * self.mask)
        return self.conv(x)


class Assigned(L.Conv2D):
    def __init__(self, mask):
        super().__init__(6, 3, padding="same", activation="relu")
        self.mask = mask

    def call(self, x):
        self.kernel.assign(self.kernel * self.mask)
        return super().call(x)


class Replaced(Assigned):
    def call(self, x):
        return L.Conv2D.call(self, x)

    def convolution_op(self, x, kernel):
        return super().convolution_op(x, kernel * self.mask)


class OfOps(SameSize):
    """A function of `keras.ops` with a kernel that is made of a weight."""

    def __init__(self, made, size=(3, 3, 6, 6), function=ops.conv):
        super().__init__()
        self.made, self.size, self.function = made, size, function

    def build(self, shape):
        self.kernel = self.add_weight(shape=self.size, name="kernel")

    def call(self, x):
        return self.function(x, self.made(self.kernel), padding="same")


def where(mask):
    return lambda kernel: ops.where(mask, kernel, 0.0)


def separable(x, kernel, padding):
    return ops.separable_conv(x, kernel, ops.ones((1, 1, 6, 6)), padding=padding)


def masked(layer, *more):
    def make():
        x = gray()
        h = layer()(embedded(x))
        for other in more:
            h = h + other()(h)
        return network(x, h)

    return make


CAUSAL_KERNELS = {
    "tutorial": masked(lambda: Tutorial(BEFORE), lambda: Tutorial(UP_TO_NOW)),
    "assigned": masked(lambda: Assigned(BEFORE)),
    "replaced": masked(lambda: Replaced(BEFORE)),
    "multiplied": masked(lambda: OfOps(lambda kernel: kernel * BEFORE)),
    "where": masked(lambda: OfOps(where(BEFORE)), lambda: OfOps(where(UP_TO_NOW))),
    "padded": masked(
        lambda: OfOps(lambda k: ops.pad(k, ((0, 2), (0, 0), (0, 0), (0, 0))), (1, 3, 6, 6))
    ),
    "depthwise": masked(lambda: OfOps(where(BEFORE), (3, 3, 6, 1), ops.depthwise_conv)),
    "separable": masked(lambda: OfOps(where(BEFORE), (3, 3, 6, 1), separable)),
    "pooled": masked(
        lambda: MaskedConv2D(6, 3, mask="A"),
        lambda: L.Lambda(
            lambda h: ops.max_pool(ops.pad(h, ((0, 0), (0, 0), (1, 0), (0, 0))), (1, 2), 1)
        ),
    ),
}


def masked_by_another():
    """The mask is a variable that the layer does not own: its values are not for ever."""
    variable = keras.Variable(np.broadcast_to(BEFORE, (3, 3, 6, 6)).astype("float32"))
    made = masked(lambda: OfOps(lambda kernel: kernel * variable))()
    variable.assign(np.ones((3, 3, 6, 6)))
    return made


LEAKING_KERNELS = {
    "masked by another": masked_by_another,
    "divided by the mask": masked(
        lambda: OfOps(lambda k: k * ops.cast(ops.cast(k * BEFORE / BEFORE, "bool"), "float32"))
    ),
    "rounded": masked(
        lambda: OfOps(
            lambda k: k * (ops.cast(ops.cast(257.0 - 256 * BEFORE, "bfloat16"), "float32") - 257)
        )
    ),
    "tutorial": masked(lambda: Tutorial(UP_TO_NOW)),
    "assigned": masked(lambda: Assigned(UP_TO_NOW)),
    "flipped": masked(lambda: OfOps(lambda kernel: ops.flip(kernel * BEFORE, 0))),
    "learned mask": masked(lambda: OfOps(lambda kernel: kernel * ops.relu(kernel))),
    "depthwise": masked(lambda: OfOps(where(UP_TO_NOW), (3, 3, 6, 1), ops.depthwise_conv)),
}


# Pixels in a row.


class Block(SameSize):
    def build(self, shape):
        self.norm, self.attention = L.LayerNormalization(), L.MultiHeadAttention(2, 3)
        self.norm.build(shape)
        self.attention.build(shape, shape)

    def call(self, h):
        n = self.norm(h)
        return h + self.attention(n, n, use_causal_mask=True)


def image_gpt(shift=True):
    x = gray()
    h = L.Embedding(K, 6)(L.Flatten()(x))
    return network(x, Block()(CausalShift()(h) if shift else h))


def by_value():
    x = two_colors()
    h = Block()(CausalShift()(L.Embedding(K, 6)(L.Reshape((H * W * 2,))(x))))
    return keras.Model(x, L.Reshape((H, W, 2, K))(L.Dense(K)(h)))


def by_pixel():
    x = two_colors()
    h = L.LSTM(6, return_sequences=True)(
        CausalShift()(L.Reshape((H * W, 12))(L.Embedding(K, 6)(x)))
    )
    return keras.Model(x, L.Reshape((H, W, 2, K))(L.Dense(2 * K)(h)))


def lstm(transposed=False):
    x = gray("float32")
    h = L.Rescaling(0.5)(x)
    h = CausalShift()(L.Reshape((H * W, 1))(ops.transpose(h, (0, 2, 1, 3)) if transposed else h))
    return network(x, L.LSTM(6, return_sequences=True)(h))


def by_operations():
    x = gray()
    h = ops.reshape(ops.one_hot(ops.squeeze(x, -1), K), (-1, H * W, K))
    h = ops.pad(h[:, :-1], ((0, 0), (1, 0), (0, 0)))
    return network(x, L.Conv1D(6, 4, padding="causal")(h))


class Mixed(SameSize):
    """Puts pixels in a row itself, and mixes them there in a way that has no rule."""

    def call(self, h):
        row = ops.reshape(h, (-1, H * W, 6))
        return ops.reshape(ops.flip(row, axis=1), (-1, H, W, 6))


def mixed_in_a_layer():
    x = gray()
    h = L.Embedding(K, 6)(x[..., 0])
    row = CausalShift()(L.Reshape((H * W, 6))(h))
    row = L.LSTM(6, return_sequences=True)(row)
    return network(x, L.Add()([L.Reshape((H, W, 6))(row), Mixed()(h)]))


def back_transposed():
    x = gray()
    h = L.Dense(K)(CausalShift()(L.Embedding(K, 6)(L.Flatten()(x))))
    return keras.Model(
        x, L.Reshape((H, W, 1, K))(ops.transpose(L.Reshape((W, H, K))(h), (0, 2, 1, 3)))
    )


def with_a_residual():
    """Around the pixels in a row stand layers that treat each pixel by itself."""
    x = gray()
    h = L.LayerNormalization()(L.Embedding(K, 6)(x[..., 0]))
    h = L.Concatenate()([L.Activation("tanh")(L.Dense(6)(h)), h])
    row = L.GRU(6, return_sequences=True)(CausalShift()(L.Reshape((H * W, 12))(h)))
    row = L.Reshape((H, W, 6))(row)
    return network(x, L.Add()([row, L.Dense(6)(row)]))


IN_A_ROW = {
    f.__name__: f for f in (image_gpt, by_value, by_pixel, lstm, by_operations, with_a_residual)
}
LEAKS_IN_A_ROW = {
    "no shift": lambda: image_gpt(shift=False),
    "transposed": lambda: lstm(transposed=True),
    "back_transposed": back_transposed,
    "mixed in a layer": mixed_in_a_layer,
}


# Colors.


def colors(red):
    """The second color given the first: `red` makes that of the data or of their embedding."""

    def make():
        x = two_colors()
        e = L.Embedding(K, 4)(x)
        h = MaskedConv2D(6, 3, mask="A")(L.Reshape((H, W, 8))(e))
        second = L.Dense(K)(ops.concatenate([h, red(x, e)], -1))
        return keras.Model(x, ops.stack([L.Dense(K)(h), second], axis=3))

    return make


COLORS = {
    "embedding": colors(lambda x, e: e[..., 0, :]),
    "index": colors(lambda x, e: L.Embedding(K, 4)(x[..., 0])),
    "one hot": colors(lambda x, e: ops.split(ops.one_hot(x, K), 2, axis=3)[0][..., 0, :]),
    "dense": colors(lambda x, e: ops.tanh(L.Dense(5)(e))[..., 0, :]),
}
LEAKING_COLORS = {
    "embedding": colors(lambda x, e: e[..., 1, :]),
    "one hot": colors(lambda x, e: ops.one_hot(x, 2, axis=3)[..., 0, :]),
    "dense": colors(lambda x, e: L.Dense(5)(L.Reshape((H, W, 8))(e))),
}


def named(*groups):
    return [pytest.param(make, id=name) for group in groups for name, make in group.items()]


CAUSAL = {**CAUSAL_KERNELS, **IN_A_ROW, **COLORS}
#: Written as others are that are quick.
LONG = {"assigned", "replaced", "multiplied", "separable", "pooled"}
LONG |= {"by_pixel", "lstm", "by_operations", "index", "one hot"}


@pytest.mark.parametrize("name", some(CAUSAL, CAUSAL.keys() - LONG))
def test_a_causal_network_is_proven_and_cached(name):
    made = CAUSAL[name]()
    randomize(made)
    seen = positions_seen(made, K)
    assert not np.triu(seen).any()
    model = kerasar.AutoregressiveModel(made)
    assert not model.analysis.unknown
    colors = made.inputs[0].shape[-1]
    one, other = np.nonzero(seen)
    one, other = one // colors, other // colors
    pairs = zip(other // W - one // W, other % W - one % W, strict=True)
    apart = {(int(row), int(column)) for row, column in pairs}
    assert kerasar.receptive_field(made).offsets - {(0, 0)} == apart - {(0, 0)}
    found = model.sample(8, seed=1, method="cached")
    np.testing.assert_array_equal(found, model.sample(8, seed=1, method="sequential"))


@pytest.mark.parametrize("make", named(LEAKING_KERNELS, LEAKS_IN_A_ROW, LEAKING_COLORS))
def test_a_leaking_network_is_refused(make):
    made = make()
    randomize(made)
    assert np.triu(positions_seen(made, K)).any()
    with pytest.raises(ValueError, match="not strictly causal|cannot be shown to be causal"):
        kerasar.AutoregressiveModel(made)


@pytest.mark.parametrize("way", ["multiplied", "concatenated"])
def test_a_variable_that_happens_to_mask_is_no_mask(way):
    """What a layer does not own may be given other values when the proof is done."""
    mask = keras.Variable(np.broadcast_to(BEFORE, (3, 3, 6, 6)).astype("float32"))
    rest = keras.Variable(np.zeros((2, 3, 6, 6), "float32"))
    layers = {
        "multiplied": lambda: OfOps(lambda kernel: kernel * mask),
        "concatenated": lambda: OfOps(lambda kernel: ops.concatenate([kernel, rest]), (1, 3, 6, 6)),
    }
    with pytest.raises(ValueError, match="not strictly causal"):
        kerasar.AutoregressiveModel(masked(layers[way])())


def test_a_weight_that_changes_from_call_to_call_keeps_a_layer_whole():
    class Shrinks(Assigned):
        def call(self, x):
            self.kernel.assign(self.kernel * 0.5)
            return L.Conv2D.call(self, x)

    x = gray()
    graph = read_graph(network(x, Shrinks(BEFORE)(embedded(x))))
    (layer,) = (node for node in graph.nodes if node.why_closed)
    assert "not the weight times a constant mask" in layer.why_closed


def test_pixels_in_a_row_are_completed(capsys):
    made = image_gpt()
    randomize(made)
    model = kerasar.AutoregressiveModel(made)
    known = np.zeros((4, H, W, 1), bool)
    known[:, 0] = known[:, 1, 1] = True
    x = np.ones((4, H, W, 1), "int32")
    drawn = [model.inpaint(x, known, seed=2, method=m) for m in ("cached", "sequential")]
    np.testing.assert_array_equal(*drawn)
    kerasar.explain(made)
    assert "t counts the pixels in raster order" in capsys.readouterr().out
