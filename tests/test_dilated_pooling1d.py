"""Pooling with gaps against a definition by loops, and what it refuses."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasar.layers import DilatedPooling1D
from kerasar.testing import check_causal_by_probe, check_layer


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def defined(x, kind, size, padding, rate):
    """The definition: for each output step the list of the steps that its window holds."""
    time, span = x.shape[1], (size - 1) * rate
    first = {"causal": -span, "same": -(span // 2), "valid": 0}[padding]
    steps = range(time - span) if padding == "valid" else range(time)
    out = []
    for t in steps:
        window = [t + first + i * rate for i in range(size)]
        real = [x[:, s] for s in window if 0 <= s < time]
        if kind == "max":
            out.append(np.max(real, axis=0) if real else np.zeros_like(x[:, 0]))
        else:
            divisor = size if padding == "causal" else max(len(real), 1)
            out.append(np.sum(real, axis=0) / divisor if real else np.zeros_like(x[:, 0]))
    return np.stack(out, axis=1)


GRID = list(itertools.product(("avg", "max"), ("causal", "valid", "same")))


@pytest.mark.parametrize(("kind", "padding"), GRID)
def test_it_pools_what_the_definition_says(kind, padding):
    for size, rate, time in itertools.product((1, 2, 3, 5), (1, 2, 3, 4), (1, 2, 5, 17)):
        if padding == "valid" and time <= (size - 1) * rate:
            continue
        x = noise(2, time, 3) - 2.0  # mostly negative: a padded zero would win
        found = np.asarray(DilatedPooling1D(kind, size, padding, rate)(x))
        expected = defined(x, kind, size, padding, rate)
        # A few float32 sums of numbers of size 2.
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=f"{size} {rate} {time}")


@pytest.mark.parametrize(("kind", "padding"), GRID)
def test_compiled_and_with_open_sizes_it_is_the_same(kind, padding):
    layer, x = DilatedPooling1D(kind, 3, padding, 2), noise(2, 11, 3)
    spec = [tf.TensorSpec((None, None, 3))]
    for compiled in (False, True):
        graph = tf.function(layer, spec, jit_compile=compiled, autograph=False)
        np.testing.assert_allclose(graph(x), layer(x), atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("kind", "padding"), GRID)
def test_its_gradient_goes_where_its_values_come_from(kind, padding, compiled):
    x = tf.constant(noise(1, 9, 1))
    layer = DilatedPooling1D(kind, 3, padding, 2)

    @tf.function(jit_compile=compiled)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(layer(x))
        return tape.gradient(y, x)

    found = gradient(x).numpy().ravel()
    step = 1e-2  # below the gaps between these values, so that no maximum changes its place
    moved = x.numpy() + step * np.eye(9, dtype="float32")[:, :, None]
    sums = defined(moved, kind, 3, padding, 2).sum(axis=(1, 2))
    slopes = (sums - defined(x.numpy(), kind, 3, padding, 2).sum()) / step
    np.testing.assert_allclose(found, slopes, atol=1e-3)


LAYERS = {
    "average": DilatedPooling1D("avg", 3, dilation_rate=2),
    "maximum, same": DilatedPooling1D("MAX", 2, "SAME", 3),
    "average, same": DilatedPooling1D("Avg", 4, "same", 2),
    "maximum, valid": DilatedPooling1D("max", 2, "valid", 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_keeps_the_promises_of_a_layer(name, tmp_path):
    check_layer(DilatedPooling1D.from_config(LAYERS[name].get_config()), noise(3, 8, 2), tmp_path)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_causal_it_sees_exactly_its_taps(kind):
    # Steps that fall for one channel and rise for the other, so that each one is somewhere largest.
    x = np.stack([np.arange(12.0), -np.arange(12.0)], axis=-1)[None].astype("float32")
    layer = DilatedPooling1D(kind, 3, dilation_rate=2)
    check_causal_by_probe(layer, x, lambda v: v + 40.0, {0, -2, -4})


def test_one_size_without_gaps_is_the_pooling_of_keras():
    x = noise(2, 10, 3)
    for kind, twin in (("max", keras.layers.MaxPooling1D), ("avg", keras.layers.AveragePooling1D)):
        for padding in ("valid", "same"):
            expected = twin(4, strides=1, padding=padding)(x)
            np.testing.assert_allclose(DilatedPooling1D(kind, 4, padding)(x), expected, atol=1e-6)


def test_same_is_aligned_as_a_dilated_convolution_of_keras():
    x = np.abs(noise(1, 12, 1))
    conv = keras.layers.Conv1D(1, 2, padding="same", dilation_rate=3, use_bias=False)
    conv.build(x.shape)
    conv.set_weights([np.ones((2, 1, 1), "float32")])
    pooled = np.asarray(DilatedPooling1D("avg", 2, "same", 3)(x))
    # Where the window is whole, a sum of two is twice their average.
    np.testing.assert_allclose(2 * pooled[:, 1:-2], np.asarray(conv(x))[:, 1:-2], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: DilatedPooling1D("sum"), ValueError, "'avg' or 'max'.*got pooling_type='sum'"),
        (lambda: DilatedPooling1D(2), ValueError, "got pooling_type=2"),
        (lambda: DilatedPooling1D("max", padding="full"), ValueError, "got padding='full'"),
        (
            lambda: DilatedPooling1D("max", dilation_rate=0),
            ValueError,
            "dilation_rate of .* at least 1, but got 0",
        ),
        (
            lambda: DilatedPooling1D("max", pool_size=0),
            ValueError,
            "pool_size of .* at least 1, but got 0",
        ),
        (
            lambda: DilatedPooling1D("max", 2.0),
            TypeError,
            "pool_size of .* integer.*2.0",
        ),
        (lambda: DilatedPooling1D("max", name="p")(noise(2, 3)), ValueError, r"'p' got.*\(2, 3\)"),
        (
            lambda: DilatedPooling1D("avg", 3, "valid", 2, name="p")(noise(2, 4, 1)),
            ValueError,
            r"5 steps.*'p'.*\(2, 4, 1\)",
        ),
    ],
)
def test_it_refuses(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
