"""Recurrences written with `keras.ops.scan` inside of layers, and between transpositions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import check_cached, some
from keras import layers as L
from keras import ops

import kerasar
from kerasar.causality.analysis import analyze
from kerasar.layers import CausalShift
from kerasar.testing import check_normalized, check_samples, randomize

T, C, K = 5, 4, 3


def turned(x):
    return ops.transpose(x, (1, 0, 2))


@keras.saving.register_keras_serializable(package="tests")
class Recurrent(L.Layer):
    """Has weights and cells; those below say what is done with them."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(C, C), name="kernel")
        self.gates = self.add_weight(shape=(C, 3 * C), name="gates")
        self.bias = self.add_weight(shape=(C,), name="bias")
        self.dense, self.cell = L.Dense(C), L.GRUCell(C)
        for layer in (self.dense, self.cell):
            layer.build((None, C))

    def compute_output_shape(self, shape):
        return shape

    def simple(self, c, u):
        c = ops.tanh(ops.matmul(c, self.kernel) + u)
        return c, c

    def scanned(self, h, f=None, **settings):
        zeros = ops.zeros_like(h[:, 0])
        return ops.scan(f or self.simple, zeros, turned(h), **settings)

    def call(self, h):
        return turned(self.scanned(h)[1])


def layer(call, **methods):
    return type("Own", (Recurrent,), {"call": call, **methods})()


def network(made, length=T):
    x = keras.Input((length,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(K, C)(x))
    model = keras.Model(x, L.Dense(K)(made(h)))
    randomize(model)
    return model


def gated(self, h):
    """A gated recurrent unit."""

    def f(c, u):
        update, reset, new = ops.split(ops.matmul(u, self.gates), 3, axis=-1)
        update, reset = ops.sigmoid(update), ops.sigmoid(reset + ops.matmul(c, self.kernel))
        c = (1 - update) * c + update * ops.tanh(new + reset * c)
        return c, c

    return turned(self.scanned(h, f)[1])


def of_two_states(self, h):
    zeros = ops.zeros_like(h[:, 0])

    def f(states, u):
        c, y = states
        c = ops.sigmoid(u) * c + ops.tanh(y @ self.kernel + u)
        return (c, ops.tanh(c)), (ops.tanh(c), c)

    _, (y, c) = ops.scan(f, (zeros, zeros), turned(h))
    return turned(y) + 0.5 * turned(c)


def of_two_inputs(self, h):
    gate = ops.sigmoid(h @ self.kernel)

    def f(c, both):
        c = both[0] * c + (1 - both[0]) * both[1]
        return c, c

    return turned(ops.scan(f, ops.zeros_like(h[:, 0]), (turned(gate), turned(h)))[1])


def from_a_learned_state(self, h):
    """Of the batch's size, which is open; by other transpositions."""

    def f(c, u):
        c = ops.tanh(c * ops.sigmoid(self.bias) + u)
        return c, ops.reshape(ops.reshape(c, (ops.shape(c)[0], 2, 2)), (-1, C))

    start = ops.broadcast_to(self.bias, (ops.shape(h)[0], C))
    return ops.swapaxes(ops.scan(f, start, ops.moveaxis(h, 1, 0))[1], 0, 1)


def by_layers(self, h):
    def f(c, u):
        _, (c,) = self.cell(u, [c])
        return c, self.dense(c)

    return turned(ops.scan(f, ops.zeros((ops.shape(h)[0], C)), turned(h))[1])


def read_twice(self, h):
    y = self.scanned(h)[1]
    return turned(y) + ops.moveaxis(y, 0, 1)


def with_steps_first(self, h):
    """By channel, what surrounds the scan works on tensors that have the steps first."""
    u = ops.tanh(self.dense(turned(h)) + self.bias)
    y = self.scanned(turned(u))[1]
    y = ops.split(ops.concatenate([y, u], axis=-1), 2, axis=-1)[0]
    return turned(ops.matmul(ops.relu(y), self.kernel) + u)


CALLS = [
    gated,
    of_two_states,
    of_two_inputs,
    from_a_learned_state,
    by_layers,
    read_twice,
    with_steps_first,
]


def responses(model):
    """The offsets at which outputs respond to a change of the data."""
    x = np.random.default_rng(0).integers(K, size=T)
    batch = np.stack([x, *((x + np.eye(T, dtype=int)[n]) % K for n in range(T))])
    out = model(batch).numpy()
    moved, at = np.nonzero((np.abs(out[1:] - out[:1]) > 1e-6).any(axis=-1))
    return {(int(lag),) for lag in moved - at}


def run(graph, x):
    """What the nodes of a graph compute."""
    values = graph.inputs({graph.x.name: tf.constant(x, graph.x.dtype)})
    list(graph.run(values))
    return values[graph.output]


@pytest.mark.parametrize(
    "call",
    some(CALLS, set(CALLS) - {by_layers, of_two_inputs, read_twice}),
    ids=lambda call: call.__name__,
)
def test_a_scan_in_a_layer_is_a_recurrence(call):
    model = network(layer(call))
    kerasar.check_causal(model)
    assert not analyze(model).unknown
    assert kerasar.receptive_field(model).offsets == responses(model)
    check_cached(kerasar.AutoregressiveModel(model), num_samples=4)
    x = np.random.default_rng(1).integers(K, size=(3, T))
    np.testing.assert_allclose(run(analyze(model).graph, x), model(x), atol=1e-5)


def test_it_is_compiled_summed_trained_saved_and_exported(tmp_path):
    model = kerasar.AutoregressiveModel(network(Recurrent()))
    check_normalized(model)
    draw = dict(num_samples=6, seed=1)
    drawn = model.sample(**draw, method="sequential")
    np.testing.assert_array_equal(model.sample(**draw, method="cached", jit_compile=True), drawn)

    model.compile(keras.optimizers.Adam(0.05))
    assert not model.jit_compile, "XLA cannot differentiate a scan"
    x = np.random.default_rng(0).integers(K, size=(64, 1)).repeat(T, 1)
    losses = model.fit(x, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    drawn = model.sample(**draw, method="sequential")
    np.testing.assert_array_equal(model.sample(**draw, method="cached"), drawn)  # weights of today

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.sample(**draw, method="cached"), drawn)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    found = served.log_prob(tf.constant(x[:4], "int32"))["log_prob"]
    np.testing.assert_allclose(found, model.log_prob(x[:4]), atol=1e-5)


def test_an_open_length_is_proven():
    model = kerasar.AutoregressiveModel(network(layer(gated), length=None))
    draws = [model.sample(3, length=6, method=name) for name in ("cached", "sequential")]
    np.testing.assert_array_equal(*draws)


def test_lora_is_followed():
    model = kerasar.AutoregressiveModel(network(layer(by_layers)))
    model.sample(2, method="cached")
    dense = next(part for part in model.network.layers if isinstance(part, Recurrent)).dense
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.random.default_rng(0).normal(size=(2, C)))
    check_cached(model, num_samples=4)


def of_a_condition(self, inputs):
    h, c = inputs
    start = ops.tanh(c)

    def f(state, u):
        state = ops.tanh(ops.matmul(state, self.kernel) + u + c @ self.kernel)
        return state, state

    return turned(ops.scan(f, start, turned(h))[1])


def of_a_series(self, inputs):
    h, c = inputs

    def f(state, both):
        state = ops.sigmoid(both[1]) * state + both[0]
        return state, state

    return turned(ops.scan(f, ops.zeros_like(h[:, 0]), (turned(h), turned(c)))[1])


@pytest.mark.parametrize(("call", "shape"), [(of_a_condition, (C,)), (of_a_series, (T, C))])
def test_conditions_may_be_captured_or_run_along(call, shape):
    x, c = keras.Input((T,), dtype="int32", name="x"), keras.Input(shape, name="c")
    h = CausalShift()(L.Embedding(K, C)(x))
    made = layer(call, compute_output_shape=lambda self, shapes: shapes[0])
    model = keras.Model([x, c], L.Dense(K)(made([h, c])))
    randomize(model)
    assert not analyze(model).unknown
    given = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    check_cached(kerasar.AutoregressiveModel(model), num_samples=4, condition=given)


def test_between_transpositions_a_scan_of_a_network_is_a_recurrence():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(C, C)), dtype="float32")

    def f(c, u):
        c = ops.tanh(ops.matmul(c, kernel) + u)
        return c, c

    model = network(lambda h: turned(ops.scan(f, ops.zeros_like(h[:, 0]), turned(h))[1]))
    assert kerasar.receptive_field(model).offsets == responses(model)
    check_samples(kerasar.AutoregressiveModel(model), num_samples=4)


def test_the_function_of_an_associative_scan_may_use_weights():
    def call(self, h):
        def f(before, after):
            return ops.logaddexp(before, after) + 0.0 * self.bias

        return ops.associative_scan(f, h, axis=1)

    model = network(layer(call))
    assert not analyze(model).unknown
    check_cached(kerasar.AutoregressiveModel(model), num_samples=4)


def maximum_of(self, h):
    def f(c, u):
        c = ops.tanh(ops.matmul(c, self.kernel) + u) + ops.max(h * u[:, None], axis=1)
        return c, c

    return turned(self.scanned(h, f)[1])


def test_a_table_over_steps_first_is_not_taken_for_channels():
    """What is added for each step is another constant where the batch comes first."""
    table = np.random.default_rng(0).normal(size=(T, 1, C)).astype("float32")
    model = network(layer(lambda s, h: turned(s.scanned(h)[1] + table)))
    with pytest.warns(UserWarning, match="probed"):
        kerasar.check_causal(model)
    (unknown,) = analyze(model).unknown
    assert "nothing in between but operations on channels" in unknown.why_closed


LEAKS = {
    "rolled between": (
        lambda s, h: turned(ops.roll(s.scanned(h)[1], 1, axis=0)),
        "'own.*the first to see the future.*operations on channels",
    ),
    "a sum over the steps": (
        lambda s, h: turned(s.scanned(h)[1]) + ops.sum(s.scanned(h)[1], axis=0)[:, None],
        "'own.*the first to see the future",
    ),
    "reverse": (lambda s, h: turned(s.scanned(h, reverse=True)[1]), "future to the past"),
    "over the examples": (
        lambda s, h: ops.scan(s.simple, ops.zeros_like(h[0]), h)[1],
        "mixes the examples of a batch",
    ),
    "the last state": (lambda s, h: h + s.scanned(h)[0][:, None], "its last state is read"),
    "the last result": (lambda s, h: h + s.scanned(h)[1][-1][:, None], "steps on axis 0"),
    "from the end": (
        lambda s, h: turned(ops.scan(s.simple, h[:, -1], turned(h))[1]),
        "'own.*the first to see the future",
    ),
    "captured data": (maximum_of, "its function uses tensor .*depends on the data"),
    "mixed examples": (
        lambda s, h: turned(s.scanned(h, lambda c, u: (c + ops.mean(u, 0), c))[1]),
        "mixes the examples of a batch",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_what_sees_the_future_is_refused(name):
    call, reason = LEAKS[name]
    with pytest.raises(ValueError, match=reason):
        kerasar.check_causal(network(layer(call)))
