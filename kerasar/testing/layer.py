"""What every Keras layer owes its users, in one check: shapes, types, saving, gradients."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.causality.randomize import randomize
from kerasar.checks import check_values
from kerasar.typing import Tensor

#: How far outputs may differ from float32's, relative to the largest: bfloat16 has 8 bits of
#: mantissa, and errors add up over a sum; float64 differs by float32's own rounding.
_POLICIES = {"float32": 1e-6, "mixed_bfloat16": 5e-2, "float64": 1e-4}


@checks_arguments
def check_layer(
    layer: keras.layers.Layer | Callable[[], keras.layers.Layer],
    x: np.ndarray,
    tmp_path: Path,
    open_axes: tuple[int, ...] | None = None,
) -> None:
    """Builds, types, saves, copies and differentiates a layer; weights are randomized first.

    Args:
        layer: the layer, not built yet, or a function that makes one.
        x: an input, `(batch, …)`, with at least 2 examples.
        tmp_path: a folder to save to.
        open_axes: axes of `x` whose size the layer may leave unknown; by default all but the first
            and the last. The batch is always unknown. `()` for a layer that needs its sizes.

    Raises:
        AssertionError: if the layer breaks one of the promises, named in the message. What the
            layer itself raises on the way comes through.
    """
    x = check_examples(x)
    if not isinstance(layer, keras.layers.Layer):
        layer = layer()
    if not isinstance(layer, keras.layers.Layer):
        raise TypeError(f"layer must be a Keras layer, or make one, but made {layer!r}.")
    assert not layer.weights, "pass a layer that is not built yet, or a function that makes one"
    open_axes = tuple(range(1, x.ndim - 1)) if open_axes is None else open_axes

    _check_build(layer, x)
    randomize(layer)
    expected = _run(layer, x)
    assert all(np.isfinite(part).all() for part in expected), f"{layer.name} gives NaN or infinity"
    _check_symbolic_shape(layer, x, open_axes)
    _check_open_sizes(layer, x, open_axes)
    _check_config(layer, x, expected)
    _check_policies(layer, x, expected)
    _check_saving(layer, x, expected, tmp_path)
    _check_gradients(layer, x)


def check_examples(x: Any) -> np.ndarray:
    """The examples to check on, which must be at least two, to see the batch axis."""
    x = check_values(x, "x")
    if x.ndim < 2 or len(x) < 2:
        raise ValueError(
            "x must hold at least 2 examples, (batch, …), to see the batch axis, but its shape is "
            f"{x.shape}."
        )
    return x


def _check_build(layer: keras.layers.Layer, x: np.ndarray) -> None:
    if not layer.built:  # Keras takes layers without a build() of their own for built
        layer.build(x.shape)
    built = [weight.path for weight in layer.weights]
    layer(x)
    called = [weight.path for weight in layer.weights]
    # What `call` makes, loading cannot fill: files restore weights after `build`.
    assert built == called, f"build() made the weights {built}, but after a call there are {called}"


def _check_symbolic_shape(
    layer: keras.layers.Layer, x: np.ndarray, open_axes: tuple[int, ...]
) -> None:
    real = [(part.shape, _dtype(part)) for part in keras.tree.flatten(layer(x))]
    batch_open = (None, *x.shape[1:])
    all_open = tuple(None if i in (0, *open_axes) else n for i, n in enumerate(x.shape))
    for shape in (x.shape, batch_open, all_open):
        symbol = keras.KerasTensor(shape, dtype=x.dtype.name)
        found = [(part.shape, _dtype(part)) for part in keras.tree.flatten(layer(symbol))]
        computed = _shapes(layer.compute_output_shape(shape))
        for (have, kind), (want, real_kind) in zip(found, real, strict=True):
            assert _fits(have, want) and (shape != x.shape or None not in have), (
                f"for input {shape} the symbolic output is {have}, the real one {tuple(want)}"
            )
            assert kind == real_kind, f"the symbolic output is {kind}, the real one {real_kind}"
        for have, (want, _) in zip(computed, real, strict=True):
            assert _fits(have, want) and (shape != x.shape or None not in have), (
                f"compute_output_shape({shape}) is {have}, the real shape {tuple(want)}"
            )


def _check_open_sizes(layer: keras.layers.Layer, x: np.ndarray, open_axes: tuple[int, ...]) -> None:
    """One graph for every batch and open size must give what the layer gives directly."""
    shape = tuple(None if i in (0, *open_axes) else n for i, n in enumerate(x.shape))
    graph = tf.function(layer, input_signature=[tf.TensorSpec(shape, x.dtype)], autograph=False)
    _compare(_run(graph, x), _run(layer, x), "inside a graph of open sizes")
    _compare(_run(graph, x[:1]), [p[:1] for p in _run(layer, x)], "for one example of the batch")
    for axis in open_axes:
        for part in (np.take(x, range(x.shape[axis] - 1), axis), np.concatenate([x, x], axis)):
            what = f"with size {part.shape[axis]} on axis {axis} in a graph of open sizes"
            _compare(_run(graph, part), _run(layer, part), what)


def _check_config(layer: keras.layers.Layer, x: np.ndarray, expected: list[np.ndarray]) -> None:
    config = layer.get_config()
    for name, argument in inspect.signature(type(layer).__init__).parameters.items():
        is_named = argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
        # Keras' own layers leave some arguments out where they are at their defaults.
        if is_named and name != "self" and not type(layer).__module__.startswith("keras."):
            assert name in config, f"get_config() lacks the argument '{name}'"
    written = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(written)
    rewritten = json.loads(json.dumps(keras.saving.serialize_keras_object(again)))
    for name, value in written["config"].items():
        other = rewritten["config"].get(name)
        assert other == value, f"from_config turns {name}={value} into {other}"
    _compare(_run(_with_weights_of(again, layer, x), x), expected, "made again from its config")


def _check_policies(layer: keras.layers.Layer, x: np.ndarray, expected: list[np.ndarray]) -> None:
    for policy, tolerance in _POLICIES.items():
        config = {**layer.get_config(), "dtype": policy}
        other = _with_weights_of(type(layer).from_config(config), layer, x)
        outputs = keras.tree.flatten(other(x.astype("float64") if policy == "float64" else x))
        for part in outputs:
            is_low = keras.backend.is_float_dtype(_dtype(part)) and _dtype(part) != "float64"
            assert not (policy == "float64" and is_low), (
                f"with dtype='float64' an output is {_dtype(part)}: does a layer inside lack the "
                "dtype policy of the layer around it?"
            )
        values = [np.asarray(part).astype("float64") for part in outputs]
        _compare(values, expected, f"with dtype='{policy}'", tolerance)


def _check_saving(
    layer: keras.layers.Layer, x: np.ndarray, expected: list[np.ndarray], tmp_path: Path
) -> None:
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    # A fresh copy: a layer that was called before hides what build() forgets.
    config = keras.saving.serialize_keras_object(layer)
    outputs = keras.saving.deserialize_keras_object(config)(inputs)
    model = keras.Model(inputs, outputs)
    model.set_weights(layer.get_weights())
    _compare(_run(model, x), expected, "in a functional model")

    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    _compare(_run(loaded, x), expected, "after a .keras file")

    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    _compare(_run(clone, x), expected, "after clone_model and set_weights")

    model.save_weights(tmp_path / "layer.weights.h5")
    randomize(clone, seed=1)
    clone.load_weights(tmp_path / "layer.weights.h5")
    _compare(_run(clone, x), expected, "after a weights file")


def _check_gradients(layer: keras.layers.Layer, x: np.ndarray) -> None:
    generator = np.random.default_rng(0)
    with tf.GradientTape() as tape:
        total = tf.constant(0.0, tf.float64)
        for part in keras.tree.flatten(layer(x)):
            # A random direction: symmetric ones, like the plain sum, have gradients of 0.
            direction = tf.constant(generator.normal(size=part.shape))
            total += tf.reduce_sum(tf.cast(part, tf.float64) * direction)
    weights = layer.trainable_variables
    gradients = tape.gradient(total, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        reached = gradient is not None and np.abs(tf.convert_to_tensor(gradient)).max() > 0
        assert reached, f"no gradient reaches the weight '{weight.path}'"


def _with_weights_of(
    copy: keras.layers.Layer, layer: keras.layers.Layer, x: np.ndarray
) -> keras.layers.Layer:
    if not copy.built:
        copy.build(x.shape)
    have, want = [w.shape for w in copy.weights], [w.shape for w in layer.weights]
    assert have == want, f"made again from its config, the layer has weights {have}, not {want}"
    copy.set_weights(layer.get_weights())
    return copy


def _run(call: Callable[[Any], Tensor], x: np.ndarray) -> list[np.ndarray]:
    parts = keras.tree.flatten(call(tf.constant(x)))
    return [np.asarray(part).astype("float64") for part in parts]


def _compare(
    found: list[np.ndarray], expected: list[np.ndarray], what: str, tolerance: float = 1e-6
) -> None:
    for have, want in zip(found, expected, strict=True):
        assert have.shape == want.shape, f"{what} the output is {have.shape}, not {want.shape}"
        error = float(np.abs(have - want).max(initial=0))
        most = tolerance * max(float(np.abs(want).max(initial=0)), 1.0)
        assert error <= most, f"{what} the output differs by {error:.3g}"


def _shapes(shape: Any) -> list[tuple[int | None, ...]]:
    if all(size is None or isinstance(size, int) for size in shape):
        return [tuple(shape)]
    return [part for item in shape for part in _shapes(item)]


def _fits(symbolic: tuple[int | None, ...], real: tuple[int, ...]) -> bool:
    return len(symbolic) == len(real) and all(
        have is None or have == want for have, want in zip(symbolic, real, strict=True)
    )


def _dtype(part: Tensor) -> str:
    return str(keras.backend.standardize_dtype(part.dtype))
