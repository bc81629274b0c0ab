"""Recurrences written with `keras.ops`: cumulative sums, scans and differences."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import check_cached
from keras import layers as L
from keras import ops

import kerasar
from kerasar.causality.graph import read_graph
from kerasar.causality.rules.registry import Use
from kerasar.causality.rules.scans import _scan
from kerasar.layers import CausalShift
from kerasar.layers.protocol import MixesPositions
from kerasar.testing import check_normalized, check_samples, randomize

T, K = 5, 3


def linear(before, after):
    """The composition of two maps h -> a h + b."""
    return before[0] * after[0], after[0] * before[1] + after[1]


def sequence(body, length=T):
    x = keras.Input((length,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(K, 4)(x))
    network = keras.Model(x, L.Dense(K)(body(h)))
    randomize(network)
    return network


def min_gru(h):
    z = L.Dense(4, activation="sigmoid")(h)
    return ops.associative_scan(linear, (1 - z, z * L.Dense(4)(h)), axis=1)[1]


def linear_attention(h):
    q, k, v = (ops.sigmoid(L.Dense(2)(h)) for _ in range(3))
    outer = ops.cumsum(ops.expand_dims(k, -1) * ops.expand_dims(v, -2), axis=1)
    return ops.sum(ops.expand_dims(q, -1) * outer, axis=-2) / ops.cumsum(
        ops.sum(k, -1, keepdims=True), axis=1
    )


def log_add(a, b):
    return ops.maximum(a, b) + ops.log1p(ops.exp(-ops.abs(a - b)))


def padded(h, front):
    return ops.pad(h, ((0, 0), (front, 0), (0, 0)))


BODIES = {
    "sums and differences": lambda h: ops.concatenate(
        [
            linear_attention(h),
            ops.cumprod(h, axis=-2),
            ops.cast(ops.cumsum(ops.cast(h > 0, "int32"), 1), "float32"),
            ops.diff(padded(h, 1), axis=1),
            ops.diff(padded(h, 2), n=2, axis=-2),
            ops.cumsum(padded(h + 1.0, 2), axis=1)[:, :-2],
        ],
        axis=-1,
    ),
    "scans": lambda h: ops.concatenate(
        [
            min_gru(h),
            ops.associative_scan(log_add, h, axis=1),
            *ops.associative_scan(linear, [padded(h, 1)[:, :-1] + 0.5, h], axis=-2),
        ],
        axis=-1,
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_they_are_run_step_by_step(name):
    model = kerasar.AutoregressiveModel(sequence(BODIES[name]))
    check_samples(model, num_samples=8, methods=["cached"])


def test_gates_may_come_from_a_condition():
    x, c = keras.Input((T,), dtype="int32", name="x"), keras.Input((T, 4), name="c")
    h = CausalShift()(L.Embedding(K, 4)(x))
    h = ops.associative_scan(linear, (ops.sigmoid(c), h), axis=1)[1]
    network = keras.Model([x, c], L.Dense(K)(h))
    randomize(network)
    given = np.random.default_rng(0).normal(size=(4, T, 4)).astype("float32")
    check_cached(kerasar.AutoregressiveModel(network), num_samples=4, condition=given)


def test_probabilities_sum_to_one():
    check_normalized(kerasar.AutoregressiveModel(sequence(BODIES["scans"], 4)))


def test_the_last_of_a_scan_is_what_a_loop_computes():
    network = sequence(min_gru, 7)
    scan = next(n for n in read_graph(network).nodes if "scan" in n.name)
    z, gated = (np.random.default_rng(n).uniform(size=(2, 7, 4)) for n in range(2))
    (found,) = scan.run(dict(zip(scan.inputs, map(tf.constant, (z, gated)), strict=True)))
    state = np.zeros((2, 4))
    for step in range(7):
        state = z[:, step] * state + gated[:, step]
        np.testing.assert_allclose(found[:, step], state)


@pytest.mark.parametrize("length", [1, 2, 3, 6, 9, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_scans_in_graphs_are_those_of_keras(length, reverse):
    x = keras.Input((length, 4))
    a, b = ops.associative_scan(linear, (ops.sigmoid(x), x), axis=1, reverse=reverse)
    network = keras.Model(x, ops.concatenate([a, b]))
    graph = read_graph(network)
    value = np.random.default_rng(0).normal(size=(3, length or 8, 4)).astype("float32")

    @tf.function(input_signature=[tf.TensorSpec((None, length, 4))])
    def run(x):
        values = {graph.x: x}
        list(graph.run(values))
        return values[graph.output]

    np.testing.assert_allclose(run(value), network(value), atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("length", [6, None])
def test_scans_have_their_gradient_compiled_or_not(length, jit_compile):
    x = keras.Input((length, 2))
    graph = read_graph(keras.Model(x, ops.associative_scan(linear, (ops.sigmoid(x), x), axis=1)[1]))
    value = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")

    @tf.function(input_signature=[tf.TensorSpec((None, length, 2))], jit_compile=jit_compile)
    def gradient(x):
        values = {graph.x: x}
        list(graph.run(values))
        return tf.gradients(tf.square(values[graph.output]), x)[0]

    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(value))
        state, total = tf.zeros((3, 2)), 0.0
        for step in range(6):
            state = tf.sigmoid(given[:, step]) * state + given[:, step]
            total += tf.reduce_sum(tf.square(state))
    np.testing.assert_allclose(gradient(value), tape.gradient(total, given), rtol=1e-4, atol=1e-5)


def test_a_network_with_a_scan_is_trained():
    model = kerasar.AutoregressiveModel(sequence(min_gru))
    model.compile(keras.optimizers.Adam(0.05))
    x = np.random.default_rng(0).integers(K, size=(64, 1)).repeat(T, 1)
    losses = model.fit(x, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


LEAKS = {
    "reverse": (
        lambda h: ops.associative_scan(ops.add, h, axis=1, reverse=True),
        "from the future to the past",
    ),
    "a mean in the function": (
        lambda h: ops.associative_scan(
            lambda a, b: a + ops.mean(b, axis=1, keepdims=True), h, axis=1
        ),
        "operation 'mean.*over axis",
    ),
    "a shift in the function": (
        lambda h: ops.associative_scan(lambda a, b: a + ops.roll(b, -1, axis=1), h, axis=1),
        "operation 'roll.*moves",
    ),
    "a mean in the function of a scan over channels": (
        lambda h: ops.associative_scan(
            lambda a, b: a + ops.mean(b, axis=1, keepdims=True), h, axis=2
        ),
        "operation 'mean.*over axis",
    ),
    "over the batch": (
        lambda h: ops.associative_scan(ops.add, h, axis=0),
        "axis 0, which does not hold",
    ),
    "flattened": (lambda h: ops.reshape(ops.cumsum(h), (-1, T, 4)), "axis=None"),
    "difference ahead": (
        lambda h: ops.pad(ops.diff(h, axis=1), ((0, 0), (0, 1), (0, 0))),
        "'diff.*the first to see the present",
    ),
    "the last state": (
        lambda h: h + ops.expand_dims(L.GRU(4, return_sequences=True, return_state=True)(h)[1], 1),
        "its last state is read",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_what_sees_the_future_is_refused(name):
    body, reason = LEAKS[name]
    with pytest.raises(ValueError, match=reason):
        kerasar.check_causal(sequence(body))


def test_a_function_that_is_not_of_keras_is_probed():
    network = sequence(lambda h: ops.associative_scan(tf.add, h, axis=1))
    with pytest.warns(UserWarning, match="'associative_scan.*does not declare"):
        kerasar.check_causal(network)


def test_along_channels_a_scan_sees_one_step():
    network = sequence(lambda h: ops.associative_scan(ops.add, ops.cumsum(h, axis=2), axis=-1))
    assert kerasar.receptive_field(network).reach == 1


def test_an_initial_state_may_have_the_shape_of_the_data():
    """And the last may be there, if nobody reads it."""
    gru = L.GRU(4, return_sequences=True, return_state=True)
    network = sequence(lambda h: gru(h, initial_state=ops.ones_like(h[:, 0]))[0])
    check_cached(kerasar.AutoregressiveModel(network), num_samples=4)


# `keras.ops.scan`, whose steps are along axis 0.


def scanned(f, init=lambda xs: ops.zeros_like(xs[0]), read=1, **settings):
    """A scan over (time, batch, channels): the network, and the use of its node."""
    xs = keras.Input(batch_shape=(T, None, 4), name="x")
    made = ops.scan(f, init(xs), xs, **settings)[read]
    network = keras.Model(xs, made)
    nodes = read_graph(network).nodes
    edges = {edge for node in nodes for edge in node.inputs if not node.only_shape}
    made = {edge for node in nodes if node.only_shape for edge in node.outputs}
    return network, Use(nodes[-1], 1, edges - made, axis=0)


def running(carry, x):
    return carry + x, carry + x


def test_a_scan_is_the_recurrence_of_its_function():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(4, 4)), dtype="float32")

    def f(carry, x):
        carry = ops.tanh(ops.matmul(carry, kernel) + x)
        return carry, carry

    network, use = scanned(f)
    declared = _scan(use)
    kernel.assign(0.5 * kernel)  # read live
    x = np.random.default_rng(1).normal(size=(T, 3, 4)).astype("float32")
    carry = declared.initial(3, tf.zeros((3, 4)))
    for step, expected in enumerate(network(x)):
        (y,), carry = declared.step(tf.constant(x[step]), carry, step)
        np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (dict(f=running, reverse=True), "from the future"),
        (dict(f=running, length=T - 1), "leave length out"),
        (dict(f=running, read=0), "last state is read"),
        (dict(f=running, init=lambda xs: xs[0]), "depends on the data"),
        (dict(f=lambda c, x: (c + ops.mean(x, 0), c)), "mixes the examples.*'mean"),
        (dict(f=lambda c, x: (c + ops.sum(x), c), init=lambda xs: 0.0 * ops.ones(())), "on its"),
    ],
)
def test_what_is_no_recurrence_over_steps_is_refused(settings, reason):
    declared = _scan(scanned(**settings)[1])
    assert isinstance(declared, MixesPositions)
    assert re.search(reason, declared.reason)


def test_a_scan_over_the_examples_is_refused():
    network = sequence(lambda h: ops.scan(running, ops.zeros_like(h[0]), h)[1])
    with pytest.raises(ValueError, match="axis 0, which holds the examples"):
        kerasar.check_causal(network)


def test_a_network_with_a_scan_is_not_compiled_by_xla():
    """XLA cannot differentiate it."""
    x = keras.Input((T,), dtype="int32", name="x")
    c = keras.Input((T, 2), name="c")
    steps = ops.transpose(L.Dense(4)(c), (1, 0, 2))
    known = ops.scan(running, ops.zeros_like(steps[0]), steps)[1]
    h = CausalShift()(L.Embedding(K, 4)(x))
    h = ops.concatenate([h, ops.transpose(known, (1, 0, 2))], axis=-1)
    model = kerasar.AutoregressiveModel(keras.Model([x, c], L.Dense(K)(h)))
    model.compile("sgd")
    assert not model.jit_compile
    data = np.zeros((4, T), "int32")
    model.fit({"x": data, "condition": np.ones((4, T, 2), "float32")}, verbose=0)
