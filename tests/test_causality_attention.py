"""Attention: proven or refused as brute force says, and sampled from its caches."""

import keras
import numpy as np
import pytest
from attention import CAUSAL_NETWORKS, LEAKING_NETWORKS, K, T, many_kinds, random_network
from drawing import check_cached, check_steps, some

import kerasar
from kerasar.causality.analysis import analyze
from kerasar.causality.pairs.values import combine, is_known, is_low
from kerasar.causality.randomize import randomize
from kerasar.stepwise import make_stepper
from kerasar.testing import check_the_sample


def pairs_seen(network, bases=3):
    """`seen[i, j]`: output i responds to position j, by brute force."""
    rng = np.random.default_rng(0)
    seen = np.zeros((T, T), bool)
    for base in rng.integers(K, size=(bases, T)):
        batch = np.tile(base, (T, K, 1))
        for position in range(T):
            batch[position, :, position] = range(K)
        flat = np.concatenate([base[None], batch.reshape(-1, T)]).astype("int32")
        out = np.asarray(network(flat), "float64")
        gap = np.abs(out[1:] - out[:1]).max(axis=-1).reshape(T, K, T)
        seen |= (gap > 1e-6 * np.abs(out).max()).any(axis=1).T
    return seen


def drawn(make):
    keras.utils.clear_session()
    network = make()
    randomize(network)
    return network


#: Written as others are that are quick.
LONG = {"add", "far down", "infinite", "capped", "first too", "keys first", "dot product, both"}
LONG |= {"dot product", "dot product, bias", "masked, then scaled", "masked, then biased"}
LONG |= {"masked twice", "masked and halved", "masked, then by a relu", "mixed strictly"}


@pytest.mark.parametrize("name", some(CAUSAL_NETWORKS, CAUSAL_NETWORKS.keys() - LONG))
def test_causal_attention_is_proven_and_cached(name):
    network = drawn(CAUSAL_NETWORKS[name])
    seen = pairs_seen(network)
    assert not np.triu(seen).any()
    one, other = np.nonzero(seen)
    assert kerasar.receptive_field(network).offsets == {(int(lag),) for lag in other - one}
    check_steps(kerasar.AutoregressiveModel(network))


#: One of each way in which keys, values and queries reach a step.
QUICK = [
    "key of a later step",
    "linear",
    "folded heads",
    "grouped queries",
    "two blocks",
    "with a convolution",
    "queries of a table",
]


@pytest.mark.parametrize("name", some(CAUSAL_NETWORKS, QUICK))
def test_attention_is_drawn_from_its_caches(name):
    check_cached(kerasar.AutoregressiveModel(drawn(CAUSAL_NETWORKS[name])), num_samples=16)


@pytest.mark.parametrize("name", LEAKING_NETWORKS)
def test_leaking_attention_is_refused(name):
    network = drawn(LEAKING_NETWORKS[name])
    assert np.triu(pairs_seen(network)).any()
    with pytest.raises(ValueError, match="not strictly causal|mixes positions"):
        kerasar.check_causal(network)


def test_keys_and_values_are_kept_once():
    """A tensor that several operations read whole has one cache."""
    program = make_stepper(analyze(drawn(CAUSAL_NETWORKS["where"]))).axis_program
    assert len(program.caches) == 2


@pytest.mark.parametrize(
    ("make", "compiled"),
    [
        (CAUSAL_NETWORKS["grouped queries"], False),
        (CAUSAL_NETWORKS["grouped queries"], True),
        pytest.param(many_kinds, False, marks=pytest.mark.long),
        pytest.param(many_kinds, True, marks=pytest.mark.long),
    ],
    ids=["one", "one-compiled", "many", "many-compiled"],
)
def test_loops_in_parts_draw_the_same(make, compiled, monkeypatch):
    """Compiled, caches have other axes and grow from part to part; else they are read in blocks."""
    monkeypatch.setattr("kerasar.sampling.cached_sequence._BLOCK", 2)
    model = kerasar.AutoregressiveModel(drawn(make))
    found = model.sample(4, seed=1, method="cached", jit_compile=compiled)
    check_the_sample(model, found, seed=1)
    fewer = model.sample(2, seed=1, method="cached", jit_compile=compiled)
    assert (fewer == found[:2]).all()


def test_weights_beside_the_graph_are_read_live():
    """A table that is joined to a tensor by hand is no constant: it may be trained."""
    x = keras.Input((T,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(K, 4)(x))
    table = keras.Variable(np.random.default_rng(0).normal(size=(T, 4)).astype("float32"))
    scale = keras.Variable(np.ones((1, T, 1), "float32"))
    h = keras.layers.Dense(8, activation="tanh")((h + table) * scale)
    model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(K)(h)))
    randomize(model.network)
    before = model.sample(32, seed=1, method="cached")
    for _ in range(2):
        cached = model.sample(32, seed=1, method="cached")
        assert (cached == model.sample(32, seed=1, method="sequential")).all()
        table.assign(3 * table)
        scale.assign(-2 * scale)
    assert (model.sample(32, seed=1, method="cached") != before).any()


def test_masks_that_float32_does_not_hold_stay_masks():
    """What is larger than any number of float32 is not taken for a code."""
    far, factor = np.array([-3e38, 3e38]), np.array([30.0, 30.0])
    for found in (
        combine(keras.layers.Multiply(), [far, factor]),
        combine(keras.layers.Add(), [far] * 5),
    ):
        assert is_low(found).tolist() == [True, False]
        assert is_known(found).tolist() == [True, False]


def test_queries_of_a_condition_are_stepped():
    x = keras.Input((T,), dtype="int32", name="x")
    given = keras.Input((T, 2), name="given")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(K, 4)(x))
    query = keras.layers.Dense(4)(given)
    o = keras.layers.Attention()([query, h], use_causal_mask=True)
    o += keras.layers.MultiHeadAttention(2, 2)(query, h, use_causal_mask=True)
    model = kerasar.AutoregressiveModel(keras.Model([x, given], keras.layers.Dense(K)(o)))
    randomize(model.network)
    condition = np.random.default_rng(0).normal(size=(3, T, 2)).astype("float32")
    expected = model.sample(3, seed=1, condition=condition, method="sequential")
    for compiled in (False, True):
        found = model.sample(3, seed=1, condition=condition, method="cached", jit_compile=compiled)
        assert (found == expected).all()


class MaskOfLength(keras.layers.Layer):
    """Attention whose mask is made from the length, in a way of its own."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def call(self, h):
        length = keras.ops.shape(h)[1]
        steps = keras.ops.arange(length)
        scores = keras.ops.matmul(h, keras.ops.swapaxes(h, 1, 2))
        seen = self.seen(steps[:, None], steps[None], length)
        return h + keras.ops.matmul(keras.ops.softmax(keras.ops.where(seen, scores, -1e9)), h)

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    ("seen", "length"),
    [(lambda i, j, n: (i >= j) | (i >= 40), 48), (lambda i, j, n: (i >= j) | (n < 5), 4)],
)
def test_a_leak_at_other_lengths_than_were_tried_is_refused_there(seen, length):
    x = keras.Input((None,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(K, 4)(x))
    network = keras.Model(x, keras.layers.Dense(K)(MaskOfLength(seen)(h)))
    model = kerasar.AutoregressiveModel(network)
    assert np.isfinite(model.log_prob(np.zeros((1, 20), "int32"))).all()
    with pytest.raises(ValueError, match="not strictly causal"):
        model.log_prob(np.zeros((1, length), "int32"))
    for method in (None, "parallel"):
        with pytest.raises(ValueError, match="not strictly causal"):
            model.sample(1, length=length, method=method)


def check_random(seeds):
    """Returns how many networks are causal, and how many of these are proven and cached."""
    causal = taken = 0
    for seed in seeds:
        network = drawn(lambda seed=seed: random_network(seed))
        seen = pairs_seen(network)
        leaks = bool(np.triu(seen).any())
        causal += not leaks
        try:
            model = kerasar.AutoregressiveModel(network)
        except ValueError:
            continue
        assert not leaks, seed
        assert not model.analysis.unknown, seed
        one, other = np.nonzero(seen)
        found = kerasar.receptive_field(network).offsets
        assert found >= {(int(lag),) for lag in other - one}, seed
        check_cached(model)
        taken += 1
    return causal, taken


def test_random_networks_agree_with_brute_force():
    causal, taken = check_random(range(3))
    assert taken == causal


@pytest.mark.long
def test_many_random_networks_agree_with_brute_force():
    causal, taken = check_random(range(200))
    assert taken >= 0.95 * causal


def test_more_pairs_than_fit_into_memory_are_refused(monkeypatch):
    monkeypatch.setattr("kerasar.causality.pairs.read.available_memory", lambda: 2**20)
    drawn(CAUSAL_NETWORKS["where"])  # few positions: nothing is asked for
    x = keras.Input((200, 4))
    scores = keras.ops.einsum("bqc,bkc->bqk", x, x)
    network = keras.Model(x, keras.ops.einsum("bqk,bkc->bqc", scores, x))
    with pytest.raises(ValueError, match=r"each pair of 200 positions.*Take fewer positions"):
        kerasar.check_causal(network)
