"""The likelihood of a flow: log p(x) = log p_base(f(x)) + log |det ∂f/∂x|.

The change of variables makes it exact for real values. Integers are dequantized first, which
turns it into a lower bound (`dequantization.py`).

References:
    Dinh, Krueger & Bengio. NICE: Non-linear Independent Components Estimation. 2014, section 2.
    https://arxiv.org/abs/1410.8516
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.checks import (
    LARGEST_IN_MODELS,
    check_count,
    check_data,
    check_shape,
    is_mapped,
)
from kerasar.density_models.conditions import Condition, Conditions
from kerasar.distributions.base_distributions import BaseDistribution, StandardNormal
from kerasar.distributions.dequantization import Dequantization
from kerasar.distributions.surprise import Surprise
from kerasar.keras_internals import nested_layers
from kerasar.layers.bijections.base import Bijection
from kerasar.layers.bijections.chain import Chain
from kerasar.replicas import draw_rows
from kerasar.training.batches import Batch, unpack
from kerasar.training.density_model import DensityModel
from kerasar.training.finite_guard import first_non_finite
from kerasar.typing import Config, Shape, Tensor


class FlowDensity(DensityModel):
    """Bijections and a base distribution; everything but sampling and export.

    A subclass defines `uniforms`, the noise of an evaluation. An optimizer given by name clips
    gradients to `clip_norm`.

    Args:
        bijections: a `Bijection`, or a sequence of them, from data to latents.
        event_shape: the shape of one example: `(dim,)` or `(height, width, channels)`.
        base: a `BaseDistribution`; `StandardNormal()` if None.
        dequantize: None for real values; for integers in `[0, levels)` the number of levels, or
            a `Dequantization`.
        condition_shape: the shape of one condition, without the batch; None without condition.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: for bijections, base or dequantize of another kind.
        ValueError: if a shape is open, or does not fit the bijections.
    """

    clip_norm = 100.0
    saved_parts = ("bijections", "base", "dequantize")

    def __init__(
        self,
        bijections: Bijection | Sequence[Bijection],
        event_shape: Sequence[int],
        base: BaseDistribution | None = None,
        dequantize: int | Dequantization | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.discrete = dequantize is not None
        super().__init__(autocast=False, **kwargs)
        self.exact = not self.discrete
        self.bijection = _as_bijection(bijections)
        self.base = StandardNormal() if base is None else base
        if not isinstance(self.base, BaseDistribution):
            raise TypeError(
                f"base must be a kerasar.distributions.BaseDistribution, but got {base!r}. Pass "
                "StandardNormal(), Logistic() or Uniform()."
            )
        #: Shape of one example.
        self.data_shape: Shape = _sizes(event_shape, "event_shape")
        check_count(
            math.prod(size or 0 for size in self.data_shape),
            f"the number of values of event_shape={tuple(event_shape)}",
            most=LARGEST_IN_MODELS,
        )
        #: Shape of one condition, or None.
        self.condition_shape: Shape | None = (
            None if condition_shape is None else _sizes(condition_shape, "condition_shape")
        )
        self.dequantization = self._as_dequantization(dequantize)
        #: Number of values that integers can take; None for real values.
        self.data_levels = None if self.dequantization is None else self.dequantization.levels
        self.training_noise = keras.random.SeedGenerator()
        self._build_parts()
        self.conditions = self._find_conditions()
        self.built = True

    def _as_dequantization(self, dequantize: Any) -> Dequantization | None:
        if dequantize is None or isinstance(dequantize, Dequantization):
            return dequantize
        if isinstance(dequantize, (int, np.integer)) and not isinstance(dequantize, bool):
            return Dequantization(int(dequantize))
        raise TypeError(
            "dequantize must be the number of levels of integers, a Dequantization, or None for "
            f"real values, but got {dequantize!r}."
        )

    def _build_parts(self) -> None:
        batch = (None, *self.data_shape)
        condition = None if self.condition_shape is None else (None, *self.condition_shape)
        if not self.bijection.built:
            self.bijection.build(batch, condition)
        #: Shape of one latent as the bijections give it, before it is flattened.
        self.latent_shape: Shape = tuple(self.bijection.forward_shape(batch)[1:])
        if self.dequantization is not None and not self.dequantization.built:
            self.dequantization.build(batch)

    def _find_conditions(self) -> Conditions:
        shape, dtype = self.condition_shape, self.bijection.flow_dtype
        found = [] if shape is None else [Condition("condition", shape, dtype)]
        return Conditions(found, self.name, "build the model with condition_shape=…")

    @property
    def dim(self) -> int:
        """Number of dimensions of an example, and of a latent."""
        return math.prod(size for size in self.data_shape if size is not None)

    @property
    def domain(self) -> tuple[float, float]:
        """The smallest and largest value that the bijections take."""
        return self.bijection.domain

    @property
    def data_dtype(self) -> str:
        return str(self.bijection.flow_dtype)

    @property
    def scales(self) -> tuple[int, ...]:
        """Number of latent dimensions of each scale, finest first."""
        return tuple(self.bijection.latent_sizes((None, *self.data_shape)))

    # Log-probability on tensors, without checks: what training and serving build on.

    def call(self, x: Any, training: bool | None = None) -> Tensor:
        """The latents, flat. `x` is what `fit` takes; an integer is taken as its cell's middle."""
        batch = unpack(x)
        return self.compute_latent(self.dequantize_midpoint(batch.x), batch.condition, training)[0]

    def dequantize_midpoint(self, x: Tensor) -> Tensor:
        """What the bijections take for data, without noise."""
        if self.dequantization is not None:
            return self.dequantization.midpoint(x, self.bijection.flow_dtype)
        return tf.cast(x, self.bijection.flow_dtype)

    def compute_latent(
        self, y: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latents, flat, of real values, and the log determinant."""
        given = {} if condition is None else {"condition": condition}
        z, log_det = self.bijection(y, training=training, **given)
        return tf.reshape(z, (-1, self.dim)), log_det

    def compute_log_prob(
        self, batch: Batch, uniforms: Tensor | None = None, training: bool | None = None
    ) -> Tensor:
        """`log_prob` on tensors, `(batch,)`; integers need `uniforms`, `(batch, dim)`."""
        z, log_det, extra = self._change_of_variables(batch, uniforms, training)
        return self.base.log_prob(z) + log_det + extra

    def compute_surprise(self, batch: Batch) -> Surprise:
        """The nats of each element of the latent, which sum to those of the example, on tensors.

        Each bears an equal part of the log determinant. What the model expects is the mean under
        the base, given that determinant.
        """
        uniforms = None
        if self.dequantization is not None:
            # The same noise for each example, whatever batch it is in.
            examples = tf.zeros(tf.shape(batch.x)[:1], tf.int32)
            uniforms = self.uniforms(0, examples, 0, self.dim)
        if batch.condition is not None:  # a dict where it comes from a signature
            batch = batch._replace(condition=self.conditions.tensors(batch.condition)[0])
        z, log_det, extra = self._change_of_variables(batch, uniforms, training=False)
        each = tf.reshape(self.base.log_prob(tf.reshape(z, (-1, 1))), (-1, self.dim))
        share = tf.cast(log_det + extra, each.dtype)[:, None] / self.dim
        mean, variance = self.base.expected_nats()
        found = -each - share, mean - share + tf.zeros_like(each), variance + tf.zeros_like(each)
        return Surprise(*(tf.cast(part, tf.float32) for part in found))

    def _change_of_variables(
        self, batch: Batch, uniforms: Tensor | None, training: bool | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, `(batch, dim)`, their log determinant, and that of the dequantization."""
        extra: Tensor = 0.0
        if self.dequantization is None:
            y = tf.cast(batch.x, self.bijection.flow_dtype)
        else:
            uniforms = tf.reshape(uniforms, (-1, *self.data_shape))
            y, extra = self.dequantization(
                batch.x, tf.cast(uniforms, self.bijection.flow_dtype), training=training
            )
        z, log_det = self.compute_latent(y, batch.condition, training)
        return z, log_det, extra

    def uniforms(self, seed: Any, examples: Tensor, draw: Any, size: int) -> Tensor:
        """Values in (0, 1), `(examples, size)`, a function of seed, example and draw alone."""
        raise NotImplementedError(f"{type(self).__name__} must define uniforms()")

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        uniforms = None
        if self.dequantization is not None:
            if training:
                uniforms = draw_rows(
                    tf.shape(batch.x)[0],
                    lambda n: keras.random.uniform((n, self.dim), seed=self.training_noise),
                )
                uniforms = tf.maximum(uniforms, 2.0**-24)  # it may be 0
            else:
                uniforms = self.uniforms(0, self.example_indices(batch), 0, self.dim)
        return -self.compute_log_prob(batch, uniforms, training)

    def num_dims(self, batch: Batch) -> Tensor:
        return tf.fill(tf.shape(batch.x)[:1], self.dim)

    # Checks.

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        self._refuse_lengths(batch)
        x = check_data(batch.x, self.data_shape, self.data_levels, name, self.data_dtype)
        if self.data_levels is None:
            x = x if is_mapped(x) else x.astype(self.data_dtype, copy=False)
            self._check_domain(x, name)
        return Batch(x, self.check_condition(batch.condition, len(x)))

    def _refuse_lengths(self, batch: Batch) -> None:
        for name, part in (("length", batch.length), ("start", batch.start)):
            if part is not None:
                raise ValueError(
                    f"{name} is for sequences, but a flow's data are vectors or images. Leave it "
                    "out."
                )

    def check_static_shape(self, batch: Batch, name: str = "x") -> None:
        self._refuse_lengths(batch)
        shape = tuple(batch.x.shape)
        check_shape(shape, self.data_shape, name)
        self.conditions.check_static_shape(batch.condition, shape[0], shape[1:])

    def check_condition(self, condition: Any, examples: int) -> np.ndarray | None:
        """The condition as an array with one row for each example; None without condition.

        Raises:
            ValueError: if it is missing, superfluous, or of another shape.
        """
        checked = self.conditions.check(condition, examples)
        return None if checked is None else checked["condition"]

    def domain_assertions(self, x: Tensor) -> list[Any]:
        """Graph assertions that fail where real values are outside of the domain."""
        low, high = self.domain
        if self.data_levels is not None or (low, high) == (-math.inf, math.inf):
            return []
        inside = tf.reduce_all((x >= low) & (x <= high))
        words = f"x must lie in [{low:g}, {high:g}], but its smallest and largest values are"
        return [tf.debugging.Assert(inside, [words, tf.reduce_min(x), tf.reduce_max(x)])]

    def batch_assertions(self, batch: Batch) -> list[Any]:
        condition = self.conditions.assertions(batch.condition, tf.shape(batch.x))
        return self.domain_assertions(batch.x) + condition

    def _check_domain(self, x: np.ndarray, name: str) -> None:
        low, high = self.domain
        if x.min() < low or x.max() > high:
            outside = (x < low) | (x > high)
            index = tuple(int(i) for i in np.argwhere(outside)[0])
            raise ValueError(
                f"{name} must lie in [{low:g}, {high:g}], the domain of layer "
                f"'{_first(self.bijection).name}' of model '{self.name}', but "
                f"{name}{list(index)} is {x[index]}. Scale the data first."
            )

    # Training.

    def compile(self, optimizer: Any = "adam", loss: None = None, **kwargs: Any) -> None:
        """Configures training; as for `DensityModel`.

        Args:
            optimizer: an optimizer is taken as it is. One given by name clips the global norm of
                its gradients, as `keras.optimizers.Adam(global_clipnorm=100.0)` does.
            loss: None; there is no other than the negative log-likelihood.
            **kwargs: as for `DensityModel.compile`.
        """
        if isinstance(optimizer, str):
            optimizer = keras.optimizers.get(optimizer)
            optimizer.global_clipnorm = self.clip_norm
        super().compile(optimizer, loss, **kwargs)

    def adapt_to_data(self, x: Any) -> None:
        first = _first(self.bijection)
        for part in nested_layers(self.bijection):
            if hasattr(part, "adapt") and part is not first and not part.is_adapted:
                raise ValueError(
                    f"Layer '{part.name}' takes its statistics from the data, so it must be the "
                    f"first bijection, but that is '{first.name}'. Put it there, or call its "
                    "adapt()."
                )
        if not hasattr(first, "adapt") or first.is_adapted:
            return
        if self.dequantization is not None:
            raise ValueError(
                f"Layer '{first.name}' takes its statistics from real values, but model "
                f"'{self.name}' dequantizes integers, which are scaled to (0, 1) already. Leave "
                "the layer out."
            )
        if isinstance(x, tf.data.Dataset):
            if x.cardinality() == tf.data.INFINITE_CARDINALITY:
                raise ValueError(
                    f"Layer '{first.name}' takes its statistics from the data, which have no end. "
                    "Call its adapt() on some of them before fit."
                )
            first.adapt(x.map(lambda *data: unpack(data).x))
        else:
            first.adapt(unpack(x).x)

    def locate_non_finite(self, batch: Batch) -> str:
        for weight in self.weights:
            if first_non_finite([weight.path], [weight.value]):
                return f"Weight '{weight.path}' is not finite."
        before = self.get_weights()
        with _watched(self.bijection) as bad:
            z, _ = self.compute_latent(
                self.dequantize_midpoint(batch.x), batch.condition, training=True
            )
        self.set_weights(before)  # moving statistics have moved
        if bad:
            return f"Layer '{bad[0]}' is the first whose output on that batch is not finite."
        if first_non_finite(["base"], [self.base.log_prob(z)]):
            return "All latents of that batch are finite, but the log density of some is not."
        return "Every layer's output is finite on that batch: it arose in the gradient."

    def default_compilation(self) -> Config:
        # Measured (benchmarks/NOTEBOOK.md): XLA pays for vectors; convolutions train as fast
        # without, and start much sooner.
        return {"jit_compile": len(self.data_shape) == 1, "steps_per_execution": 20}

    # Saving.

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "bijections": serialize(self.bijection),
            "event_shape": list(self.data_shape),
            "base": serialize(self.base),
            "dequantize": serialize(self.dequantization),
            "condition_shape": None if self.condition_shape is None else [*self.condition_shape],
        }


def _as_bijection(bijections: Any) -> Bijection:
    """One bijection: the only one given, or a chain of several."""
    if isinstance(bijections, Bijection):
        return bijections
    if not isinstance(bijections, Sequence) or not bijections:
        raise TypeError(
            f"bijections must be a Bijection or a list of them, but got {bijections!r}. See "
            "kerasar.layers for those that there are."
        )
    dtype = getattr(bijections[0], "dtype_policy", None)
    return Chain(list(bijections), name="chain", dtype=dtype)


@contextlib.contextmanager
def _watched(bijection: Bijection) -> Iterator[list[str]]:
    """While it lasts, notes which bijections put out NaN or infinity, the first one first."""
    bad: list[str] = []
    layers = [part for part in nested_layers(bijection) if isinstance(part, Bijection)]

    def watch(layer: Bijection) -> Callable[..., Any]:
        call = layer.call

        def watched(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if first_non_finite([layer.name] * 2, list(outputs)):
                bad.append(layer.name)
            return outputs

        return watched

    for layer in layers:
        object.__setattr__(layer, "call", watch(layer))
    try:
        yield bad
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _first(bijection: Bijection) -> Any:
    """The bijection that gets the data."""
    while isinstance(bijection, Chain):
        bijection = bijection.bijections[0]
    return bijection


def _sizes(shape: Any, name: str) -> tuple[int, ...]:
    if not isinstance(shape, (list, tuple, range, np.ndarray)) or len(shape) == 0:
        raise ValueError(f"{name} must be a shape such as (2,) or (28, 28, 1), but got {shape!r}.")
    return tuple(check_count(size, f"each size in {name}") for size in shape)
