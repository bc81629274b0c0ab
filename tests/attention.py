"""Attention as people write it, on sequences of a few steps: causal networks and leaking ones."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

from kerasar.layers import CausalShift

T, K, C = 5, 3, 4

CAUSAL = np.tril(np.ones((T, T), bool))
LAGS = np.arange(T)[:, None] - np.arange(T)[None]


def start(shift=True):
    x = keras.Input((T,), dtype="int32", name="x")
    h = L.Embedding(K, C)(x)
    return x, CausalShift()(h) if shift else h


def network(x, h):
    return keras.Model(x, L.Dense(K)(h))


def attend(h, mask, way="where", memory=None):
    """One head on `h`; the mask is Boolean, `(queries, keys)`."""
    memory = h if memory is None else memory
    q, k, v = L.Dense(C)(h), L.Dense(C)(memory), L.Dense(C)(memory)
    scores = ops.matmul(q, ops.transpose(k, (0, 2, 1))) / 2.0
    if way == "where":
        weights = ops.softmax(ops.where(mask, scores, -1e9))
    elif way == "add":
        weights = ops.softmax(scores + np.where(mask, 0, -1e9).astype("float32"))
    elif way == "far down":
        weights = ops.softmax(ops.where(mask, scores, -3e38))
    elif way == "layer":
        weights = L.Softmax()(scores, mask=mask[None])
    elif way == "infinite":
        weights = L.Activation("softmax")(scores + np.where(mask, 0, -np.inf).astype("float32"))
    elif way == "capped":
        weights = ops.softmax(ops.where(mask, 5.0 * ops.tanh(scores / 5.0), -1e9))
    elif way in ("sigmoid", "relu"):
        weights = getattr(ops, way)(scores + np.where(mask, 0, -np.inf).astype("float32"))
    elif way == "linear":
        return ops.matmul(scores * mask.astype("float32"), v)
    elif way == "by hand":
        scores = ops.where(mask, scores, -1e9)
        weights = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    return ops.matmul(weights, v)


def heads_by_einsum(h, mask):
    q, k, v = (L.EinsumDense("btd,dnh->btnh", (None, 2, 2))(h) for _ in range(3))
    scores = ops.where(mask, ops.einsum("btnh,bsnh->bnts", q, k), -1e9)
    o = ops.einsum("bnts,bsnh->btnh", ops.softmax(scores), v)
    return L.EinsumDense("btnh,nhd->btd", (None, C))(o)


def keys_first(h, mask):
    """Keras' own order: the key is the first factor."""
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    scores = ops.einsum("bsd,btd->bst", k, q)
    scores = ops.where(mask.T, scores, -1e9)
    return ops.einsum("bst,bsd->btd", ops.softmax(scores, axis=1), v)


def folded_heads(h, mask):
    """Heads in the batch, after a transpose."""

    def split(t):
        return ops.reshape(ops.transpose(ops.reshape(t, (-1, T, 2, 2)), (0, 2, 1, 3)), (-1, T, 2))

    q, k, v = (split(L.Dense(C)(h)) for _ in range(3))
    weights = L.Softmax()(ops.matmul(q, ops.swapaxes(k, 1, 2)), mask=mask[None])
    o = ops.reshape(ops.matmul(weights, v), (-1, 2, T, 2))
    return ops.reshape(ops.transpose(o, (0, 2, 1, 3)), (-1, T, C))


def additive(h, mask):
    q, k = L.Dense(C)(h), L.Dense(C)(h)
    scores = ops.sum(ops.tanh(ops.expand_dims(q, 2) + ops.expand_dims(k, 1)), axis=-1)
    weights = ops.expand_dims(ops.softmax(ops.where(mask, scores, -1e9)), -1)
    return ops.sum(weights * ops.expand_dims(h, 1), axis=2)


def one_head(way="where", mask=CAUSAL, shift=True):
    x, h = start(shift)
    return network(x, h + attend(h, mask, way))


def heads(attention, mask=CAUSAL):
    x, h = start()
    return network(x, attention(h, mask))


def folded_wrongly():
    """Heads are folded into the batch without a transpose."""
    x, h = start(shift=False)
    h = CausalShift()(ops.reshape(h, (-1, T, 2)))
    q, k, v = (L.Dense(2)(h) for _ in range(3))
    weights = L.Softmax()(ops.matmul(q, ops.swapaxes(k, 1, 2)), mask=CAUSAL[None])
    return network(x, ops.reshape(ops.matmul(weights, v), (-1, T, C)))


def dot_product(causal=True, mask=None, groups=1, bias=None):
    x, h = start()
    q = L.Reshape((T, 2 * groups, 2))(L.Dense(4 * groups)(h))
    k, v = (L.Reshape((T, 2, 2))(L.Dense(4)(h)) for _ in range(2))
    o = ops.dot_product_attention(q, k, v, mask=mask, bias=bias, is_causal=causal)
    return network(x, L.Reshape((T, 4 * groups))(o))


def mixed_over_time(matrix):
    """A constant matrix over the positions, as in a Toeplitz network."""
    x, h = start(shift=False)
    return network(x, ops.einsum("ts,bsd->btd", matrix.astype("float32"), h))


def two_blocks():
    x, h = start()
    for _ in range(2):
        n = L.LayerNormalization()(h)
        h = h + attend(n, CAUSAL)
        h = h + L.Dense(C)(L.Dense(8, activation="gelu")(L.RMSNormalization()(h)))
    return network(x, h)


def with_convolution():
    x, h = start()
    h = h + attend(L.Conv1D(C, 2, padding="causal")(h), CAUSAL & (LAGS % 2 == 0))
    return network(x, L.GRU(C, return_sequences=True)(h))


def query_of_a_later_step():
    """Keys and values that are one step behind their queries."""
    x, h = start(shift=False)
    return network(x, attend(CausalShift()(h), CAUSAL, memory=CausalShift()(h)))


def key_of_a_later_step():
    """Keys and values are two steps behind, and a query sees one of the step after its own."""
    x, h = start()
    late = ops.pad(h, ((0, 0), (2, 0), (0, 0)))[:, :-2]
    return network(x, L.Concatenate()([h, attend(h, LAGS >= -1, memory=late)]))


def many_kinds():
    """Every way to lay out heads, keys and values, one after the other."""
    x, h = start()
    for attention in (heads_by_einsum, folded_heads, keys_first, additive):
        h = h + attention(L.LayerNormalization()(h), CAUSAL)
    h = h + L.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True)
    late = ops.pad(h, ((0, 0), (2, 0), (0, 0)))[:, :-2]
    return network(x, L.Concatenate()([h, attend(h, LAGS >= -1, memory=late)]))


def heads_that_talk(**options):
    """Heads are mixed before the mask, and their weights after the softmax."""
    x, h = start()
    q, k, v = (L.EinsumDense("btd,dnh->btnh", (None, 2, 2))(h) for _ in range(3))
    scores = L.EinsumDense("bnts,nm->bmts", (2, None, None), bias_axes="m")(
        ops.einsum("btnh,bsnh->bnts", q, k)
    )
    weights = ops.softmax(ops.where(CAUSAL, scores, -1e9))
    weights = L.EinsumDense("bnts,nm->bmts", (2, None, None), **options)(weights)
    return network(x, L.Reshape((T, C))(ops.einsum("bnts,bsnh->btnh", weights, v)))


def changed_scores(change, mask=None):
    """Scores that are masked, changed, and then normalized."""
    x, h = start()
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    scores = ops.matmul(q, ops.transpose(k, (0, 2, 1)))
    scores = ops.where(CAUSAL, scores, -1e9) if mask is None else scores + mask
    return network(x, ops.matmul(ops.softmax(change(scores)), v))


def added(number):
    """A mask that is added; zero where a query may look."""
    return np.where(CAUSAL, 0, number).astype("float32")


class TableQueries(L.Layer):
    """Queries that do not depend on the data."""

    def build(self, shape):
        self.table = self.add_weight(shape=(1, T, C), name="table")

    def call(self, h):
        scores = ops.matmul(self.table, ops.swapaxes(h, 1, 2))
        return ops.matmul(ops.softmax(ops.where(CAUSAL, scores, -1e9)), h)

    def compute_output_shape(self, shape):
        return shape


class MaskOf(L.Layer):
    """Makes the mask of as many steps as it is given."""

    def call(self, h):
        steps = ops.arange(ops.shape(h)[1])
        return ops.expand_dims(ops.greater_equal(steps[:, None], steps[None]), 0)


class RelativeBias(L.Layer):
    """Scores with a learned value for each lag, and a mask by products, as in T5."""

    def build(self, shape):
        self.parts = [L.Dense(C) for _ in range(3)]
        for part in self.parts:
            part.build(shape)
        self.lags = L.Embedding(T, 2)
        self.lags.build(None)

    def call(self, h):
        q, k, v = (
            ops.transpose(ops.reshape(part(h), (-1, T, 2, 2)), (0, 2, 1, 3)) for part in self.parts
        )
        steps = ops.arange(T)
        lags = ops.clip(steps[:, None] - steps[None, :], 0, T - 1)
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        scores = scores + ops.transpose(self.lags(lags), (2, 0, 1))[None]
        seen = ops.cast(steps[:, None] >= steps[None, :], "float32")
        weights = ops.softmax(scores * seen - 1e10 * (1 - seen))
        return ops.reshape(ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3)), (-1, T, C))

    def compute_output_shape(self, shape):
        return shape


def masked_by_a_layer():
    x, h = start()
    return network(x, h + L.MultiHeadAttention(1, C)(h, h, attention_mask=MaskOf()(h)))


def strict_with_a_sink():
    """A strict mask whose first row would be empty, but for the Softmax layer that leaves it 0."""
    x, h = start(shift=False)
    q = L.Dense(C)(CausalShift()(h))
    k, v = L.Dense(C)(h), L.Dense(C)(h)
    weights = L.Softmax()(ops.matmul(q, ops.swapaxes(k, 1, 2)), mask=np.tril(CAUSAL, -1)[None])
    return network(x, ops.matmul(weights, v))


def padding_mask():
    """Tokens of value 0 are masked: a query whose keys are all masked sees every key."""
    x = keras.Input((T,), dtype="int32", name="x")
    s = CausalShift()(x)
    h = L.Embedding(K, C)(s)
    seen = ops.logical_and(ops.expand_dims(ops.not_equal(s, 0), 1), CAUSAL[None])
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    scores = ops.where(seen, ops.matmul(q, ops.swapaxes(k, 1, 2)), -1e9)
    return network(x, ops.matmul(ops.softmax(scores), v))


def padding_mask_by_layer():
    """The same by the Softmax layer, which leaves such a query 0."""
    x = keras.Input((T,), dtype="int32", name="x")
    s = CausalShift()(x)
    h = L.Embedding(K, C)(s)
    seen = ops.logical_and(ops.expand_dims(ops.not_equal(s, 0), 1), CAUSAL[None])
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    weights = L.Softmax()(ops.matmul(q, ops.swapaxes(k, 1, 2)), mask=seen)
    return network(x, ops.matmul(weights, v))


def softmax_over_queries():
    x, h = start()
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    scores = ops.where(CAUSAL, ops.matmul(q, ops.swapaxes(k, 1, 2)), -1e9)
    return network(x, ops.matmul(ops.softmax(scores, axis=1), v))


def masked_after(way):
    """The softmax comes before the mask."""
    x, h = start()
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    weights = ops.softmax(ops.matmul(q, ops.swapaxes(k, 1, 2)))
    if way == "multiplied":
        weights = weights * CAUSAL.astype("float32")
    else:
        weights = ops.where(CAUSAL, weights, 0.0)
    return network(x, ops.matmul(weights, v))


def values_summed():
    x, h = start()
    q, k, v = L.Dense(C)(h), L.Dense(C)(h), L.Dense(C)(h)
    state = ops.einsum("bsd,bse->bde", k, v)
    return network(x, ops.einsum("btd,bde->bte", q, state))


def transposed_mask():
    return one_head("where", CAUSAL.T)


def channels_as_times():
    """A product over channels that are taken for positions."""
    x, h = start()
    h = L.Dense(T)(h)
    return network(x, ops.matmul(CAUSAL.astype("float32") * 1.0, ops.transpose(h, (0, 2, 1))))


FIRST_ALLOWED = CAUSAL | (np.arange(T) == 0)[None]
WINDOW = (LAGS >= 0) & (LAGS < 3)
STRICT = np.tril(CAUSAL, -1)
PER_HEAD = np.stack([CAUSAL, WINDOW])[None]

CAUSAL_NETWORKS = {
    "key of a later step": key_of_a_later_step,
    **{way: lambda way=way: one_head(way)
       for way in ("where", "add", "far down", "layer", "infinite", "capped", "linear", "by hand")},
    "window": lambda: one_head("where", WINDOW),
    "dilated": lambda: one_head("add", CAUSAL & (LAGS % 2 == 0)),
    "diagonal": lambda: one_head("where", LAGS == 0),
    "first too": lambda: one_head("where", FIRST_ALLOWED),
    "heads by einsum": lambda: heads(heads_by_einsum),
    "a mask for each head": lambda: heads(heads_by_einsum, PER_HEAD),
    "keys first": lambda: heads(keys_first),
    "folded heads": lambda: heads(folded_heads),
    "additive": lambda: heads(additive),
    "dot product": dot_product,
    "dot product, mask": lambda: dot_product(False, CAUSAL[None, None]),
    "dot product, both": lambda: dot_product(True, np.ones((1, 1, T, T), bool)),
    "dot product, bias": lambda: dot_product(bias=np.where(CAUSAL, 0, -1.0)[None, None]),
    "grouped queries": lambda: dot_product(groups=2),
    "mixed strictly": lambda: mixed_over_time(STRICT * (1.0 + LAGS)),
    "two blocks": two_blocks,
    "with a convolution": with_convolution,
    "a step behind": query_of_a_later_step,
    "strict, by the layer": strict_with_a_sink,
    "heads that talk": heads_that_talk,
    "queries of a table": lambda: heads(lambda h, mask: h + TableQueries()(h)),
    "masked, then scaled": lambda: changed_scores(lambda s: s / np.sqrt(8.0)),
    "masked, then biased": lambda: changed_scores(lambda s: s - 2.0 * LAGS.astype("float32")),
    "masked twice": lambda: changed_scores(lambda s: s + added(-1e9), added(-1e4)),
    "masked and halved": lambda: changed_scores(lambda s: 0.5 * s, added(-3e4)),
    "masked, then by a sigmoid": lambda: one_head("sigmoid"),
    "masked, then by a relu": lambda: one_head("relu"),
    "masked by a layer": masked_by_a_layer,
    "a learned bias for each lag": lambda: heads(lambda h, mask: h + RelativeBias()(h)),
    "padding mask by the layer": padding_mask_by_layer,
}  # fmt: skip


def masked_by_a_variable():
    x, h = start()
    mask = keras.Variable(np.tril(np.ones((1, T, T))), dtype="float32")
    made = network(x, L.MultiHeadAttention(2, 4)(h, h, attention_mask=mask))
    mask.assign(np.ones((1, T, T)))
    return made


LEAKING_NETWORKS = {
    "masked by a variable": masked_by_a_variable,
    "no mask": lambda: one_head("where", np.ones((T, T), bool)),
    "one too far": lambda: one_head("where", np.tril(np.ones((T, T), bool), 1)),
    "unshifted": lambda: one_head("where", CAUSAL, shift=False),
    "strict": lambda: one_head("add", STRICT),
    "strict, far down": lambda: one_head("far down", STRICT),
    "strict dot product": lambda: dot_product(False, STRICT[None, None]),
    "causal dot product of others": lambda: dot_product(True, (LAGS != 0)[None, None]),
    "prefix": lambda: one_head("where", CAUSAL | (np.arange(T) < 2)[None]),
    "anti-causal": transposed_mask,
    "one hole": lambda: one_head("where", CAUSAL | ((LAGS == -2) & (np.arange(T) == 4)[None])),
    "folded wrongly": folded_wrongly,
    "softmax over queries": softmax_over_queries,
    "mask after softmax": lambda: masked_after("multiplied"),
    "where after softmax": lambda: masked_after("where"),
    "values summed": values_summed,
    "padding mask": padding_mask,
    "dot product": lambda: dot_product(False),
    "a head without mask": lambda: heads(heads_by_einsum, np.stack([CAUSAL, CAUSAL | True])[None]),
    "mixed with the present": lambda: mixed_over_time(CAUSAL * 1.0),
    "channels as times": channels_as_times,
    "masked, then shrunk": lambda: changed_scores(lambda s: s * 1e-9),
    "masked, then divided": lambda: changed_scores(lambda s: s / 1e9, added(-1e9)),
    "masked, then raised": lambda: changed_scores(lambda s: s + 2e9 * ~CAUSAL, added(-1e9)),
    "masked, then lowered as well": lambda: changed_scores(
        lambda s: s + np.where(CAUSAL, -9999, 0).astype("float32"), added(-1e4)
    ),
    "masked, then raised by a maximum": lambda: changed_scores(lambda s: ops.maximum(s, -5.0)),
    "masked, large scores": lambda: changed_scores(
        lambda s: ops.square(ops.square(30.0 * s)) + added(-1e4), 0.0 * added(1.0)
    ),
    "masked, scores times 40": lambda: changed_scores(
        lambda s: s * 40.0 * 40.0 * 40.0 + added(-1e4), 0.0 * added(1.0)
    ),
    "raised, then masked": lambda: changed_scores(lambda s: s + added(2e4), added(-1e4)),
    "masked, with a steep bias": lambda: changed_scores(
        lambda s: s + 6e3 * np.arange(T, dtype="float32"), added(-1e4)
    ),
    "masked, then a byte": lambda: changed_scores(
        lambda s: ops.cast(ops.cast(ops.clip(s, -1e9, 1e9), "int8"), "float32"), added(-2.56e6)
    ),
    "masked, then shrunk step by step": lambda: changed_scores(
        lambda s: (((s * 0.01) * 0.01) * 0.01) * 0.01, added(-1e9)
    ),
    "masked, then a bit": lambda: changed_scores(
        lambda s: ops.cast(ops.cast(s, "bool"), "float32"), added(-1e9)
    ),
    "heads that talk with a bias": lambda: heads_that_talk(bias_axes="m"),
    "heads that talk by a sigmoid": lambda: heads_that_talk(activation="sigmoid"),
}

WAYS = ("where", "add", "layer", "infinite", "capped", "linear", "by hand")
STYLES = (heads_by_einsum, keys_first, folded_heads, additive)


def random_mask(rng):
    """Mostly causal; each query has a key, but for one mask in eight."""
    mask = CAUSAL & (rng.random((T, T)) < rng.choice([0.4, 0.8, 1.0]))
    if rng.random() < 0.875:
        mask |= np.eye(T, dtype=bool)
    if rng.random() < 0.2:
        mask[tuple(rng.integers(T, size=2))] = True
    return mask


def random_network(seed):
    """A few blocks of attention, scans, convolutions and pieces between them."""
    rng = np.random.default_rng(seed)
    x, h = start(shift=rng.random() < 0.9)
    for _ in range(rng.integers(1, 4)):
        kind = rng.choice(
            ["ways", "style", "layer", "scan", "rest"], p=[0.3, 0.25, 0.15, 0.15, 0.15]
        )
        if kind == "ways":
            made = attend(h, random_mask(rng), rng.choice(WAYS))
        elif kind == "style":
            made = STYLES[rng.integers(len(STYLES))](h, random_mask(rng))
        elif kind == "layer":
            layer = L.MultiHeadAttention(2, 2, use_bias=bool(rng.integers(2)))
            causal = bool(rng.random() < 0.9)
            made = layer(h, h, use_causal_mask=causal, attention_mask=random_mask(rng)[None])
        elif kind == "scan":
            made = ops.cumsum(h, axis=1) if rng.integers(2) else L.GRU(C, return_sequences=True)(h)
        else:
            made = [
                lambda h: L.Conv1D(C, 2, padding="causal", dilation_rate=2)(h),
                lambda h: L.LayerNormalization()(h),
                lambda h: h + rng.normal(size=(T, C)).astype("float32"),
                lambda h: CausalShift()(h),
            ][rng.integers(4)](h)
        h = made if rng.random() < 0.4 else h + made
    return network(x, h)
