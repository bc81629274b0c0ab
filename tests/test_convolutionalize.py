"""`convolutionalize`: the worked examples of the source text, shared weights, what is refused."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops
from window_models import (
    EXAMPLES,
    by_windows,
    flattened_into_dense,
    model_of,
    pooled_after_a_stride,
    relative_error,
    residual_skips,
    same,
    series,
    strided,
    windows_of,
)

import kerasar
from kerasar.testing import randomize


def column(h):
    return L.Dense(1)(L.Flatten()(h))


@pytest.mark.parametrize("name", EXAMPLES)
def test_one_pass_says_what_the_window_model_says(name):
    build, shape = EXAMPLES[name]
    model, window = model_of(build, shape), shape[0]
    x = series(shape, window + 9)
    expected = by_windows(model, x)
    assert relative_error(kerasar.convolutionalize(model)(x), expected) < 1e-5
    full = kerasar.convolutionalize(model, padding="valid")(x)
    assert relative_error(full, expected[:, window - 1 :]) < 1e-5
    stack = kerasar.convolutionalize(model, per_layer_padding=True)(x)
    assert relative_error(stack[:, window - 1 :], expected[:, window - 1 :]) < 1e-5
    hidden = kerasar.convolutionalize(model, strictly_causal=True)(x)
    assert relative_error(hidden[:, 1:], expected[:, :-1]) < 1e-5
    kerasar.check_causal(kerasar.convolutionalize(model, strictly_causal=True), len(shape) - 1)


@pytest.mark.parametrize("merge", [L.Add, L.Multiply, L.Maximum])
def test_a_position_table_in_a_merge_belongs_to_the_window(merge):
    table = np.random.default_rng(0).normal(size=(1, 8, 3)).astype("float32")

    def body(window):
        return column(merge()([L.Dense(3)(window), table]))

    model = model_of(body, (8, 2))
    x = series((8, 2), 15)
    expected = by_windows(model, x)
    assert relative_error(kerasar.convolutionalize(model)(x), expected) < 1e-5
    with pytest.raises(ValueError, match="first axis is the batch"):
        kerasar.convolutionalize(
            model_of(lambda window: column(merge()([L.Dense(3)(window), table[0]])), (8, 2))
        )


def test_zeros_of_each_layer_are_not_zeros_of_the_data():
    model = model_of(strided, (16, 1))
    x = series((16, 1), 20)
    at_the_data, at_each_layer = (
        np.asarray(kerasar.convolutionalize(model, per_layer_padding=flag)(x))
        for flag in (False, True)
    )
    assert np.abs(at_the_data - at_each_layer)[:, :15].max() > 0.01


# Each kind of layer.

TABLE = np.random.default_rng(1).normal(size=(8, 3)).astype("float32")


def body(window):
    return L.Conv1D(3, 3, padding="same", activation="tanh")(window)


def normalized(axis):
    sizes = [1, 8, 3]
    shape = [sizes[a] for a in axis]
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=shape), rng.uniform(0.5, 2, size=shape)
    return lambda w: column(L.Normalization(axis=axis, mean=mean, variance=variance)(body(w)))


def by_names(window):
    """An inner model whose inputs come in another order than it has them."""
    z, a = keras.Input((8, 3), name="z"), keras.Input((8, 3), name="a")
    inner = keras.Model([z, a], L.Subtract()([z, a]))
    return column(inner({"a": body(window), "z": window}))


def parts(h):
    return L.Reshape((4, 2, 3))(h)


def per_step(layer):
    return lambda w: column(L.TimeDistributed(layer())(body(w)))


KINDS = {
    "time distributed": per_step(lambda: L.Dense(4, activation="tanh")),
    "time distributed model": per_step(
        lambda: keras.Sequential([L.Dense(4, activation="softmax"), L.LayerNormalization()])
    ),
    "time distributed Lambda": per_step(lambda: L.Lambda(lambda v: 2 * v)),
    "time distributed windows": lambda w: column(
        L.Reshape((4, 2))(L.TimeDistributed(L.Conv1D(2, 2))(parts(body(w))))
    ),
    "normalized channels": normalized([2]),
    "normalized columns": normalized([1]),
    "normalized elements": normalized([1, 2]),
    "normalized alike": lambda w: column(L.Normalization(None, mean=2.0, variance=3.0)(body(w))),
    "normalized vector": lambda w: L.Dense(2)(
        L.Normalization(mean=TABLE.ravel(), variance=TABLE.ravel() ** 2)(L.Flatten()(body(w)))
    ),
    "deviation": lambda w: L.Dense(2)(ops.std(L.ZeroPadding1D((1, 2))(body(w)), axis=1)),
    "variance": lambda w: column(body(w) - ops.var(body(w), axis=-2, keepdims=True)),
    "variance of one column": lambda w: column(
        w[:, 3:4] - ops.var(w[:, 3:4], axis=1, keepdims=True)
    ),
    "deviation of one column": lambda w: L.Dense(2)(w[:, 0] + ops.std(w[:, 2:3], axis=1)),
    "deviation of channels": lambda w: L.Dense(2)(ops.std(body(w), axis=-1)),
    "deviation of all": lambda w: column(body(w) * ops.std(body(w), axis=(1, 2), keepdims=True)),
    "log-sum-exp": lambda w: L.Dense(2)(ops.logsumexp(body(w), axis=1)),
    "softmax of columns": lambda w: column(L.Softmax()(body(w))),
    "softmax over the window": lambda w: column(body(w) * L.Softmax(axis=1)(L.Dense(1)(w))),
    "softmax of a padded window": lambda w: column(ops.softmax(L.ZeroPadding1D(1)(w), axis=1)),
    "softmax of a vector": lambda w: L.Dense(2)(ops.softmax(L.Flatten()(body(w)), axis=1)),
    "softmax of parts": lambda w: column(ops.softmax(parts(body(w)), axis=3)),
    "sums so far": lambda w: column(ops.cumsum(body(w), axis=1)),
    "transposed": lambda w: column(L.Conv1DTranspose(4, 3, 2, activation="tanh")(body(w))),
    "transposed same": lambda w: column(L.Conv1DTranspose(4, 4, 3, "same")(body(w))),
    "transposed with gaps": lambda w: column(L.Conv1DTranspose(4, 2, 3)(L.ZeroPadding1D(2)(w))),
    "vector to columns": lambda w: column(L.Multiply()([L.Dense(3)(L.Flatten()(w)), body(w)])),
    "value to columns": lambda w: column(L.Subtract()([body(w), L.Dense(1)(L.Flatten()(w))])),
    "table": lambda w: column(L.Conv1D(3, 2, activation="tanh")(body(w) + TABLE)),
    "table of ones": lambda w: column(L.ZeroPadding1D((1, 0))(w) + np.ones((9, 3))),
    "table with a batch": lambda w: column(body(w * TABLE[None])),
    "factor of a column": lambda w: column(body(w) * TABLE[:, :1]),
    "table that selects": lambda w: column(ops.where(TABLE > 0, body(w), w)),
    "table as bounds": lambda w: column(ops.clip(w, -abs(TABLE), abs(TABLE))),
    "rescaled": lambda w: column(L.Rescaling(TABLE.tolist())(body(w))),
    "spectral": lambda w: L.SpectralNormalization(L.Dense(2))(
        L.Flatten()(L.SpectralNormalization(L.Conv1D(3, 2, 2, padding="same"))(body(w)))
    ),
    "spectral columns": lambda w: column(L.SpectralNormalization(L.Dense(4))(body(w))),
    "largest of two": lambda w: column(ops.max_pool(body(w), 2)),
    "largest of three": lambda w: column(ops.max_pool(body(w), (3,), 1, "same")),
    "mean of three": lambda w: column(ops.average_pool(body(w), 3, 2, "same")),
    "names": by_names,
    "softmax as activation": lambda w: L.Dense(2, activation="softmax")(
        L.Flatten()(L.Conv1D(3, 2, activation=L.Softmax())(w))
    ),
    "own activation": lambda w: column(
        L.Dense(3, activation=lambda v: v - ops.mean(v, axis=-1, keepdims=True))(body(w))
    ),
    "TensorFlow's activation": lambda w: column(L.Conv1D(3, 2, activation=tf.nn.leaky_relu)(w)),
}


@pytest.mark.filterwarnings("error:Layer .* does not declare")
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_layer_says_what_it_says_in_a_window(name):
    model = model_of(KINDS[name], (8, 3))
    x = series((8, 3), 12)
    network = kerasar.convolutionalize(model, strictly_causal=True)
    assert relative_error(network(x)[:, 1:], by_windows(model, x)[:, :-1]) < 1e-5
    if "activation" not in name:  # functions of one's own are probed
        kerasar.check_causal(network, 1)


FILED = ["time distributed model", "normalized columns", "softmax over the window", "table",
         "transposed", "spectral", "deviation", "softmax of a vector"]  # fmt: skip


@pytest.mark.parametrize("name", FILED)
def test_each_kind_survives_a_file_and_the_way_there_and_back(name, tmp_path):
    model = model_of(KINDS[name], (8, 3))
    network = kerasar.convolutionalize(model)
    x = series((8, 3), 12)
    network.save(tmp_path / "network.keras")
    np.testing.assert_allclose(kerasar.load(tmp_path / "network.keras")(x), network(x), atol=1e-6)
    back = kerasar.to_window_model(network)
    assert relative_error(back(x[:, :8]), model(x[:, :8])) < 1e-5


def test_normalization_that_is_adapted_later_is_followed():
    model = model_of(lambda w: column(L.Normalization(name="norm")(w)), (8, 3))
    network = kerasar.convolutionalize(model)
    x = 3 + series((8, 3), 12)
    model.get_layer("norm").adapt(x)
    assert relative_error(network(x), by_windows(model, x)) < 1e-5


def test_spectral_normalization_rescales_the_shared_kernel_in_training():
    model = model_of(KINDS["spectral"], (8, 3))
    network = kerasar.convolutionalize(model)
    layers = [layer for layer in model.layers if isinstance(layer, L.SpectralNormalization)]
    for layer in layers:
        layer.kernel.assign(10 * layer.kernel)
    x = series((8, 3), 12)
    for _ in range(20):
        network(x, training=True)
    for layer in layers:
        kernel = np.asarray(layer.kernel).reshape(-1, layer.kernel.shape[-1])
        assert np.abs(np.linalg.norm(kernel, 2) - 1) < 0.02
    assert relative_error(network(x), by_windows(model, x)) < 1e-5


def two_windows(structure):
    a, b = keras.Input((8, 3), name="a"), keras.Input((8,), name="b")
    h = L.Concatenate()([body(a), L.Reshape((8, 1))(b)])
    model = keras.Model({"a": a, "b": b} if structure == "names" else [a, b], column(body(h)))
    randomize(model)
    return model


@pytest.mark.parametrize("structure", ["list", "names"])
def test_several_windows_end_at_the_same_step(structure):
    model = two_windows(structure)
    a, b = series((8, 3), 12), series((8,), 12, seed=1)
    given, wanted = [a, b], [windows_of(a, 8), windows_of(b, 8)]
    if structure == "names":
        given, wanted = (dict(zip("ab", parts, strict=True)) for parts in (given, wanted))
    expected = np.asarray(model(wanted)).reshape(2, 12, -1)
    assert relative_error(kerasar.convolutionalize(model)(given), expected) < 1e-5
    hidden = kerasar.convolutionalize(model, strictly_causal=True)(given)
    assert relative_error(hidden[:, 1:], expected[:, :-1]) < 1e-5
    assert kerasar.convolution_report(model).window == 8


@pytest.mark.parametrize("taps", [4, 5000])
def test_a_long_window_is_converted_there_and_back(taps):
    model = model_of(lambda w: column(L.Conv1D(2, taps, strides=taps)(w)), (5000, 1))
    network = kerasar.convolutionalize(model, strictly_causal=True)
    assert kerasar.receptive_field(network).reach == 5000
    back = kerasar.to_window_model(network)
    x = series((5000, 1), 5000)
    assert back.input_shape == model.input_shape
    assert relative_error(back(x), model(x)) < 1e-5


# As plain layers.


def plain(build, shape, **options):
    model = model_of(build, shape)
    return model, kerasar.convolutionalize(model, as_plain_keras=True, **options)


def test_strides_become_the_dilations_of_the_papers():
    _, network = plain(strided, (16, 1), per_layer_padding=True)
    convolutions = [layer for layer in network.layers if isinstance(layer, L.Conv1D)]
    assert [layer.dilation_rate for layer in convolutions] == [(1,), (2,), (4,), (8,)]
    assert {layer.padding for layer in convolutions} == {"causal"}
    assert {type(layer).__module__.split(".")[0] for layer in network.layers} == {"keras"}


def test_flatten_and_dense_become_a_convolution_of_all_columns():
    _, network = plain(flattened_into_dense, (12, 1))
    found = [(type(layer).__name__, layer.weights[0].shape) for layer in network.layers[1:]
             if layer.weights]  # fmt: skip
    assert found == [
        ("Conv1D", (3, 1, 6)),
        ("Conv1D", (10, 6, 500)),
        ("Dense", (500, 100)),
        ("Dense", (100, 10)),
    ]


def test_pooling_after_a_stride_is_dilated():
    pytest.importorskip("kerasar.layers.dilated_pooling1d")
    _, network = plain(pooled_after_a_stride, (16, 2))
    pools = [layer for layer in network.layers if hasattr(layer, "pooling_type")]
    assert [(p.pooling_type, p.dilation_rate) for p in pools] == [("max", 2), ("avg", 4)]


def mixed(window):
    """One of each that has a plain form, ranks other than 3 and a skip included."""
    h = L.SeparableConv1D(4, 2, strides=2, depth_multiplier=2)(window)
    h = L.LayerNormalization()(L.DepthwiseConv1D(2)(h))
    g = L.Conv1D(4, 2, strides=2, groups=2, activation="tanh")(h)
    h = L.Add()([g, h[:, 1::2] * 0.5])
    h = L.BatchNormalization()(L.Dense(5, activation="relu")(L.Flatten()(h)))
    return L.Dense(2)(L.Concatenate()([h, L.Activation("softmax")(h)]))


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize(
    ("build", "shape"),
    [(strided, (16, 1)), (flattened_into_dense, (12, 1)), (mixed, (14, 2))],
    ids=["strided", "flattened", "mixed"],
)
def test_plain_layers_say_the_same(build, shape, per_layer):
    model, network = plain(build, shape, per_layer_padding=per_layer)
    x, first = series(shape, shape[0] + 7), shape[0] - 1 if per_layer else 0
    expected = by_windows(model, x)[:, first:]
    assert relative_error(network(x)[:, first:], expected) < 1e-5


def test_plain_layers_have_weights_of_their_own():
    model, network = plain(strided, (16, 1))
    x = series((16, 1), 20)
    before = np.asarray(network(x))
    randomize(model, seed=5)
    np.testing.assert_array_equal(network(x), before)


def test_an_adapted_normalization_is_copied_with_its_statistics():
    model = model_of(lambda w: column(L.Normalization(name="norm")(w)), (8, 3))
    x = 3 + series((8, 3), 12)
    model.get_layer("norm").adapt(x)
    network = kerasar.convolutionalize(model, as_plain_keras=True)
    assert relative_error(network(x), by_windows(model, x)) < 1e-5


PLAINLESS = {
    "spectral": (lambda w: column(L.SpectralNormalization(L.Dense(2), name="bad")(w)), "rescales"),
    "whole": (lambda w: column(L.Softmax(axis=1, name="bad")(w)), "whole window"),
    "axis": (lambda w: L.Dense(1)(L.Softmax(axis=1, name="bad")(L.Flatten()(w))), "axis=-1"),
}


@pytest.mark.parametrize("name", PLAINLESS)
def test_what_has_no_plain_form_is_named(name):
    build, reason = PLAINLESS[name]
    with pytest.raises(ValueError, match=f"'bad' .*no plain form.*{reason}.*as_plain_keras"):
        plain(build, (8, 2))


def test_borders_have_no_plain_form():
    with pytest.raises(ValueError, match="Layer 'first' .*no plain form.*as_plain_keras"):
        plain(lambda w: L.Dense(1)(L.Flatten()(L.Conv1D(2, 3, padding="same", name="first")(w))),
              (8, 1))  # fmt: skip


# Shared weights.


def test_training_one_trains_the_other():
    model = model_of(residual_skips, (12, 2))
    network = kerasar.convolutionalize(model)
    x, y = series((12, 2), 30), series((12, 3), 30)
    before = by_windows(model, x)
    network.compile("adam", "mse", run_eagerly=True)
    network.fit(x, y, epochs=1, verbose=0)
    after = by_windows(model, x)
    assert relative_error(after, before) > 1e-3
    assert relative_error(network(x), after) < 1e-5


@pytest.mark.parametrize("name", ["strides", "residual skips", "crazy"])
def test_sharing_survives_a_file_and_a_clone(name, tmp_path):
    build, shape = EXAMPLES[name]
    model = model_of(build, shape)
    network = kerasar.convolutionalize(model)
    x = series(shape, 40)
    network.save(tmp_path / "network.keras")
    loaded = kerasar.load(tmp_path / "network.keras")
    assert loaded.count_params() == network.count_params() == model.count_params()
    np.testing.assert_allclose(loaded(x), network(x), atol=1e-6)
    clone = keras.models.clone_model(network)
    clone.set_weights(network.get_weights())
    np.testing.assert_allclose(clone(x), network(x), atol=1e-6)


@pytest.mark.long
def test_a_new_process_can_load_it(tmp_path):
    model = model_of(concatenated_skips_and_more, (9, 2))
    kerasar.convolutionalize(model).save(tmp_path / "network.keras")
    code = (
        f"import kerasar; print(kerasar.load({str(tmp_path / 'network.keras')!r}).count_params())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout.split() == [str(model.count_params())], run.stderr[-2000:]


def concatenated_skips_and_more(window):
    """Needs every layer that conversion has of its own."""
    h = L.Conv1D(4, 3, padding="same")(window)
    h = L.LayerNormalization()(L.Concatenate()([h, L.MaxPooling1D(2, 1, "same")(h)]))
    return L.Dense(1)(L.BatchNormalization()(L.Dense(3)(L.Flatten()(h))))


def twins(window):
    """Models inside of the model, whose layers have the same names."""
    for _ in range(2):
        inputs = keras.Input(window.shape[1:])
        h = L.Conv1D(4, 3, padding="same", name="conv")(inputs)
        h = L.Dense(window.shape[-1], name="dense")(h)
        h = L.BatchNormalization(name="norm")(h)
        outputs = L.Add(name="add")([inputs, L.ReLU(name="relu")(h)])
        window = keras.Model(inputs, outputs)(window)
    return L.Dense(2)(L.Flatten()(window))


def test_layers_of_nested_models_may_have_the_same_name(tmp_path):
    model = model_of(twins, (10, 3))
    network = kerasar.convolutionalize(model)
    x = series((10, 3), 14)
    assert relative_error(network(x), by_windows(model, x)) < 1e-5
    network.save(tmp_path / "network.keras")
    np.testing.assert_allclose(kerasar.load(tmp_path / "network.keras")(x), network(x), atol=1e-6)


def test_a_window_model_from_a_file_is_converted_like_any(tmp_path):
    model = model_of(
        lambda w: L.Dense(2)(L.Flatten()(w[:, ::2] * 2.0 + ops.tanh(w[:, 1::2]))), (8, 2)
    )
    model.save(tmp_path / "model.keras")
    # A new process names its operations from the start again.
    keras.backend.clear_session()
    model = keras.saving.load_model(tmp_path / "model.keras")
    network = kerasar.convolutionalize(model)
    x = series((8, 2), 12)
    assert relative_error(network(x), by_windows(model, x)) < 1e-5


def test_low_precision_is_kept():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = model_of(residual_skips, (12, 2))
        network = kerasar.convolutionalize(model)
    finally:
        keras.config.set_dtype_policy("float32")
    x = series((12, 2), 20)
    assert network(x).dtype == "bfloat16"
    # bfloat16 has 8 bits of mantissa, and rounds after each layer.
    expected = np.asarray(by_windows(model, x), "float32")
    assert relative_error(np.asarray(network(x), "float32"), expected) < 0.1


def test_dropout_drops_in_training_only():
    model = model_of(lambda w: L.Dense(1)(L.Dropout(0.5)(L.Flatten()(w))), (8, 1))
    network = kerasar.convolutionalize(model)
    x = series((8, 1), 20)
    np.testing.assert_array_equal(network(x), network(x))
    assert (np.asarray(network(x, training=True)) != np.asarray(network(x))).any()


def test_weights_that_no_prediction_needs_are_left_out():
    def build(window):
        L.Dense(7)(window)
        return L.Dense(1)(L.Flatten()(window))

    model = model_of(build, (4, 1))
    assert kerasar.convolutionalize(model).count_params() == 5


def test_a_lambda_that_treats_columns_alike_is_accepted():
    model = model_of(
        lambda w: L.Dense(1)(L.Flatten()(L.Lambda(lambda v: ops.cumsum(v, -1))(w))), (6, 3)
    )
    x = series((6, 3), 9)
    assert relative_error(kerasar.convolutionalize(model)(x), by_windows(model, x)) < 1e-5


# What is refused.


class Doubled(L.Dense):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs)


class Centered(keras.Model):
    """A functional model whose call is not its graph."""

    def __init__(self, shape):
        inputs = keras.Input(shape)
        super().__init__(inputs, L.Dense(2)(inputs), name="bad")

    def call(self, inputs, training=None, mask=None):
        made = super().call(inputs)
        return made - ops.mean(made, axis=1, keepdims=True)


def centered(w):
    return Centered(w.shape[1:])(w)


def patched(layer):
    layer.call = lambda inputs, *_, **__: inputs - ops.mean(inputs, axis=1, keepdims=True)
    return layer


LAYERS = {
    "recurrent": (lambda w: L.LSTM(3, name="bad")(w), "recurrent over the window"),
    "both ways": (
        lambda w: column(L.Bidirectional(L.GRU(2, return_sequences=True), name="bad")(w)),
        "recurrent",
    ),
    "attention": (
        lambda w: column(L.MultiHeadAttention(1, 2, name="bad")(w, w)),
        "attends over the window",
    ),
    "position": (
        lambda w: column(L.Lambda(lambda v: v * ops.reshape(ops.arange(8.0), (1, 8, 1))[
            :, : v.shape[1]], name="bad")(w)),
        "treats the columns of a window differently",
    ),
    "normalised": (
        lambda w: column(L.LayerNormalization(axis=1, name="bad")(w)),
        "normalizes over axis",
    ),
    "slopes": (lambda w: column(L.PReLU(name="bad")(w)), "slopes differ between positions"),
    "mask": (lambda w: column(L.Masking(name="bad")(w)), "mask"),
    "unknown": (lambda w: L.EinsumDense("abc,bcd->ad", 3, name="bad")(w), "no rule says"),
    "regularised": (
        lambda w: column(L.Conv1D(2, 2, activity_regularizer="l2", name="bad")(w)),
        "activity_regularizer sums over the columns",
    ),
    "across": (
        lambda w: column(L.Dense(2, activation=lambda v: v - ops.mean(v, 1, True), name="bad")(w)),
        "activation function treats the columns",
    ),
    "softmax over the window": (
        lambda w: column(L.Conv1D(2, 2, activation=L.Softmax(axis=1), name="bad")(w)),
        "activation function treats the columns .*axis 1",
    ),
    "length": (
        lambda w: column(L.Activation(lambda v: v / v.shape[1], name="bad")(w)),
        "activation function treats the columns",
    ),
    "axis of a vector": (
        lambda w: L.Dense(2, activation=lambda v: ops.softmax(v, 1), name="bad")(L.Flatten()(w)),
        "activation function treats the columns",
    ),
    "other examples": (
        lambda w: column(L.Lambda(lambda v: v - ops.mean(v, 0), name="bad")(w)),
        "its function treats the columns",
    ),
    "subclass": (lambda w: column(Doubled(2, name="bad")(w)), "no rule says.*declares_what"),
    "patched": (lambda w: column(patched(L.ReLU(name="bad"))(w)), "no rule says"),
    "own call": (lambda w: column(centered(w)), "overrides call.*functional API"),
    "time distributed": (
        lambda w: column(L.TimeDistributed(L.GRU(2), name="bad")(L.Reshape((4, 2, 2))(w))),
        "inside of it, layer 'gru.*recurrent",
    ),
    "wrapped": (
        lambda w: column(
            L.SpectralNormalization(L.EinsumDense("abc,cd->abd", (8, 3)), name="bad")(w)
        ),
        "wraps a EinsumDense",
    ),
    "dilated transposed": (
        lambda w: column(L.Conv1DTranspose(2, 2, dilation_rate=2, name="bad")(w)),
        "dilation_rate",
    ),
    "masked softmax": (
        lambda w: column(L.Softmax(name="bad")(w, mask=ops.greater(w, 0))),
        "takes a mask",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_that_cannot_be_expressed_is_named(name):
    build, reason = LAYERS[name]
    model = model_of(build, (8, 2))
    with pytest.raises(ValueError, match=f"Layer 'bad' .*window model 'in_theory'.*{reason}"):
        kerasar.convolutionalize(model)


def test_ranks_that_keras_ops_misaligns_are_refused():
    model = model_of(lambda w: column(w + ops.mean(w, axis=1)), (8, 2))
    with pytest.raises(ValueError, match=r"Add.*different ranks.*expand_dims.*merge layer"):
        kerasar.convolutionalize(model)


def test_a_constant_for_each_example_is_refused():
    factors = np.ones((4, 8, 2), "float32")
    model = model_of(lambda w: column(w * factors), (8, 2))
    with pytest.raises(ValueError, match="Multiply.*constant that differs between examples"):
        kerasar.convolutionalize(model)


def of(inputs, outputs):
    return lambda: keras.Model(inputs, outputs, name="m")


WINDOW = keras.Input((8, 2))
MODELS = {
    "several outputs": (
        of(WINDOW, [column(WINDOW), column(WINDOW)]),
        "'m' must have one output, but it has 2",
    ),
    "inputs of several lengths": (
        of(
            [WINDOW, other := keras.Input((4, 2), name="other")],
            column(L.Add()([WINDOW[:, 4:], other])),
        ),
        "one length.*'m'.*'other': 4",
    ),
    "a vector beside the window": (
        of(
            [WINDOW, vector := keras.Input((3,), name="vector")],
            L.Concatenate()([column(WINDOW), vector]),
        ),
        "one length.*'vector': 3.*repeat",
    ),
    "several columns": (of(WINDOW, L.Dense(1)(WINDOW)), r"one column.*\(None, 8, 1\).*Flatten"),
    "open window": (
        of(free := keras.Input((None, 2)), L.GlobalMaxPooling1D()(free)),
        r"length must be known.*\(None, None, 2\)",
    ),
    "image": (
        of(image := keras.Input((4, 4, 1)), L.Dense(1)(L.Flatten()(image))),
        r"'m' has shape \(None, 4, 4, 1\)",
    ),
    "not built": (lambda: keras.Sequential([L.Dense(1)], name="m"), "'m' is not built.*Input"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_another_form_is_refused(name):
    make, message = MODELS[name]
    with pytest.raises(ValueError, match=message):
        kerasar.convolutionalize(make())


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"keras\.Model, but got <Dense"):
        kerasar.convolutionalize(L.Dense(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(padding="same"), "'causal' .*'valid'.*padding='same'"),
        (dict(padding="valid", strictly_causal=True), "strictly_causal=True.*padding='valid'"),
        (dict(padding="valid", per_layer_padding=True), "per_layer_padding=True.*'valid'"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        kerasar.convolutionalize(model_of(same, (8, 1)), **options)
