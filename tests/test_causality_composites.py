"""Layers without a rule are opened into what their `call` does, or stay whole for a reason."""

import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import check_cached
from keras import ops

import kerasar
from kerasar.causality.analysis import analyze
from kerasar.causality.graph import read_graph
from kerasar.causality.randomize import randomize
from kerasar.layers import CausalShift

L = keras.layers
T, C, K = 6, 8, 3
TRIANGLE = np.tril(np.ones((1, T, T), bool))


class Same(L.Layer):
    """Gives what it takes another value, not another shape."""

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable(package="tests")
class Gated(L.Layer):
    """What tutorials write: sub-layers in lists and dicts, gates, dropout, a property, a branch."""

    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.depth = depth
        self.norms = [L.LayerNormalization() for _ in range(2)]
        self.parts = {"in": L.Conv1D(C, 2, padding="causal"), "out": keras.Sequential([L.Dense(C)])}
        self.dropout = L.Dropout(0.3)
        self.inner = Gated(depth - 1) if depth > 1 else None

    def build(self, shape):
        self.gates = [self.add_weight(shape=(C,), name=f"gate_{n}") for n in range(2)]
        self.table = self.add_weight(shape=(2 * T, C), name="table")
        for layer in (*self.norms, *self.parts.values(), *([self.inner] if self.inner else [])):
            layer.build(shape)

    @property
    def gate(self):
        return ops.sigmoid(self.gates[0])

    def call(self, x, training=False):
        h = self.norms[0](x + self.table[: ops.shape(x)[1]])
        h = ops.tanh(self.parts["in"](h)) * self.gate
        if training:
            h = self.dropout(h, training=training)
        if self.inner is not None:
            h = self.inner(h)
        return x + self.norms[1](self.parts["out"](h)) * self.gates[1]

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}


def network(body, length=T, dtype="int32"):
    x = keras.Input((length,), dtype=dtype, name="x")
    made = keras.Model(x, L.Dense(K)(body(CausalShift()(L.Embedding(K, C)(x)))))
    randomize(made)
    return made


def is_proven(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kerasar.check_causal(made)


def is_whole(made, reason):
    """Whether the layer stays one node, and says why."""
    whole = [node.why_closed for node in analyze(made).graph.nodes if node.why_closed]
    assert len(whole) == 1 and reason in whole[0], whole


def run(made, x, training=False):
    graph = read_graph(made)
    values = graph.inputs({graph.x.name: tf.constant(x)})
    for _ in graph.run(values, training):
        pass
    return values[graph.output].numpy()


def data(count=5):
    return np.random.default_rng(0).integers(K, size=(count, T)).astype("int32")


@pytest.mark.parametrize("training", [False, True])
def test_pieces_compute_what_the_network_does_with_its_weights_of_today(training):
    made = network(Gated())
    read_graph(made)
    randomize(made, seed=1)
    seeds = [w for w in made.variables if "seed" in w.path]
    before = [w.numpy() for w in seeds]
    expected = made(data(), training=training).numpy()
    for weight, value in zip(seeds, before, strict=True):
        weight.assign(value)
    np.testing.assert_allclose(run(made, data(), training), expected, atol=1e-6)


def test_a_composite_layer_is_proven_sampled_trained_saved_and_exported(tmp_path):
    shared = Gated()
    made = network(lambda h: shared(shared(h)))
    is_proven(made)
    reach = kerasar.receptive_field(made).reach
    assert reach == 5  # four convolutions behind a shift
    model = kerasar.AutoregressiveModel(made)
    model.compile("adam", jit_compile=False)
    model.fit(data(32), batch_size=16, verbose=0)
    check_cached(model, seed=3)
    samples = model.sample(8, seed=3, method="cached")
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.log_prob(data()), model.log_prob(data()), atol=1e-5)
    assert (loaded.sample(8, seed=3) == samples).all()


def test_reading_leaves_nothing_behind():
    made = network(Gated())
    layers = made._flatten_layers
    records = [(len(p._inbound_nodes), len(p._outbound_nodes), dict(vars(p))) for p in layers()]
    name = L.Dense(1).name
    read_graph(made)
    after = [(len(p._inbound_nodes), len(p._outbound_nodes), dict(vars(p))) for p in layers()]
    for (*counts, held), (*others, now) in zip(records, after, strict=True):
        assert counts == others
        changed = {key for key, value in held.items() if now[key] is not value}
        assert changed <= {"_called", "_parent_path"}  # as by any call
    number = int(name.removeprefix("dense").removeprefix("_") or 0)
    assert L.Dense(1).name == f"dense_{number + 1}"


def test_a_changed_layer_is_read_anew():
    class Late(Same):
        def __init__(self, lags):
            super().__init__()
            self.lags, self.dense = [lags], L.Dense(C)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            h = ops.pad(self.dense(x), ((0, 0), (self.lags[0], 0), (0, 0)))
            return h[:, : ops.shape(x)[1]]

    layer = Late(2)
    model = kerasar.AutoregressiveModel(network(layer))
    assert kerasar.receptive_field(model.network).reach == 3
    model.sample(2)
    layer.lags[0] = 4
    check_cached(model)
    layer.dense.activation = keras.activations.tanh
    check_cached(model)
    assert kerasar.receptive_field(model.network).reach == 5
    layer.dense.enable_lora(2)
    randomize(model.network)
    check_cached(model)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_pieces_cast_as_the_layer_does(policy):
    class Cast(Same):
        def build(self, shape):
            self.dense = L.Dense(C, dtype=policy)
            self.gate = self.add_weight(shape=(C,), name="gate")
            self.dense.build(shape)

        def call(self, x):
            return self.dense(x) * self.gate + ops.exp(self.gate)

    made = network(lambda h: L.Activation("linear", dtype="float32")(Cast(dtype=policy)(h)))
    assert read_graph(made).opened
    is_proven(made)
    assert (run(made, data()) == made(data()).numpy()).all()


class Pair(L.Layer):
    """Takes a dict and a keyword argument, and gives a dict."""

    def build(self, given_shape, other_shape=None):
        self.dense = L.Dense(C)
        self.dense.build((None, T, C))

    def call(self, given, other=None):
        return {"sum": self.dense(given["a"]) + given["b"], "product": given["a"] * other}

    def compute_output_spec(self, given, other=None):
        shape = given["a"].shape
        return {name: keras.KerasTensor(shape, "float32") for name in ("sum", "product")}


class Functional(keras.Model):
    def call(self, x):
        return 2.0 * super().call(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = L.Conv1D(C, 2, padding="causal")

    def call(self, x):
        return self.conv(x) + x


class Indexed(Same):
    def build(self, shape):
        self.dense = L.Dense(C)
        self.dense.build(shape)

    def __getitem__(self, index):
        return self.dense

    def call(self, x):
        return self[0](x)


class OfBatch(Same):
    """Asks for the number of examples."""

    def call(self, x):
        batch = ops.shape(x)[0]
        ones = ops.broadcast_to(ops.ones((1, T, 1)), (batch, T, 1))
        return ops.reshape(ops.reshape(x * ones, (batch, T, 2, C // 2)), (batch, T, -1))


class Table(L.Layer):
    """Gives a table of positions to each example."""

    def build(self, shape):
        self.table = self.add_weight(shape=(2 * T, C), name="table")

    def call(self, x):
        return ops.broadcast_to(self.table[: ops.shape(x)[1]], ops.shape(x))


class Joined(Table):
    """Joins positions and a table, made for each example, to the channels."""

    def call(self, x):
        batch = ops.shape(x)[0]
        ramp = ops.broadcast_to(ops.linspace(-1.0, 1.0, T)[None, :, None], (batch, T, 1))
        table = ops.tile(self.table[None, :T], (batch, 1, 1))
        both = L.Concatenate()([table, x, ops.repeat(ramp, 2, axis=-1)])
        return ops.stack([both, ops.tile(self.table[None, :T, :1], (batch, 1, 2 * C + 2))], axis=-1)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2 * C + 2, 2)


def joined(h):
    return L.Reshape((T, 4 * C + 4))(Joined()(h))


def functional(h):
    inputs = keras.Input((T, C))
    return Functional(inputs, L.Conv1D(C, 2, padding="causal")(inputs))(h)


def pair(h):
    made = Pair()({"a": h, "b": ops.tanh(h)}, other=ops.sigmoid(h))
    return made["sum"] + made["product"]


@pytest.mark.parametrize(
    "body",
    [
        pair,
        functional,
        lambda h: Subclassed()(h),
        lambda h: Indexed()(h),
        lambda h: OfBatch()(h),
        lambda h: h * Table()(h),
        lambda h: L.Add()([h, Table()(h)]),
        joined,
        L.Lambda(lambda h: 2.0 * h),
        lambda h: Holds(lambda x: x)(h),
    ],
)
def test_many_ways_of_writing_a_layer_are_opened(body):
    made = network(body)
    assert read_graph(made).opened
    is_proven(made)
    np.testing.assert_allclose(run(made, data()), made(data()).numpy(), atol=1e-6)


@pytest.mark.parametrize("body", [joined, lambda h: L.Add()([h, Table()(h)])])
def test_tables_made_for_each_example_are_cut_by_position(body):
    x = keras.Input((T,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(3, C)(x))
    model = kerasar.AutoregressiveModel(keras.Model(x, L.Dense(3)(ops.tanh(body(h)))))
    randomize(model.network)
    drawn = [model.sample(5, seed=1, method=method) for method in ("sequential", "cached")]
    np.testing.assert_array_equal(*drawn)


class Holds(Same):
    """Calls a function of its own."""

    def __init__(self, function):
        super().__init__()
        self.function, self.count, self.log = function, 0, []
        self.state = types.SimpleNamespace(count=0)

    def build(self, shape):
        self.dense = L.Dense(C)
        self.dense.build(shape)
        self.weight = self.add_weight(shape=(C,), name="weight")
        self.mean = self.add_weight(shape=(), name="mean", trainable=False)

    def call(self, x, training=False):
        names = self.function.__code__.co_varnames[: self.function.__code__.co_argcount]
        known = {"x": x, "self": self, "training": training}
        return self.function(*(known[name] for name in names))


def counts(self, x):
    self.count += 1
    return x * 2.0


def logs(self, x):
    self.log.append(1)
    return x * 2.0


def counts_elsewhere(self, x):
    self.state.count += 1
    return x * 2.0


def updates(self, x):
    self.mean.assign_add(1.0)
    return x * 2.0


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x if ops.sum(x) > 0 else -x, "branches on values"),
        (lambda self, x: x if self.weight[0] > 0 else -x, "branches on values"),
        (lambda x: x + float(x[0, 0, 0]), "branches on values"),
        (lambda x: x if x.shape[0] == 1 else ops.flip(x, 1), "compute something else"),
        (lambda x, training: ops.flip(x, 1) if training else x, "compute something else"),
        (lambda x: x + np.random.normal(size=(T, C)).astype("float32"), "compute something else"),
        (lambda x: tf.nn.relu(x), "TensorFlow's functions"),
        (lambda self, x: ops.cond(ops.sum(x) > 0, lambda: self.dense(x), lambda: x), "a branch"),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.flip(x, 1)), "hand on"),
        (counts, "self.count"),
        (logs, "self.log"),
        (counts_elsewhere, "self.state"),
        (updates, "assign_add"),
        (lambda x: ops.flip(x, 1), "mixes positions: Flip"),
        (lambda x: x - ops.mean(x, axis=1, keepdims=True), "mixes positions: it reduces"),
    ],
)
def test_what_cannot_be_opened_stays_whole_and_says_why(function, reason):
    is_whole(network(lambda h: Holds(function)(h)), reason)


def test_a_weight_hidden_in_a_closure_is_not_frozen():
    class Closure(Same):
        def build(self, shape):
            weight = self.add_weight(shape=(C,), name="weight")
            self.function = lambda x: x * ops.exp(weight)

        def call(self, x):
            return self.function(x)

    is_whole(network(lambda h: Closure()(h)), "compute something else")


def test_a_table_for_each_example_stays_whole_where_it_is_needed():
    made = network(lambda h: L.Concatenate()([h, Table(name="table")(h)]))
    is_whole(made, "needs its output for each example")
    graph = analyze(made).graph
    assert "table" in [node.name for node in graph.nodes] and not graph.opened


def test_a_leak_within_a_layer_is_named():
    class Ahead(Same):
        def build(self, shape):
            self.conv = L.Conv1D(C, 3, padding="same", name="ahead")
            self.conv.build(shape)

        def call(self, x):
            return self.conv(x)

    with pytest.raises(ValueError, match="'outer/ahead' is the first to see the present"):
        kerasar.check_causal(network(lambda h: Ahead(name="outer")(h)))


def test_the_warning_of_a_probe_says_why_a_layer_is_closed():
    made = network(lambda h: Holds(lambda x: x if ops.sum(x) > 1e9 else 2 * x)(h))
    with pytest.warns(UserWarning, match="cannot be opened: its call branches on values"):
        kerasar.check_causal(made)


def test_losses_and_masks_keep_a_layer_whole():
    is_whole(network(lambda h: Subclass(activity_regularizer="l2")(h)), "activity_regularizer")
    x = keras.Input((T,), dtype="int32", name="x")
    made = keras.Model(x, L.Dense(K)(Subclass()(L.Embedding(K, C, mask_zero=True)(x))))
    assert [node.why_closed for node in read_graph(made).nodes if node.why_closed] == [
        "Keras passes a mask along with its input"
    ]


class Subclass(Same):
    def call(self, x):
        return 2.0 * x


class Positions(Same):
    def __init__(self):
        super().__init__()
        self.table = L.Embedding(2 * T, C)

    def call(self, x):
        return x + self.table(ops.arange(ops.shape(x)[1]))


def test_an_open_length_is_read_at_the_length_that_is_asked_for():
    inputs = keras.Input((None, C))
    inner = keras.Model(inputs, Positions()(L.Conv1D(C, 2, padding="causal")(inputs)))
    made = network(lambda h: Positions()(inner(h)), length=None)
    whole = [node for node in analyze(made).graph.nodes if node.why_closed]
    assert len(whole) == 2 and all("sizes that are open" in node.why_closed for node in whole)
    analysis = analyze(made, length=T)
    assert not analysis.unknown and analysis.output.offsets.strictly_before()
    assert analysis.graph.x.shape == (None, T) and analysis.graph.output.shape == (None, T, K)
    values = analysis.graph.inputs({"x": tf.constant(data())})
    for _ in analysis.graph.run(values):
        pass
    np.testing.assert_allclose(values[analysis.graph.output], made(data()), atol=1e-6)


@pytest.mark.parametrize(
    "attention",
    [
        lambda h: L.MultiHeadAttention(2, 4, dropout=0.1)(h, h, use_causal_mask=True),
        lambda h: L.MultiHeadAttention(2, 4)(
            h, h, attention_mask=np.tril(np.ones((1, T, T), bool))
        ),
        lambda h: L.GroupQueryAttention(4, 4, 2)(h, h, use_causal_mask=True),
        lambda h: L.Attention(use_scale=True)([h, h], use_causal_mask=True),
        lambda h: L.AdditiveAttention()([h, h], use_causal_mask=True),
    ],
)
def test_attention_is_opened_into_operations(attention):
    made = network(attention)
    graph = read_graph(made)
    assert graph.opened and not any(node.why_closed for node in graph.nodes)
    np.testing.assert_allclose(run(made, data()), made(data()).numpy(), atol=1e-5)


def test_window_models_take_pieces_but_no_weights_of_a_layer_itself():
    made = network(lambda h: Subclassed()(h))
    window = kerasar.to_window_model(made)
    x = data(1)
    reach = window.input_shape[1]
    np.testing.assert_allclose(window(x[:, -reach - 1 : -1]), made(x)[:, -1], atol=1e-5)
    with pytest.raises(ValueError, match="'gated.*weight that a layer around it uses itself"):
        kerasar.to_window_model(network(Gated(depth=1, name="gated")))
