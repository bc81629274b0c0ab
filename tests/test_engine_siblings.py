"""Further kinds of networks that leak, or that a proof, a probe or a sampler could get wrong.

Those of `test_engine_faults.py` are the first; these were found by attacks on what mended them.
"""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops
from test_engine_faults import (
    K,
    Promising,
    Same,
    T,
    WrongStep,
    is_accepted,
    is_refused,
    mean,
    samples_agree,
    sequence,
    with_tokens,
)

import kerasar
from kerasar.layers import CausalShift
from kerasar.layers.protocol import POINTWISE, Taps, declares_what_it_sees
from kerasar.testing import randomize

# Weights: a gate is closed in one of two draws.


class Gated(Same):
    """Leaks where a scalar weight has the right sign."""

    def __init__(self, sign):
        super().__init__()
        self.sign = sign

    def build(self, shape):
        self.gate = self.add_weight(shape=())

    def call(self, h):
        return h + ops.relu(self.sign * self.gate) * mean(h)


@declares_what_it_sees
class DeclaredGate(Gated):
    def taps(self, position_rank):
        return POINTWISE


@pytest.mark.parametrize("kind", [Gated, DeclaredGate])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_gate_of_either_sign_hides_no_leak(kind, sign):
    is_refused(sequence(lambda h: kind(sign)(h)))


# Examples of a batch.


def over_batch(h):
    return h - ops.mean(h, axis=0, keepdims=True)


@keras.saving.register_keras_serializable("tests")
class Cell(L.Layer):
    """A recurrent cell that does something to its output."""

    def __init__(self, does=None, **settings):
        super().__init__(**settings)
        self.state_size = self.output_size = 8
        self.does = does or (lambda y: y)

    def build(self, shape):
        self.count = self.add_weight(shape=(), trainable=False, initializer="zeros")
        self.seed = keras.random.SeedGenerator(0)

    def call(self, x, states, training=None):
        y = self.does(ops.tanh(x + 0.5 * states[0]))
        return y, [y]


class CountingCell(Cell):
    def call(self, x, states, training=None):
        self.count.assign_add(1.0)
        return super().call(x * self.count, states)


class NoisyCell(Cell):
    def call(self, x, states, training=None):
        return super().call(x + keras.random.normal(ops.shape(x), seed=self.seed), states)


def cell(kind, *settings):
    return lambda h: L.RNN(kind(*settings), return_sequences=True)(h)


@pytest.mark.parametrize(
    "body",
    [
        lambda h: L.Lambda(over_batch)(h),
        lambda h: Promising(over_batch)(h),
        lambda h: L.Dense(8, activation=over_batch)(h),
        cell(Cell, over_batch),
        lambda h: L.GRU(
            8, return_sequences=True, activation=lambda z: over_batch(ops.tanh(z)), unroll=True
        )(h),
    ],
)
def test_examples_of_a_batch_do_not_mix(body):
    is_refused(sequence(body), "mixes the examples of a batch")


@pytest.mark.parametrize("kind", [CountingCell, NoisyCell])
def test_a_cell_with_a_state_or_noise_of_its_own_is_refused(kind):
    is_refused(sequence(cell(kind)), "another output when it is called again.*Correct its cell")


def test_a_cell_of_ones_own_is_proven():
    is_accepted(sequence(cell(Cell)))


def test_windows_of_images_on_sequences_are_told():
    x = keras.Input((3, 3), dtype="int32", name="x")
    h = kerasar.layers.MaskedConv2D(8, 3, mask="A")(L.Embedding(3, 8)(x))
    with pytest.raises(ValueError, match="windows have 2 axes, but the data have 1"):
        kerasar.AutoregressiveModel(keras.Model(x, L.Dense(3)(h)))


# Certificates: what they hold for.


class Softmax:
    def __init__(self, axis):
        self.axis = axis

    def __call__(self, h):
        return ops.softmax(h, axis=self.axis)


@pytest.mark.parametrize(
    "softmax", [Softmax, lambda axis: functools.partial(ops.softmax, axis=axis)]
)
def test_a_certificate_is_for_one_object_only(softmax):
    is_accepted(sequence(lambda h: Promising(softmax(-1))(h)))
    is_refused(sequence(lambda h: Promising(softmax(1))(h)), "declares what it sees")


def test_a_certificate_is_for_one_content_of_a_dict():
    class Held:
        def __init__(self, axes):
            self.axes = axes

        def __call__(self, h):
            return ops.softmax(h, axis=self.axes[(0, 1)])

    is_accepted(sequence(lambda h: Promising(Held({(0, 1): -1}))(h)))
    is_refused(sequence(lambda h: Promising(Held({(0, 1): 1}))(h)))


def large(h):
    return h + ops.cast(mean(ops.max(h, -1, keepdims=True)) > 4.0, "float32")


def long(h):
    return h + ops.cast(ops.shape(h)[1] > 64, "float32") * mean(h)


@pytest.mark.parametrize(
    ("does", "length"), [(large, T), (lambda h: h + ops.relu(-mean(h) - 20.0), T), (long, None)]
)
def test_a_declaration_holds_for_every_value_and_length(does, length):
    is_refused(sequence(lambda h: Promising(does)(h), length), "declares what it sees")


def test_a_declaration_holds_for_every_token():
    @declares_what_it_sees
    class Rare(L.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(40, 8))

        def call(self, x):
            rare = ops.cast(ops.any(x == 37, axis=1), "float32")
            return ops.take(self.table, x, axis=0) + rare[:, None, None]

        def compute_output_spec(self, x):
            return keras.KerasTensor((*x.shape, 8), "float32")

        def taps(self, position_rank):
            return POINTWISE

    x = keras.Input((T,), dtype="int32", name="x")
    is_refused(keras.Model(x, L.Dense(40)(CausalShift()(Rare()(x)))), "declares what it sees")


def test_a_declared_layer_of_data_and_a_vector_is_proven():
    vector = keras.Input((5,), name="c")

    def body(h, c):
        return Promising(lambda h, c: h * c[:, None])(h, L.Dense(8)(c))

    network = with_tokens(body, condition=vector)
    is_accepted(network)


# Probes: values of data and conditions.


@pytest.mark.parametrize(
    "opens", [lambda c: c > 5.0, lambda c: c < -5.0, lambda c: ops.equal(c, 0.0), lambda c: c > 50]
)
def test_a_leak_that_a_real_condition_opens_is_found(opens):
    condition = keras.Input((1,), name="c")

    def body(h, c):
        return L.Lambda(lambda a: a[0] + ops.cast(opens(a[1]), "float32")[:, None] * mean(a[0]))(
            [h, c]
        )

    is_refused(with_tokens(body, condition=condition))


@pytest.mark.parametrize(
    ("dtype", "opens"),
    [
        ("int32", lambda a, b: ops.logical_and(a == 7, b == 3)),
        ("int32", lambda a, b: a == 12),
        ("bool", lambda a, b: ops.logical_and(a, ops.logical_not(b))),
    ],
)
def test_a_leak_that_conditions_open_together_is_found(dtype, opens):
    x = keras.Input((T,), dtype="int32", name="x")
    a, b = (keras.Input((), dtype=dtype, name=name) for name in "ab")
    h = CausalShift()(L.Embedding(K, 8)(x))
    leak = L.Lambda(
        lambda t: t[0] + ops.cast(opens(t[1], t[2]), "float32")[:, None, None] * mean(t[0])
    )
    is_refused(keras.Model([x, a, b], L.Dense(K)(leak([h, a, b]))))


@pytest.mark.parametrize("opens", [lambda t: t < -20, lambda t: t > 100])
def test_a_leak_of_large_real_data_is_found(opens):
    x = keras.Input((T, 1), name="x")
    leak = L.Lambda(
        lambda t: (
            ops.pad(t, ((0, 0), (1, 0), (0, 0)))[:, :-1]
            + ops.cast(ops.any(opens(t), axis=1, keepdims=True), "float32")
        )
    )
    is_refused(keras.Model(x, L.Dense(3)(leak(x))))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_probe_keeps_to_the_values_that_a_table_has(dtype):
    x = keras.Input((T,), dtype=dtype, name="x")
    h = CausalShift()(L.Embedding(3, 8)(ops.cast(x, "int32")))
    is_accepted(keras.Model(x, L.Dense(5)(L.Lambda(tf.math.sinh)(h))), proven=False)


# Samplers.


def test_as_many_examples_as_channels_are_no_bias():
    """Keras adds `(8, 1, 8) + (8, 1, 1)` as if the second were a bias of the channels."""
    condition = keras.Input((T, 1), name="c")
    network = with_tokens(lambda h, c: L.Add()([h, c]), condition=condition)
    model = kerasar.AutoregressiveModel(network)
    randomize(network)
    given = np.random.default_rng(0).normal(size=(8, T, 1)).astype("float32")
    expected = model.sample(8, condition=given, method="sequential")
    for compiled in (False, True):
        found = model.sample(8, condition=given, method="cached", jit_compile=compiled)
        assert (found == expected).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [((8, 1, 8), (8, 1, 1)), ((8, 8), (8, 1)), ((1, 8, 8), (1, 8, 1)), ((4, 8), (8,))],
)
def test_addition_broadcasts(one, other):
    a, b = (np.random.default_rng(0).normal(size=shape).astype("float32") for shape in (one, other))
    np.testing.assert_array_equal(ops.add(a, b), a + b)
    if len(one) == len(other):
        np.testing.assert_array_equal(L.Add()([tf.constant(a), tf.constant(b)]), a + b)


def test_a_position_table_in_a_merge_is_sampled():
    table = np.random.default_rng(0).normal(size=(1, T, 8)).astype("float32")
    network = sequence(lambda h: ops.tanh(L.Add()([h, table])))
    is_accepted(network)
    assert kerasar.AutoregressiveModel(network).sample(2, method="cached").shape == (2, T)
    samples_agree(network)
    is_refused(sequence(lambda h: L.Add()([h, table[0]])), "first axis is the batch")


def combines_badly(values, position):
    return values[1]


def combines_to_another_shape(values, position):
    return ops.concatenate([values[0], values[0]], axis=-1)


@pytest.mark.parametrize("combine", [combines_badly, combines_to_another_shape])
def test_a_step_that_fails_leaves_the_parallel_sampler(combine, tmp_path):
    @declares_what_it_sees
    class Broken(Same):
        def call(self, h):
            return ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]

        def taps(self, position_rank):
            return Taps(((-1,),), combine=combine)

    model = kerasar.AutoregressiveModel(sequence(lambda h: Broken(name="broken")(h)))
    with pytest.warns(UserWarning, match="parallel.*cannot be run.*'broken'"):
        assert (model.sample(2) == model.sample(2, method="sequential")).all()
    with pytest.raises(ValueError, match="'broken'"):
        model.sample(2, method="cached")


@pytest.mark.parametrize("flag", [True, False])
def test_a_wrong_step_behind_a_flag_is_found(flag):
    condition = keras.Input((T,), dtype="bool", name="c")

    def body(h, c):
        return ops.where(ops.equal(c, flag)[..., None], WrongStep()(h), h)

    model = kerasar.AutoregressiveModel(with_tokens(body, condition=condition))
    with pytest.warns(UserWarning, match="parallel"):
        model.sample(2, condition=np.ones((2, T), bool))


def test_logits_that_are_all_infinite_raise_no_warning():
    network = sequence(lambda h: L.Dense(8)(h))
    low = network.outputs[0] + np.array([-np.inf, 0, -np.inf], "float32")
    model = kerasar.AutoregressiveModel(keras.Model(network.inputs, low))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (model.sample(2) == 1).all()


# Structures of inputs and outputs.


@pytest.mark.parametrize("structure", ["dict", "nested"])
def test_inputs_and_outputs_in_structures(structure):
    x, c = keras.Input((T,), dtype="int32", name="x"), keras.Input((5,), name="c")
    a = keras.Input((T, 2), name="a")
    h = L.Add()([CausalShift()(L.Embedding(K, 8)(x)), L.Dense(8)(c)])
    y = L.Dense(K)(L.Concatenate()([h, a]))
    inputs = {"x": x, "c": c, "a": a} if structure == "dict" else [[c, a], x]
    model = kerasar.AutoregressiveModel(keras.Model(inputs, {"y": y}))
    given = {"c": np.ones((4, 5), "float32"), "a": np.ones((4, T, 2), "float32")}
    samples = model.sample(4, condition=given)
    assert (samples == model.sample(4, condition=given, method="sequential")).all()
    plain = kerasar.AutoregressiveModel(keras.Model([x, c, a], y))
    np.testing.assert_allclose(
        model.log_prob(samples, condition=given), plain.log_prob(samples, condition=given), 1e-5
    )


def test_a_condition_named_as_an_option_has_another_name_when_served(tmp_path):
    condition = keras.Input((5,), name="seed")
    network = with_tokens(lambda h, c: L.Add()([h, L.Dense(8)(c)]), condition=condition)
    model = kerasar.AutoregressiveModel(network)
    model.export(tmp_path / "served")
    signature = tf.saved_model.load(tmp_path / "served").signatures["sample"]
    assert {"seed", "seed_"} <= set(signature.structured_input_signature[1])


# Layers that change in place.


class Configured(Same):
    """Reads a dict, an array and an object, each of which can be changed in place."""

    def __init__(self):
        super().__init__()
        self.settings, self.scale = {"factor": 1.0}, np.ones(8, "float32")
        self.plain = Softmax(-1)

    def call(self, h):
        factor = self.settings["factor"]
        return h * factor * self.scale + (mean(h) if self.plain.axis == 1 else 0.0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_changes_in_place_is_followed():
    layer = Configured()
    model = kerasar.AutoregressiveModel(sequence(lambda h: layer(h)))
    randomize(model.network)
    x = np.random.default_rng(0).integers(K, size=(16, T))
    found = [model.log_prob(x)]
    layer.settings["factor"] = 2.0
    found.append(model.log_prob(x))
    layer.scale[:] = 3.0
    found.append(model.log_prob(x))
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(found, found[1:], strict=False))
    layer.plain.axis = 1
    with pytest.raises(ValueError, match="not strictly causal"):
        model.log_prob(x)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_class_that_is_changed_is_followed(monkeypatch):
    class Own(Same):
        def call(self, h):
            return 2.0 * h

    model = kerasar.AutoregressiveModel(sequence(lambda h: Own()(h)))
    x = np.zeros((2, T), "int32")
    model.log_prob(x)
    monkeypatch.setattr(Own, "call", lambda self, h: h + mean(h))
    with pytest.raises(ValueError, match="not strictly causal"):
        model.log_prob(x)


def test_a_sequential_model_that_grows_is_read_again():
    inner = keras.Sequential([keras.Input((T, 8)), L.Dense(8)])
    model = kerasar.AutoregressiveModel(sequence(lambda h: inner(h)))
    x = np.zeros((2, T), "int32")
    model.log_prob(x)
    inner.add(L.LayerNormalization(axis=(1, 2)))
    with pytest.raises(ValueError, match="holds positions"):
        model.log_prob(x)
