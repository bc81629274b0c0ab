"""Networks in practice against window models drawn at random, applied window by window."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops
from window_models import model_of, relative_error, series, windows_of

import kerasar
from kerasar.convolutionalize import convolutionalize

SMALL, PADDING = st.integers(1, 3), st.sampled_from(["valid", "same", "causal"])
BOTH = st.sampled_from(["valid", "same"])


def kind(name, *arguments):
    return st.tuples(st.just(name), *arguments)


STEP = st.one_of(
    kind("conv", st.integers(1, 4), SMALL, SMALL, PADDING, st.sampled_from([1, 1, 1, 3])),
    kind("conv", st.integers(2, 3), st.just(1), SMALL, st.just("same"), st.just(1)),
    kind("conv", st.integers(2, 3), st.just(2), st.just(1), PADDING, st.just(1)),
    kind("separable", st.integers(1, 3), st.integers(1, 2), BOTH),
    kind("depthwise", st.integers(1, 3), st.integers(1, 2), BOTH),
    kind("max", st.integers(1, 4), SMALL, BOTH),
    kind("average", st.integers(1, 4), SMALL, BOTH),
    kind("pad", st.integers(0, 4), st.integers(0, 4)),
    kind("crop", st.integers(0, 2), st.integers(0, 2)),
    kind("up", st.integers(2, 3)),
    kind("activation", st.sampled_from(["relu", "tanh", "softmax", "sigmoid"])),
    kind("normal", st.sampled_from(["layer", "batch", "dropout"])),
    kind("dense"),
    kind("permute"),
    kind("pairs"),
    kind("join", st.sampled_from(["add", "multiply", "maximum", "average", "concatenate", "skip"])),
    kind("ops", st.sampled_from(["line", "centre", "half", "parts", "flip", "exp", "scale"])),
    kind("nested"),
    kind("transposed", st.integers(1, 4), SMALL, BOTH),
    kind("pool", st.sampled_from(["max", "average"]), st.integers(1, 4), SMALL, BOTH),
    kind("whole", st.sampled_from(["table", "spread", "softmax", "vector", "sums"])),
    kind("wrapped", st.sampled_from(["each step", "spectral", "normalized"])),
    kind("twice", st.integers(2, 3)),
)
HEAD = st.sampled_from(["flat", "hidden", "mean", "max", "last", "sum"])
CASE = st.tuples(
    st.integers(5, 14), st.integers(0, 3), st.lists(STEP, min_size=2, max_size=7), HEAD
)


def fits(size, kernel, dilation=1):
    return (kernel - 1) * dilation < size


def windowed_layer(h, step):
    name, *rest = step
    size = h.shape[1]
    if name == "conv":
        kernel, stride, dilation, padding, groups = rest
        if stride > 1:
            dilation = 1
        if padding == "valid" and not fits(size, kernel, dilation):
            padding = "same"
        if h.shape[-1] % groups:
            groups = 1
        return L.Conv1D(
            3, kernel, stride, padding, dilation_rate=dilation, groups=groups, activation="tanh"
        )(h)
    kernel, stride, padding = rest
    padding = padding if fits(size, kernel) else "same"
    if name == "separable":
        return L.SeparableConv1D(3, kernel, stride, padding, depth_multiplier=2)(h)
    if name == "depthwise":
        return L.DepthwiseConv1D(kernel, stride, padding, depth_multiplier=2)(h)
    return {"max": L.MaxPooling1D, "average": L.AveragePooling1D}[name](kernel, stride, padding)(h)


def joined(h, how):
    other = L.Conv1D(h.shape[-1], 3, padding="same", activation="tanh")(h)
    if how == "skip":
        return h + other * L.Dense(1)(h)
    return {
        "add": L.Add, "multiply": L.Multiply, "maximum": L.Maximum, "average": L.Average,
        "concatenate": L.Concatenate,
    }[how]()([h, other])  # fmt: skip


def computed(h, how):
    if how == "line":
        return 0.5 * h + 1.0
    if how == "centre":
        return h - ops.mean(h, axis=-1, keepdims=True)
    if how == "half":
        return h[:, ::2]
    if how == "parts":
        a, b = h[:, : h.shape[1] // 2 + 1], h[:, : h.shape[1] // 2 + 1, :1]
        return ops.concatenate([ops.tanh(a), b], axis=-1)
    if how == "flip":
        return ops.flip(h, axis=1)
    if how == "scale":
        return h * np.linspace(0.5, 1.5, h.shape[-1]).astype(h.dtype)
    return ops.exp(ops.tanh(h))


def of_the_whole_window(h, how):
    if how == "table":
        return h + np.linspace(-1, 1, h.shape[1] * h.shape[2]).reshape(h.shape[1:]).astype(h.dtype)
    if how == "spread":
        return h - ops.var(h, axis=1, keepdims=True)
    if how == "softmax":
        return L.Softmax(axis=1)(h)
    if how == "vector":
        return L.Multiply()([h, L.Dense(h.shape[-1])(L.GlobalAveragePooling1D()(h))])
    return 0.3 * ops.cumsum(h, axis=1)


def wrapped(h, how):
    if how == "each step":
        return L.TimeDistributed(keras.Sequential([L.Dense(3), L.LayerNormalization()]))(h)
    if how == "spectral":
        return L.SpectralNormalization(L.Conv1D(3, 2, padding="causal"))(h)
    means = np.linspace(-1, 1, h.shape[-1])
    return L.Normalization(mean=means, variance=1 + means**2)(h)


def layer(h, step):
    name, *rest = step
    if name == "transposed":
        return L.Conv1DTranspose(3, *rest, activation="tanh")(h) if h.shape[1] < 12 else h
    if name == "pool":
        how, size, *rest = rest
        pool = {"max": ops.max_pool, "average": ops.average_pool}[how]
        return pool(h, min(size, h.shape[1]), *rest)
    if name == "whole":
        return of_the_whole_window(h, rest[0])
    if name == "wrapped":
        return wrapped(h, rest[0])
    if name in ("conv", "separable", "depthwise", "max", "average"):
        return windowed_layer(h, step)
    if name == "pad":
        return L.ZeroPadding1D(tuple(rest))(h)
    if name == "crop":
        return L.Cropping1D(tuple(rest))(h) if h.shape[1] > sum(rest) else h
    if name == "up":
        return L.UpSampling1D(rest[0])(h) if h.shape[1] < 12 else h
    if name == "activation":
        return L.Activation(rest[0])(h)
    if name == "normal":
        kinds = {
            "layer": L.LayerNormalization, "batch": L.BatchNormalization,
            "dropout": lambda: L.Dropout(0.5),
        }  # fmt: skip
        return kinds[rest[0]]()(h)
    if name == "dense":
        return L.Dense(4, activation="relu")(h)
    if name == "permute":
        return L.Permute((2, 1))(h)
    if name == "pairs":
        size, channels = h.shape[1:]
        return h if size % 2 else L.Reshape((size // 2, 2 * channels))(h)
    if name == "join":
        return joined(h, rest[0])
    if name == "ops":
        return computed(h, rest[0])
    if name == "nested":
        return keras.Sequential([L.Dense(3), L.BatchNormalization(), L.ReLU()])(h)
    shared = L.Conv1D(h.shape[-1], rest[0], padding="same", activation="tanh")
    return shared(shared(h))


def network(case):
    _, features, steps, head = case

    def build(h):
        h = h if features else L.Reshape((-1, 1))(h)
        for step in steps:
            h = layer(h, step)
        if head == "mean":
            return L.GlobalAveragePooling1D()(h)
        if head == "max":
            return L.GlobalMaxPooling1D()(h)
        if head == "sum":
            return L.Dense(2)(ops.sum(h, axis=1))
        if head == "last":
            return L.Dense(2)(h)[:, -1:]
        h = L.Flatten()(h)
        if head == "hidden":
            h = L.ReLU()(L.BatchNormalization()(L.Dense(5)(h)))
        return L.Dense(2)(h)

    return build


def outputs_and_gradients(model, x, direction):
    with tf.GradientTape() as tape:
        outputs = model(x)
        total = tf.reduce_sum(tf.cast(outputs, direction.dtype) * direction)
    weights = [weight.value for weight in model.trainable_variables]
    found = tape.gradient(total, weights, unconnected_gradients="zero")
    names = [id(weight) for weight in model.trainable_variables]
    return np.asarray(outputs), dict(zip(names, map(np.asarray, found), strict=True))


def check(case, dtype, tolerance):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        window, features = case[:2]
        shape = (window, features) if features else (window,)
        model = model_of(network(case), shape, dtype)
        if model.count_params() > 20_000 or max(model.output_shape[1:]) > 200:
            return
        x = series(shape, window + 4, dtype=dtype)
        practice = convolutionalize(model)
        direction = np.random.default_rng(1).normal(size=(*x.shape[:2], model.output_shape[-1]))
        flat = direction.reshape(-1, *model.output_shape[1:])
        expected, wanted = outputs_and_gradients(model, windows_of(x, window), flat)
        expected = expected.reshape(direction.shape)
        outputs, found = outputs_and_gradients(practice, x, direction)
        assert relative_error(outputs, expected) <= tolerance
        largest = max([1.0, *(np.abs(part).max() for part in wanted.values())])
        for name, value in wanted.items():
            part = found.get(name, 0.0)  # what the prediction does not need is left out
            assert np.abs(part - value).max() <= tolerance * largest
        full = expected[:, window - 1 :]
        if window % 2:
            outputs = convolutionalize(model, padding="valid")(x)
        else:
            outputs = convolutionalize(model, per_layer_padding=True)(x)[:, window - 1 :]
        assert relative_error(outputs, full) <= tolerance
        hidden = convolutionalize(model, strictly_causal=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Layer .*BatchNormalization")
            warnings.filterwarnings("error", "Layer .*does not declare")
            kerasar.check_causal(hidden, min(features, 1), allow_training_leak=True)
    finally:
        keras.config.set_dtype_policy(policy)


quick = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@quick
@given(CASE)
def test_practice_equals_theory(case):
    check(case, "float64", 1e-9)


@settings(quick, max_examples=3)
@given(CASE)
def test_practice_equals_theory_in_float32(case):
    check(case, "float32", 1e-4)


@pytest.mark.long
@settings(quick, max_examples=500, derandomize=False)
@given(CASE)
def test_practice_equals_theory_500_times(case):
    check(case, "float64", 1e-9)
