"""Writes a flow as one SavedModel: `log_prob` (= `serving_default`), `sample` and `latent`."""

from functools import partial

import tensorflow as tf

from kerasar.sampling.flow_sampler import compiled_draw, compute_samples
from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.models import ServedFlow
from kerasar.training.batches import Batch
from kerasar.training.dataset_checks import value_assertions
from kerasar.typing import Tensor


def flow_endpoints(
    model: ServedFlow, bounds: Bounds, jit_compile: bool = False
) -> dict[str, Endpoint]:
    """The endpoints of such a model, the default one first."""
    return _Signatures(model, bounds, jit_compile).all()


class _Signatures:
    """The functions that are exported, on tensors named as in the signature."""

    def __init__(self, model: ServedFlow, bounds: Bounds, jit_compile: bool) -> None:
        self.model, self.bounds = model, bounds
        self.draw = compiled_draw(model) if jit_compile else partial(compute_samples, model)
        dtype = tf.float32 if model.data_levels is None else tf.int32
        self.x = tf.TensorSpec((None, *model.data_shape), dtype, name="x")
        # Requests hold float32, whatever precision the flow computes in.
        specs = model.conditions.specs()
        self.conditions = [tf.TensorSpec(s.shape, tf.float32, name=s.name) for s in specs]

    def all(self) -> dict[str, Endpoint]:
        sampled = [
            tf.TensorSpec((), tf.int32, name="num_samples"),
            tf.TensorSpec((), tf.int32, name="seed"),
            tf.TensorSpec((), tf.float32, name="temperature"),
        ]
        return {
            "log_prob": (self.log_prob, [self.x, *self.conditions]),
            "sample": (self.sample, [*sampled, *self.conditions]),
            "latent": (self.latent, [self.x, *self.conditions]),
        }

    def log_prob(self, x: Tensor, *conditions: Tensor) -> dict[str, Tensor]:
        x, condition = self._checked(x, conditions)
        uniforms = None
        if self.model.dequantization is not None:
            examples = tf.range(tf.shape(x)[0])
            uniforms = self.model.uniforms(tf.constant(0), examples, tf.constant(0), self.model.dim)
        found = self.model.compute_log_prob(Batch(x, condition), uniforms, training=False)
        return {"log_prob": tf.cast(found, tf.float32)}

    def latent(self, x: Tensor, *conditions: Tensor) -> dict[str, Tensor]:
        x, condition = self._checked(x, conditions)
        z, _ = self.model.compute_latent(
            self.model.dequantize_midpoint(x), condition, training=False
        )
        return {"latent": tf.cast(z, tf.float32)}

    def sample(
        self, num_samples: Tensor, seed: Tensor, temperature: Tensor, *conditions: Tensor
    ) -> dict[str, Tensor]:
        most = self.model.base.largest_temperature
        checks = [
            *self.bounds.assertions(num_samples, {}, self.model.data_shape),
            tf.debugging.Assert(seed >= 0, ["seed must not be negative, but is", seed]),
            tf.debugging.Assert(
                (temperature > 0) & (temperature < float("inf")) & (temperature <= most),
                [f"temperature must be above 0 and at most {most}, but is", temperature],
            ),
        ]
        with tf.control_dependencies(checks):
            examples = tf.range(num_samples)
        dtype = self.model.bijection.flow_dtype
        condition = self._condition(conditions, num_samples)
        drawn = self.draw(examples, seed, tf.cast(temperature, dtype), condition)
        return {"samples": drawn if drawn.dtype.is_integer else tf.cast(drawn, tf.float32)}

    def _checked(self, x: Tensor, conditions: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        checks = value_assertions(x, self.model.data_levels) + self.model.domain_assertions(x)
        with tf.control_dependencies(checks):
            x = tf.identity(x)
        return x, self._condition(conditions, tf.shape(x)[0])

    def _condition(self, conditions: tuple[Tensor, ...], examples: Tensor) -> Tensor | None:
        named = self.model.conditions.from_signature(conditions, examples, self.model.data_shape)
        return None if named is None else self.model.conditions.tensors(named)[0]
