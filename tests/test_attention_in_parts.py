"""Attention along rows, columns, or within blocks: proven, and drawn from position by position."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from brute_force import positions_seen
from keras import layers as L
from keras import ops

import kerasar
from kerasar.causality.whole_positions import translator
from kerasar.causality.whole_positions.parts import Part, standard
from kerasar.layers import CausalShift, MaskedConv2D
from kerasar.testing import randomize

H, W, T, K, UNITS = 2, 4, 8, 3, 6


def attend(x, keys=None, **options):
    """Attention of two heads, causal unless a mask is given."""
    options = options or {"use_causal_mask": True}
    return L.MultiHeadAttention(2, 3)(x, x if keys is None else keys, **options)


def up_to_now(count):
    return np.tril(np.ones((1, 1, count, count), bool))


def rows(f):
    return lambda h: ops.reshape(f(ops.reshape(h, (-1, W, UNITS))), (-1, H, W, UNITS))


def columns(f):
    def call(h):
        turned = ops.reshape(ops.transpose(h, (0, 2, 1, 3)), (-1, H, UNITS))
        return ops.transpose(ops.reshape(f(turned), (-1, W, H, UNITS)), (0, 2, 1, 3))

    return call


def along(axis, **options):
    return lambda h: L.MultiHeadAttention(2, 3, attention_axes=(axis,))(h, h, **options)


def windows(*orders):
    """2×2 pixels at a time, in the order of rows or of columns."""

    def call(h):
        h = ops.transpose(ops.reshape(h, (-1, 1, 2, 2, 2, UNITS)), orders[0])
        h = attend(ops.reshape(h, (-1, 4, UNITS)))
        h = ops.transpose(ops.reshape(h, (-1, 1, 2, 2, 2, UNITS)), orders[1])
        return ops.reshape(h, (-1, H, W, UNITS))

    return call


def by_hand(h):
    """Heads before columns, a mask that is added, a product of matrices."""
    parts = ops.split(L.Dense(3 * UNITS)(h), 3, axis=-1)
    q, k, v = (ops.transpose(ops.reshape(p, (-1, H, W, 2, 3)), (0, 1, 3, 2, 4)) for p in parts)
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 2, 4, 3))) / 1.7
    scores = scores + np.where(up_to_now(W)[0, 0], 0, -1e9).astype("float32")
    out = ops.transpose(ops.matmul(L.Activation("softmax")(scores), v), (0, 1, 3, 2, 4))
    return L.Dense(UNITS, "tanh")(ops.reshape(out, (-1, H, W, UNITS)))


def scored(h, mask):
    """Attention along rows, with something done to the scores."""
    q, k, v = (L.Dense(UNITS)(h) for _ in range(3))
    scores = ops.einsum("bhqd,bhkd->bhqk", q, k)
    return ops.einsum("bhqk,bhkd->bhqd", mask(scores), v)


def strictly_by_a_sum(h):
    """The first query of each row is left without a key, and sees all of them."""
    before = np.where(np.tril(np.ones((W, W)), -1), 0, -1e9).astype("float32")
    return scored(h, lambda scores: ops.softmax(scores + before))


def softmax_of_rows(scores):
    return L.Softmax()(scores, mask=np.tril(np.ones((W, W), bool), -1))


@keras.saving.register_keras_serializable("attention_in_parts")
class Mask(L.Layer):
    def build(self, shape):
        self.low = self.add_weight(shape=shape[-2:], name="low", initializer="zeros")

    def call(self, scores):
        return scores + self.low


def masked_by_a_weight(h):
    return scored(h, lambda scores: ops.softmax(Mask()(scores)))


def rotary_groups(h):
    """Grouped queries with rotary positions in each row, as in Llama."""
    angles = np.arange(W, dtype="float32")[:, None, None] * np.array([1.0], "float32")
    cos, sin = np.cos(angles), np.sin(angles)

    def turned(x):
        one, other = x[..., :1], x[..., 1:]
        return ops.concatenate([one * cos - other * sin, one * sin + other * cos], axis=-1)

    h = L.RMSNormalization()(ops.reshape(h, (-1, W, UNITS)))
    q = turned(ops.reshape(L.Dense(8)(h), (-1, W, 4, 2)))
    k = turned(ops.reshape(L.Dense(4)(h), (-1, W, 2, 2)))
    v = ops.reshape(L.Dense(4)(h), (-1, W, 2, 2))
    out = ops.dot_product_attention(
        q, ops.repeat(k, 2, axis=2), ops.repeat(v, 2, axis=2), is_causal=True
    )
    return ops.reshape(L.Dense(UNITS)(ops.reshape(out, (-1, W, 8))), (-1, H, W, UNITS))


@keras.saving.register_keras_serializable("attention_in_parts")
class RowAttention(L.Layer):
    def build(self, shape):
        self.attention = L.MultiHeadAttention(2, 3, dropout=0.1)
        self.attention.build((None, *shape[2:]), (None, *shape[2:]))

    def call(self, h):
        row = ops.reshape(h, (-1, *h.shape[2:]))
        row = self.attention(row, row, use_causal_mask=True)
        return ops.reshape(row, (-1, *h.shape[1:]))


def axial(h):
    """Two blocks of an axial transformer."""
    for _ in range(2):
        n = L.LayerNormalization()(h)
        h = h + RowAttention()(n) + along(1, use_causal_mask=True)(n)
        h = h + L.Dense(UNITS)(L.Dense(8, "gelu")(h))
    return h


def table_of_columns(h):
    row = ops.reshape(h, (-1, W, UNITS)) + np.arange(W, dtype="float32")[:, None]
    return ops.reshape(attend(row), (-1, H, W, UNITS))


def image(f):
    def make():
        x = keras.Input((H, W, 1), dtype="int32", name="x")
        h = MaskedConv2D(UNITS, 3, mask="A")(L.Embedding(K, 4)(x[..., 0]))
        return keras.Model(x, L.Reshape((H, W, 1, K))(L.Dense(K)(h + f(h))))

    return make


def sequence(f):
    def make():
        x = keras.Input((T,), dtype="int32", name="x")
        h = CausalShift()(L.Embedding(K, UNITS)(x))
        return keras.Model(x, L.Dense(K)(h + f(h)))

    return make


def blocks(f):
    return sequence(lambda h: ops.reshape(f(ops.reshape(h, (-1, 4, UNITS))), (-1, T, UNITS)))


def every_other(axis, count):
    def call(h):
        grid = L.Reshape((2, 4, UNITS))(h)
        return L.Reshape((T, UNITS))(along(axis, attention_mask=up_to_now(count))(grid))

    return sequence(call)


@keras.saving.register_keras_serializable("attention_in_parts")
class Bias(L.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-3:], name="bias")

    def call(self, scores):
        return scores + self.bias


def local(last):
    """Blocks with a learned bias and a softmax by hand; `last` is the newest key that is seen."""

    def call(h):
        h = L.Reshape((2, 4, UNITS))(h)
        parts = (ops.reshape(L.Dense(UNITS)(h), (-1, 2, 4, 2, 3)) for _ in range(3))
        q, k, v = (ops.transpose(part, (0, 1, 3, 2, 4)) for part in parts)
        scores = Bias()(ops.einsum("...qd,...kd->...qk", q, k))
        scores = ops.where(np.tril(np.ones((4, 4), bool), last), scores, -1e9)
        weights = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        out = ops.einsum("bnhqk,bnhkd->bnqhd", weights, v)
        return L.Reshape((T, UNITS))(out)

    return sequence(call)


CAUSAL = {
    "rows": image(rows(attend)),
    "columns": image(columns(attend)),
    "along columns": image(along(1, use_causal_mask=True)),
    "along rows": image(along(2, attention_mask=up_to_now(W))),
    "strictly before, by the layer": image(
        along(2, attention_mask=np.tril(np.ones((1, W, W), "float32"), -1))
    ),
    "a softmax of its own": image(lambda h: scored(h, softmax_of_rows)),
    "by hand": image(by_hand),
    "rotary groups": image(rotary_groups),
    "axial": image(axial),
    "table of columns": image(table_of_columns),
    "windows": image(windows((0, 1, 3, 2, 4, 5), (0, 1, 3, 2, 4, 5))),
    "blocks": blocks(attend),
    "blocks on an axis": every_other(2, 4),
    "every fourth": every_other(1, 2),
    "local": local(0),
    "turned twice": image(columns(L.Dense(UNITS, "relu"))),
}
LEAKING = {
    "rows": image(rows(lambda h: L.MultiHeadAttention(2, 3)(h, h))),
    "columns": image(along(1)),
    "strictly before, by a sum": image(strictly_by_a_sum),
    "strictly before": image(
        rows(lambda h: attend(h, attention_mask=np.tril(np.ones((1, W, W), bool), -1)))
    ),
    "a weight for a mask": image(masked_by_a_weight),
    "windows by column": image(windows((0, 1, 3, 4, 2, 5), (0, 1, 4, 2, 3, 5))),
    "blocks": blocks(lambda h: L.MultiHeadAttention(2, 3)(h, h)),
    "local": local(1),
    "turned once": image(lambda h: ops.reshape(ops.transpose(h, (0, 2, 1, 3)), (-1, H, W, UNITS))),
    "mask of the other axis": image(
        along(2, attention_mask=np.triu(np.ones((1, 1, W, W), bool)))
    ),
}  # fmt: skip


#: Those that the suite leaves to long runs: others show the same.
_LATER = ("along rows", "table of columns", "every fourth", "turned twice", "rotary groups")
_LATER += ("columns", "a softmax of its own", "blocks", "blocks on an axis", "axial")


def each(networks):
    return [
        pytest.param(make, id=name, marks=[pytest.mark.long] * (name in _LATER))
        for name, make in networks.items()
    ]


@pytest.mark.parametrize("make", each(CAUSAL))
def test_a_causal_network_is_proven_and_cached(make):
    network = make()
    randomize(network)
    seen = positions_seen(network, K)
    assert not np.triu(seen).any()
    model = kerasar.AutoregressiveModel(network)
    assert not model.analysis.unknown
    one, other = np.nonzero(seen)
    if len(network.inputs[0].shape) > 2:
        pairs = zip(other // W - one // W, other % W - one % W, strict=True)
        apart = {(int(row), int(column)) for row, column in pairs}
    else:
        apart = {(int(lag),) for lag in other - one}
    assert kerasar.receptive_field(network).offsets == apart
    found = model.sample(8, seed=1, method="cached")
    np.testing.assert_array_equal(found, model.sample(8, seed=1, method="sequential"))


@pytest.mark.parametrize("make", each(LEAKING))
def test_a_leaking_network_is_refused(make):
    network = make()
    randomize(network)
    assert np.triu(positions_seen(network, K)).any()
    with pytest.raises(ValueError, match="not strictly causal|cannot be shown to be causal"):
        kerasar.AutoregressiveModel(network)


def test_what_is_not_understood_within_parts_is_named():
    network = image(rows(lambda h: L.LSTM(UNITS, return_sequences=True, name="along")(h)))()
    with pytest.raises(ValueError, match=r"but 'along' \(LSTM\) between them is not"):
        kerasar.AutoregressiveModel(network)


def random_parts(seed):
    """Attention along some digits of the positions, the others in the batch or on axes before."""
    rng = np.random.default_rng(seed)

    def call(h):
        for _ in range(rng.integers(1, 3)):
            sizes = [
                int(size)
                for size in rng.permutation([[2, 2, 2], [2, 4], [4, 2], [8]][rng.integers(4)])
            ]
            order = [int(digit) for digit in rng.permutation(len(sizes))]
            first = int(rng.integers(len(sizes)))
            sizes_then = [sizes[digit] for digit in order]
            count = int(np.prod(sizes_then[first:]))
            head = sizes_then[:first] if rng.random() < 0.5 and first < 2 else []
            r = ops.reshape(h, (-1, *sizes, UNITS))
            r = ops.transpose(r, (0, *(1 + digit for digit in order), len(sizes) + 1))
            r = ops.reshape(r, (-1, *head, count, UNITS))
            mask = np.tril(np.ones((count, count), bool), rng.choice([0, 0, 0, -1, 1]))
            mask = mask | (rng.random((count, count)) < rng.choice([0, 0, 0.1]))
            mask = mask.reshape([1] * (1 + len(head)) + [count, count])
            axes = (1 + len(head),)
            r = L.MultiHeadAttention(2, 3, attention_axes=axes)(r, r, attention_mask=mask)
            if rng.random() < 0.5:
                r = L.Dense(UNITS, "tanh")(L.LayerNormalization()(r))
            r = ops.reshape(r, (-1, *sizes_then, UNITS))
            back = [1 + order.index(digit) for digit in range(len(sizes))]
            r = ops.reshape(ops.transpose(r, (0, *back, len(sizes) + 1)), (-1, T, UNITS))
            h = h + r
        return h

    return sequence(call)()


def judge(network):
    """Holds what is proven of a network to what is seen by brute force; whether it was proven."""
    randomize(network)
    seen = positions_seen(network, K)
    leaks = np.triu(seen).any()
    try:
        model = kerasar.AutoregressiveModel(network)
    except ValueError as error:
        assert leaks, error
        return False
    assert not leaks and not model.analysis.unknown
    one, other = np.nonzero(seen)
    # Layers may see offsets at different positions, so that some sums of them occur nowhere.
    assert kerasar.receptive_field(network).offsets >= {(int(lag),) for lag in other - one}
    return True


@pytest.mark.parametrize("first", [0, pytest.param(100, marks=pytest.mark.long)])
def test_random_parts_are_judged_rightly(first):
    proven = [judge(random_parts(seed)) for seed in range(first, first + 10 + 2 * first)]
    assert 0 < sum(proven) < len(proven)


@pytest.mark.long
def test_an_axial_network_is_saved_and_exported(tmp_path):
    network = CAUSAL["axial"]()
    randomize(network)
    model = kerasar.AutoregressiveModel(network)
    drawn = model.sample(4, seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(4, seed=1, method="cached"), drawn)
    model.export(tmp_path / "saved", verbose=False)
    sample = tf.saved_model.load(str(tmp_path / "saved")).signatures["sample"]
    options = dict(num_samples=4, seed=1, temperature=1.0, top_k=0, top_p=1.0)
    found = sample(**{name: tf.constant(value) for name, value in options.items()})
    np.testing.assert_array_equal(found["samples"], drawn)


def test_a_reshape_cuts_positions_into_digits():
    layout = standard((None, 12, 5), [12]).reshaped((None, 4, 3, 5))
    assert layout.axes == ((), (Part(4, 3),), (Part(3, 1),), (Part(5),))
    folded = layout.permuted((0, 2, 1, 3)).reshaped((None, 4, 5))
    assert folded.axes == ((Part(3, 1),), (Part(4, 3),), (Part(5),))
    assert folded.reshaped((None, 7, 5)) is None
    back = folded.reshaped((None, 3, 4, 5)).permuted((0, 2, 1, 3)).reshaped((None, 12, 5))
    assert back.is_standard([12])


def test_a_translation_that_computes_something_else_is_not_used(monkeypatch):
    network = CAUSAL["rows"]()
    randomize(network)
    monkeypatch.setattr(translator.Translator, "masked", lambda self, edge, layout, fill: edge)
    with pytest.raises(ValueError, match="cannot be shown to be causal"):
        kerasar.AutoregressiveModel(network)
