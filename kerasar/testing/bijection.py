"""What every bijection of a flow owes its users, in one check: its inverse, and volumes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.causality.randomize import randomize
from kerasar.layers import Bijection
from kerasar.testing.layer import check_examples
from kerasar.typing import Tensor

#: Largest error, relative to 1 + |value|. Float64 leaves 7 digits for badly conditioned maps;
#: float32 keeps 7 digits itself, of which a chain of maps and a determinant may lose 3.
_TOLERANCES = {"float64": 1e-8, "float32": 1e-4}


@checks_arguments
def check_bijection(
    bijection: Bijection | Callable[[], Bijection],
    x: NDArray[Any],
    condition: NDArray[Any] | None = None,
    extremes: Sequence[float] = (-1e4, 1e4),
    latent_extremes: Sequence[float] = (-1e4, 1e4),
) -> None:
    """Checks that `inverse` undoes `call`, and both log determinants against autodiff.

    In float64 and float32: both round trips; the log determinants of both directions against those
    of the Jacobians that automatic differentiation gives, which does not depend on the layer's
    formula; one example alone against the same in a batch; types and shapes. At extreme values,
    and with networks in bfloat16 too: values, log determinants and gradients are finite.

    Args:
        bijection: a bijection, or a function that makes one. One that is not built yet is built,
            and its weights are randomized, for new layers are often the identity; one that is
            built is checked with the weights it has.
        x: data, `(batch, *event)`, of at least 2 examples, away from kinks of the map. Small
            events: a Jacobian has the square of their size.
        condition: for a bijection with a condition, one row for each example.
        extremes: values that data may hold, at the edges of the domain.
        latent_extremes: the same for latents.

    Raises:
        AssertionError: if the bijection breaks one of these promises, named in the message; also
            if it leaves `x` as it is, for that would prove nothing. What the layer itself raises
            on the way comes through.
    """
    layer = bijection if isinstance(bijection, keras.layers.Layer) else bijection()
    x = check_examples(x)
    if not hasattr(layer, "inverse"):
        raise TypeError(
            f"bijection must be a layer with an inverse, but got {type(layer).__name__}. See "
            "kerasar.layers.Bijection."
        )
    if not layer.built:
        layer.build(x.shape, None if condition is None else condition.shape)
        randomize(layer)
    for policy in ("float64", "float32", "mixed_bfloat16"):
        flow_dtype = "float64" if policy == "float64" else "float32"
        given = None if condition is None else condition.astype(flow_dtype)
        copy = _Directions(_copy(layer, policy, x, condition), given, f"with dtype='{policy}', ")
        values = x.astype(flow_dtype)
        _check_round_trips(copy, values, policy)
        if policy != "mixed_bfloat16":
            _check_one_example(copy, values, _TOLERANCES[policy])
            _check_volumes(copy, values, _TOLERANCES[policy])
        _check_extremes(copy, values, extremes, latent_extremes)


class _Directions:
    """A bijection's two directions for a fixed condition, and how messages begin."""

    def __init__(self, layer: Bijection, condition: NDArray[Any] | None, where: str) -> None:
        self.layer = layer
        self.condition = condition
        self.where = where

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._given(self.layer, x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._given(self.layer.inverse, z)

    def _given(self, call: Any, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.condition is None:
            return call(values)
        # The batch that was given, its first example alone, or each of its examples repeated.
        rows = np.arange(len(values)) * len(self.condition) // len(values)
        return call(values, condition=tf.constant(self.condition[rows]))


def _check_round_trips(copy: _Directions, x: NDArray[Any], policy: str) -> None:
    z, log_det = copy.forward(tf.constant(x))
    again, log_det_back = copy.inverse(z)
    z_again, _ = copy.forward(again)
    volumes = {"log_det": log_det, "log_det_back": log_det_back}
    for name, part in {"z": z, "x": again, **volumes}.items():
        found = keras.backend.standardize_dtype(part.dtype)
        assert found == x.dtype.name, f"{copy.where}{name} is {found}, not {x.dtype.name}"
        assert np.isfinite(part).all(), f"{copy.where}{name} holds NaN or infinity"
    for name, part in volumes.items():
        assert part.shape == (len(x),), f"{copy.where}{name} is {part.shape}, not {(len(x),)}"
    same = z.shape == x.shape and np.abs(z - x).max() < 1e-3
    assert not same, f"{copy.where}z is x: an identity map proves nothing, randomize the weights"
    pairs = {
        "inverse(call(x)) is not x": (again, x),
        "call(inverse(z)) is not z": (z_again, z),
        "the log determinants of the two directions are not opposite": (log_det_back, -log_det),
    }
    for what, (found, expected) in pairs.items():
        error = _error(found, expected)
        if policy == "mixed_bfloat16":
            # A value that came back one bit off can round to another bfloat16 in a later network,
            # rarely; arithmetic in bfloat16 spoils most values.
            assert np.median(error) <= _TOLERANCES["float32"], (
                f"{copy.where}{what}: half of the values differ by more than "
                f"{np.median(error):.3g}. Bijections set autocast=False"
            )
        else:
            _close(copy.where + what, error, _TOLERANCES[policy])


def _check_one_example(copy: _Directions, x: NDArray[Any], tolerance: float) -> None:
    z, log_det = copy.forward(tf.constant(x))
    again, log_det_back = copy.inverse(z)
    one = (*copy.forward(tf.constant(x[:1])), *copy.inverse(z[:1]))
    for alone, batch in zip(one, (z, log_det, again, log_det_back), strict=True):
        what = f"{copy.where}an example alone differs from the same one in a batch"
        _close(what, _error(alone, batch[:1]), tolerance)


def _check_volumes(copy: _Directions, x: NDArray[Any], tolerance: float) -> None:
    z = np.asarray(copy.forward(tf.constant(x))[0])
    for what, call, values in (("call", copy.forward, x), ("inverse", copy.inverse, z)):
        size, found = values[0].size, call(tf.constant(values))
        assert np.asarray(found[0])[0].size == size, (
            f"{copy.where}{what} maps events of {size} values to {np.asarray(found[0])[0].size}"
        )
        # One pass gives the whole Jacobian: each example once for each of its outputs.
        with tf.GradientTape() as tape:
            tape.watch(copies := tf.constant(np.repeat(values, size, axis=0)))
            outputs = tf.reshape(call(copies)[0], (len(x), size, size))
            diagonal = tf.reduce_sum(tf.linalg.diag_part(outputs))
        jacobian = np.asarray(tape.gradient(diagonal, copies), "float64")
        _, expected = np.linalg.slogdet(jacobian.reshape(len(x), size, size))
        _close(
            f"{copy.where}log_det of {what} is not that of its Jacobian",
            _error(found[1], expected),
            tolerance,
        )


def _check_extremes(
    copy: _Directions,
    x: NDArray[Any],
    extremes: Sequence[float],
    latent_extremes: Sequence[float],
) -> None:
    rng = np.random.default_rng(0)
    z = copy.forward(tf.constant(x))[0]
    ways = (("call", copy.forward, x, extremes), ("inverse", copy.inverse, z, latent_extremes))
    for what, call, example, edges in ways:
        filled = [np.full(example.shape, edge) for edge in edges]
        for values in (*filled, rng.choice(edges, example.shape)):
            with tf.GradientTape() as tape:
                tape.watch(values := tf.constant(values.astype(x.dtype)))
                outputs, log_det = call(values)
                total = tf.reduce_sum(outputs) + tf.reduce_sum(log_det)
            weights = [weight.value for weight in copy.layer.trainable_variables]
            gradients = tape.gradient(total, [values, *weights])
            where = f"{copy.where}{what} at values from {values.numpy().min():g} to"
            where = f"{where} {values.numpy().max():g} gives"
            assert np.isfinite(outputs).all(), f"{where} a NaN or infinity"
            assert np.isfinite(log_det).all(), f"{where} a log determinant that is not finite"
            for gradient in gradients:
                is_finite = gradient is None or np.isfinite(tf.cast(gradient, tf.float32)).all()
                assert is_finite, f"{where} a gradient that is not finite"


def _copy(
    layer: Bijection, policy: str, x: NDArray[Any], condition: NDArray[Any] | None
) -> Bijection:
    """The same layer, and all layers inside, with another dtype policy."""
    config = _with_policy(keras.saving.serialize_keras_object(layer), policy)
    copy = keras.saving.deserialize_keras_object(config)
    if not copy.built:
        copy.build(x.shape, None if condition is None else condition.shape)
    copy.set_weights(layer.get_weights())
    return copy


def _with_policy(config: Any, policy: str) -> Any:
    if isinstance(config, (list, tuple)):
        return [_with_policy(part, policy) for part in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": policy}}
    changed = {key: _with_policy(part, policy) for key, part in config.items()}
    if isinstance(changed.get("dtype"), str) and "float" in changed["dtype"]:
        changed["dtype"] = "float32" if policy.startswith("mixed") else policy  # of an InputLayer
    return changed


def _error(found: Tensor, expected: Tensor) -> NDArray[Any]:
    """Absolute errors, relative to 1 + |expected|."""
    expected = np.asarray(expected, "float64")
    return np.abs(np.asarray(found, "float64") - expected) / (1 + np.abs(expected))


def _close(what: str, error: NDArray[Any], tolerance: float) -> None:
    # Not `error.max() <= tolerance` alone: a comparison with NaN is False and must fail too.
    assert error.max() <= tolerance, (
        f"{what}: it differs by {error.max():.3g}, relative to 1 + |value|"
    )
