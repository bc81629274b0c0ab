"""Writes an autoencoder as one SavedModel: its decoder's sampler, behind an encoder."""

import tensorflow as tf

from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import Signatures
from kerasar.serving.models import ServedEncoder
from kerasar.training.dataset_checks import value_assertions
from kerasar.typing import Tensor


def encoded_endpoints(
    model: ServedEncoder, bounds: Bounds, jit_compile: bool = False
) -> dict[str, Endpoint]:
    """The endpoints of such a model, the default one first."""
    return _Signatures(model, bounds, jit_compile).all()


class _Signatures:
    """The functions that are exported, on tensors named as in the signature."""

    def __init__(self, model: ServedEncoder, bounds: Bounds, jit_compile: bool) -> None:
        self.model, self.bounds = model, bounds
        self.decoder = Signatures(model.decoder, bounds, jit_compile)

    def all(self) -> dict[str, Endpoint]:
        x, options = self.decoder.x, self.decoder.options
        latent = tf.TensorSpec((None, *self.model.latent_shape), tf.float32, name="latent")
        found: dict[str, Endpoint] = {
            "log_prob": (self.log_prob, [x]),
            "encode": (self.encode, [x]),
            "decode": (self.decode, [latent, *options]),
            "reconstruct": (self.reconstruct, [x, *options]),
        }
        if self.model.prior is not None:
            count = tf.TensorSpec((), tf.int32, name="num_samples")
            found["sample"] = (self.sample, [count, *options])
        return found

    def log_prob(self, x: Tensor) -> dict[str, Tensor]:
        return {"log_prob": self.model.served_log_prob(self._checked(x))}

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        return {"latent": self.model.compute_latent(self._checked(x))}

    def decode(self, latent: Tensor, *options: Tensor) -> dict[str, Tensor]:
        count = tf.shape(latent)[0]
        return self.decoder.sample(count, *options, latent)

    def reconstruct(self, x: Tensor, *options: Tensor) -> dict[str, Tensor]:
        return self.decode(self.encode(x)["latent"], *options)

    def sample(self, num_samples: Tensor, seed: Tensor, *options: Tensor) -> dict[str, Tensor]:
        shape = self.model.decoder.data_shape
        with tf.control_dependencies(self.bounds.assertions(num_samples, {}, shape)):
            latent = self.model.prior(tf.identity(seed), tf.range(num_samples))
        return self.decode(latent, seed, *options)

    def _checked(self, x: Tensor) -> Tensor:
        with tf.control_dependencies(value_assertions(x, self.model.data_levels)):
            return tf.identity(x)
