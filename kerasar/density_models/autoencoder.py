"""`AutoencoderModel`: an autoregressive decoder conditioned on the latents of an encoder."""

from typing import Any

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.density_models.encoded import EncodedModel
from kerasar.density_models.not_coded import NotCoded
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class AutoencoderModel(NotCoded, EncodedModel):
    """An autoencoder whose decoder is an autoregressive model, trained by log p(x | encode(x)).

    That is not a density of x: it leaves out how likely the latent is (`exact` is False), and
    there is nothing to draw latents from: `sample` needs a condition. `VAEModel` has both.

    Args:
        encoder: functional Keras model from data to latents.
        decoder: `AutoregressiveModel` of the data whose only condition is the latent. Causality
            is proven of it; the encoder sees whole examples.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if one of them is something else.
        ValueError: if they do not fit each other.

    References:
        Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu. Conditional Image
        Generation with PixelCNN Decoders. NIPS 2016, section 2.4. https://arxiv.org/abs/1606.05328
    """

    #: What latents are drawn from: nothing.
    prior = None

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        latent = self.compute_code(batch.x, training)
        return -self.decoded_log_prob(batch.x, latent, training)

    def served_log_prob(self, x: Tensor) -> Tensor:
        """What the signature `log_prob` gives."""
        return self.decoded_log_prob(x, self.compute_latent(x))

    @checks_arguments
    def log_prob_map(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """log p(event | events before it, encode(x)), which sums to `log_prob`; see there."""
        x = self.check_batch(unpack(x)).x
        return self.decoder.log_prob_map(x, self.encode(x, batch_size), batch_size)

    @checks_arguments
    def log_prob(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """log p(x | encode(x)) in nats, float32 `(batch,)`; not a density of x.

        Args:
            x: `(batch, *data shape)`.
            batch_size: how many examples go through the networks at once.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        x = self.check_batch(unpack(x)).x
        return self.decoder.log_prob(x, self.encode(x, batch_size), batch_size)

    @checks_arguments
    def sample(
        self, num_samples: int = 1, seed: int = 0, condition: Any = None, **options: Any
    ) -> np.ndarray:
        """Draws examples given latents.

        Args:
            num_samples: how many.
            seed: integer from 0 to 2³¹ - 1.
            condition: a latent for each sample, as `encode` gives them.
            **options: as for `decode`.

        Returns:
            `(num_samples, *data shape)`, int32 for discrete data.

        Raises:
            ValueError: without a condition, or for arguments that do not fit.
        """
        check_count(num_samples, "num_samples")
        if condition is None:
            raise ValueError(
                f"Model '{self.name}' is an autoencoder, which has no distribution of latents to "
                "draw from. Pass condition=model.encode(x), call reconstruct(x), or train a "
                "PixelVAE."
            )
        return self.decoder.sample(num_samples, seed=seed, condition=condition, **options)
