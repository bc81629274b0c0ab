"""The analysis against brute force, on functional graphs drawn at random."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops

import kerasar
from kerasar.causality.analysis import analyze
from kerasar.causality.graph import read_graph
from kerasar.causality.probe import probe_causal
from kerasar.causality.randomize import randomize
from kerasar.layers import CausalShift

T = 26

SAME_SIZE = st.one_of(
    st.tuples(st.just("conv"), st.integers(1, 3), st.integers(1, 3), st.sampled_from("cs")),
    st.tuples(st.just("shift"), st.integers(1, 2)),
    st.tuples(st.just("dense"), st.booleans()),
    st.tuples(st.just("average"), st.integers(2, 3)),
    st.tuples(st.just("twice"), st.integers(1, 2)),
)
ANY_SIZE = st.one_of(
    SAME_SIZE,
    st.tuples(st.just("valid"), st.integers(2, 3), st.integers(1, 2)),
    st.tuples(st.just("pad"), st.integers(0, 3), st.integers(0, 1)),
    st.tuples(st.just("crop"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("slice"), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just("max"), st.integers(2, 3), st.sampled_from("sv")),
)


def chains(step):
    branch = st.tuples(
        st.just("branch"),
        st.lists(SAME_SIZE, max_size=2),
        st.lists(SAME_SIZE, max_size=2),
        st.booleans(),
    )
    return st.lists(st.one_of(step, step, branch), min_size=1, max_size=4)


def build(chain, h):
    for kind, *rest in chain:
        if kind == "conv":
            kernel, rate, padding = rest
            name = {"c": "causal", "s": "same"}[padding]
            h = L.Conv1D(3, kernel, dilation_rate=rate, padding=name)(h)
        elif kind == "valid":
            h = L.Conv1D(3, rest[0], dilation_rate=rest[1])(h)
        elif kind == "shift":
            h = CausalShift(steps=rest[0])(h)
        elif kind == "dense":
            h = L.Dense(3)(h) if rest[0] else ops.softplus(h) * 0.5
        elif kind == "average":
            h = L.AveragePooling1D(rest[0], strides=1, padding="same")(h)
        elif kind == "max":
            h = L.MaxPooling1D(rest[0], strides=1, padding={"s": "same", "v": "valid"}[rest[1]])(h)
        elif kind == "pad":
            h = L.ZeroPadding1D(tuple(rest))(h)
        elif kind == "crop":
            h = L.Cropping1D(tuple(rest))(h)
        elif kind == "slice":
            h = h[:, rest[0] : h.shape[1] - rest[1]]
        elif kind == "twice":
            shared = L.Conv1D(h.shape[-1], rest[0] + 1, padding="causal")
            h = shared(shared(h))
        else:
            left, right, add = rest
            a, b = L.Dense(3)(build(left, h)), L.Dense(3)(build(right, h))
            h = L.Add()([a, b]) if add else ops.concatenate([a, b], axis=-1)
    return h


def network(chain):
    x = keras.Input((T, 1), dtype=keras.config.dtype_policy().compute_dtype, name="x")
    return keras.Model(x, L.Dense(2)(build(chain, x)))


def brute_force(model):
    """All offsets from an output's index to an input's index at which a change shows."""
    seen = set()
    for seed in range(6):
        randomize(model, seed)
        base = np.random.default_rng(seed).normal(size=(T, 1)) * 3
        batch = np.repeat(base[None], T + 1, axis=0)
        # Large steps, so that a maximum changes hands.
        batch[1 + np.arange(T), np.arange(T)] += 30 * (-1) ** seed
        out = np.asarray(model(batch), "float64")
        scale = np.abs(out).max()
        moved, at = np.nonzero((np.abs(out[1:] - out[:1]) > 1e-12 * scale).any(axis=-1))
        seen |= {int(m) - int(a) for m, a in zip(moved, at, strict=True)}
    return seen


def check_offsets(chain):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = network(chain)
        if (model.output_shape[1] or 0) < 1:
            return
        analysis = analyze(model, event_rank=1)
        declared = {offset for (offset,) in analysis.output.offsets.members()}
        found = brute_force(model)
        assert found <= declared, f"missed {found - declared}"
        # Far offsets are reached from the very ends only, where padding cuts paths off.
        middle = {offset for offset in declared if abs(offset) <= T // 3}
        if model.output_shape[1] >= T - 6 and max(map(abs, declared)) <= T // 2:
            assert middle <= found, f"imagined {middle - found}"
    finally:
        keras.config.set_dtype_policy(policy)


def check_verdict(chain):
    """Proof and probe come to the same verdict and name the same layer."""
    model = network([("shift", 1), *chain])
    messages = []
    for check in (kerasar.check_causal, lambda m: probe_causal(read_graph(m))):
        try:
            check(model)
            messages.append(None)
        except ValueError as error:
            messages.append(str(error))
    assert messages[0] == messages[1]


quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
long = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(chains(ANY_SIZE))
def test_offsets_are_those_of_brute_force(chain):
    check_offsets(chain)


@settings(quick, max_examples=25)
@given(chains(SAME_SIZE))
def test_verdicts_are_those_of_brute_force(chain):
    check_verdict(chain)


@pytest.mark.long
@long
@given(chains(ANY_SIZE))
def test_offsets_of_300_graphs_are_those_of_brute_force(chain):
    check_offsets(chain)


@pytest.mark.long
@long
@given(chains(SAME_SIZE))
def test_verdicts_on_300_graphs_are_those_of_brute_force(chain):
    check_verdict(chain)
