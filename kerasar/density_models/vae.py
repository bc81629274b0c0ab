"""`VAEModel`: a variational autoencoder whose decoder is an autoregressive model."""

from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_seed
from kerasar.compression import BitsBack, Content, compress, decompress
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.density_models.encoded import EncodedModel
from kerasar.distributions.base_distributions import StandardNormal
from kerasar.noise import uniforms
from kerasar.replicas import draw_rows
from kerasar.statistics import log_mean_exp
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Config, Tensor

#: The position of a sample's latent in the noise of its seed: no decoder draws that many events.
_LATENT = 2**31 - 1
_NORMAL = StandardNormal()


@keras.saving.register_keras_serializable(package="kerasar")
class VAEModel(EncodedModel):
    """A variational autoencoder: a normal latent, and an autoregressive model of data given it.

    p(x) = ∫ N(z; 0, I) p(x | z) dz cannot be computed; q(z | x) = N(mean(x), diag scale(x)²), the
    encoder, bounds it from below. `exact` is False: `elbo` is the bound that is trained, and
    `log_prob` one that comes nearer to log p(x) with the number of latents it draws.

    Args:
        encoder: functional Keras model from data to the means of the latent and, in the second
            half of the last axis, values whose softplus are its scales.
        decoder: `AutoregressiveModel` of the data whose only condition is the latent. Causality
            is proven of it; the encoder sees whole examples.
        warm_up: training steps in which the weight of the KL term rises from 0 to 1. Without, a
            strong decoder learns to ignore the latent. The metric `loss` has that weight in it,
            `bits_per_dim` and `kl` (nats) have not.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if a part is something else.
        ValueError: if the parts do not fit each other.

    References:
        Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez & Courville. PixelVAE: A Latent Variable
        Model for Natural Images. ICLR 2017. https://arxiv.org/abs/1611.05013
        Kingma & Welling. Auto-Encoding Variational Bayes. ICLR 2014, equation 10.
        https://arxiv.org/abs/1312.6114
        Burda, Grosse & Salakhutdinov. Importance Weighted Autoencoders. ICLR 2016, equation 8.
        https://arxiv.org/abs/1509.00519
        Sønderby, Raiko, Maaløe, Sønderby & Winther. Ladder Variational Autoencoders. NIPS 2016,
        section 2.3 (warm-up). https://arxiv.org/abs/1602.02282
    """

    params_per_element = 2

    @checks_arguments
    def __init__(
        self,
        encoder: keras.Model,
        decoder: AutoregressiveModel,
        warm_up: int = 1000,
        **kwargs: Any,
    ) -> None:
        check_count(warm_up, "warm_up", least=0, most=None)
        super().__init__(encoder, decoder, **kwargs)
        self.warm_up = warm_up
        self.training_noise = keras.random.SeedGenerator()
        self.kl_tracker = keras.metrics.Mean(name="kl")

    # On tensors, without checks.

    def compute_posterior(self, x: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and scale of q(z | x), each `(batch, *latent_shape)`."""
        mean, raw = tf.split(self.compute_code(x, training), 2, axis=-1)
        return mean, tf.nn.softplus(raw) + 1e-4

    def compute_latent(self, x: Tensor) -> Tensor:
        return self.compute_posterior(x)[0]

    def prior(self, seed: Tensor, examples: Tensor) -> Tensor:
        """The latents of the samples of a seed with these indices, `(examples, *latent_shape)`."""
        return self._noise(seed, examples, _LATENT)

    def _noise(self, seed: Any, examples: Tensor, position: Any) -> Tensor:
        drawn = uniforms(
            tf.convert_to_tensor(seed), examples, tf.convert_to_tensor(position), self._latent_size
        )
        normal = _NORMAL.sample(drawn, tf.constant(1.0))
        return tf.reshape(normal, (-1, *self.latent_shape))

    @property
    def _latent_size(self) -> int:
        return int(np.prod(self.latent_shape))

    def bound_parts(
        self, x: Tensor, mean: Tensor, scale: Tensor, noise: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x | z) for z = mean + scale · noise, and KL(q(z | x) ‖ p(z)); both `(batch,)`."""
        noise = tf.cast(noise, scale.dtype)
        log_prob = self.decoded_log_prob(x, mean + scale * noise, training)
        kl = 0.5 * (tf.square(mean) + tf.square(scale) - 1) - tf.math.log(scale)
        kl = tf.reduce_sum(kl, axis=list(range(1, len(kl.shape))))
        return log_prob, tf.cast(kl, log_prob.dtype)

    def compute_elbo(self, x: Tensor, mean: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """log p(x | z) - KL(q(z | x) ‖ p(z)), `(batch,)`."""
        log_prob, kl = self.bound_parts(x, mean, scale, noise)
        return log_prob - kl

    def compute_log_weight(self, x: Tensor, mean: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
        """log p(x | z) p(z) / q(z | x), `(batch,)`: what the importance-weighted bound averages."""
        noise = tf.cast(noise, scale.dtype)
        z = mean + scale * noise
        flat_z, flat_noise = (tf.reshape(part, (-1, self._latent_size)) for part in (z, noise))
        log_scale = tf.reduce_sum(tf.reshape(tf.math.log(scale), (-1, self._latent_size)), axis=-1)
        log_q = _NORMAL.log_prob(flat_noise) - log_scale
        log_prob = self.decoded_log_prob(x, z)
        return log_prob + tf.cast(_NORMAL.log_prob(flat_z) - log_q, log_prob.dtype)

    def served_log_prob(self, x: Tensor) -> Tensor:
        """What the signature `log_prob` gives: `elbo` with seed 0."""
        return self.compute_elbo(
            x, *self.compute_posterior(x), self._noise(0, tf.range(tf.shape(x)[0]), 0)
        )

    # Training.

    def objective(self, batch: Batch) -> tuple[Tensor, Tensor]:
        noise = draw_rows(
            tf.shape(batch.x)[0],
            lambda n: keras.random.normal((n, *self.latent_shape), seed=self.training_noise),
        )
        log_prob, kl = self.bound_parts(
            batch.x, *self.compute_posterior(batch.x, training=True), noise, training=True
        )
        self.kl_tracker.update_state(kl)
        steps = tf.cast(self.optimizer.iterations, kl.dtype)
        weight = tf.minimum(steps / max(self.warm_up, 1), 1.0) if self.warm_up else 1.0
        return tf.reduce_mean(weight * kl - log_prob), kl - log_prob

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        noise = self._noise(0, self.example_indices(batch), 0)
        log_prob, kl = self.bound_parts(batch.x, *self.compute_posterior(batch.x), noise)
        self.kl_tracker.update_state(kl)
        return kl - log_prob

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, self.kl_tracker]

    # What a user calls.

    @checks_arguments
    def elbo(self, x: Any, seed: int = 0, batch_size: int = 128) -> np.ndarray:
        """The evidence lower bound of log p(x), with one latent drawn for each example.

        Args:
            x: `(batch, *data shape)`.
            seed: of the latents. Example k of x always gets the same noise.
            batch_size: how many examples go through the networks at once.

        Returns:
            float32, `(batch,)`, in nats.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        return self._bound("elbo", self.compute_elbo, x, 1, seed, batch_size)

    @checks_arguments
    def log_prob(
        self, x: Any, num_samples: int = 64, seed: int = 0, batch_size: int = 128
    ) -> np.ndarray:
        """The importance-weighted bound of log p(x): at least `elbo` in the mean over seeds.

        Args:
            x: `(batch, *data shape)`.
            num_samples: how many latents are drawn for each example. The bound grows with it,
                towards log p(x).
            seed: of the latents.
            batch_size: how many examples go through the networks at once.

        Returns:
            float32, `(batch,)`, in nats.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        check_count(num_samples, "num_samples")
        return self._bound("log_weight", self.compute_log_weight, x, num_samples, seed, batch_size)

    def log_prob_map(self, x: Any) -> NoReturn:
        """Raises: a bound of p(x) is not a sum over events."""
        raise NotImplementedError(
            f"Model '{self.name}' bounds the probability of a whole example, which is not a sum "
            "over its events. Use log_prob or elbo."
        )

    @checks_arguments
    def sample(self, num_samples: int = 1, seed: int = 0, **options: Any) -> np.ndarray:
        """Draws latents from N(0, I), and an example given each.

        Args:
            num_samples: how many.
            seed: integer from 0 to 2³¹ - 1. The k-th sample of a seed does not depend on
                `num_samples`.
            **options: as for `decode`. They change the decoder's draws, not the latents.

        Returns:
            `(num_samples, *data shape)`, int32 for discrete data.

        Raises:
            ValueError, TypeError: for arguments out of range, before any work is done.
        """
        check_count(num_samples, "num_samples")
        latent = self.prior(check_seed(seed), tf.range(num_samples))
        return self.decode(latent.numpy(), seed, **options)

    @checks_arguments
    def compress(self, x: Any, *, verbose: bool | int | str = "auto") -> bytes:
        """Examples of discrete data as bytes, from which `decompress` makes the same again.

        An example takes the nats of its `elbo` in bits, on average over many; a file begins with up
        to 12 bits for each element of a latent. Needs the package constriction: `pip install
        'kerasar[compress]'`.

        Args:
            x: `(batch, *data shape)`, integers.
            verbose: whether long work is announced and shown on stderr; "auto": on a terminal.

        Raises:
            ValueError, TypeError: for data that do not fit, and for models of real numbers.
            ImportError: if constriction is not installed.

        References:
            Townsend, Bird & Barber. Practical Lossless Compression with Latent Variables using
            Bits Back Coding. ICLR 2019. https://arxiv.org/abs/1901.04866
        """
        content = Content(np.asarray(self.check_batch(unpack(x)).x))
        return compress(BitsBack(self), content, verbose)

    @checks_arguments
    def decompress(
        self, data: bytes, *, force: bool = False, verbose: bool | int | str = "auto"
    ) -> np.ndarray:
        """The examples in what `compress` made, bit by bit as they were.

        Args:
            data: what `compress` returned.
            force: whether to try with another model or machine. The checksum still decides.
            verbose: as for `compress`.

        Returns:
            `(batch, *data shape)`, int32.

        Raises:
            kerasar.NotReadable: a ValueError, if `data` are something else, are damaged, or belong
                to another model or machine.
            ImportError: if constriction is not installed.
        """
        return decompress(BitsBack(self), data, lambda header: None, verbose, force).values

    def _bound(
        self, name: str, function: Any, x: Any, draws: int, seed: int, batch_size: int
    ) -> np.ndarray:
        seed = check_seed(seed)
        check_count(batch_size, "batch_size", most=None)
        x = self.check_batch(unpack(x)).x

        def drawn(x: Tensor, posterior: Any, seed: Tensor, examples: Any, k: Tensor) -> Tensor:
            return function(x, *posterior, self._noise(seed, examples, k))

        encoded = self.function_cache.traced("posterior", self.compute_posterior)
        graph = self.function_cache.traced(name, drawn)
        found = []
        for start in range(0, len(x), batch_size):
            part = tf.constant(x[start : start + batch_size])
            examples = tf.range(start, start + len(part))
            posterior = encoded(part)
            terms = [
                graph(part, posterior, tf.constant(seed), examples, tf.constant(k)).numpy()
                for k in range(draws)
            ]
            found.append(log_mean_exp(np.stack(terms)))
        return np.concatenate(found)

    def get_config(self) -> Config:
        return {**super().get_config(), "warm_up": self.warm_up}
