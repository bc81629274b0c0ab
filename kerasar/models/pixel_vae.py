"""PixelVAE: a variational autoencoder with PixelCNN as its decoder."""

from kerasar.checks import check_sizes
from kerasar.density_models.vae import VAEModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.models.parts.builder import builder
from kerasar.models.parts.latent_encoder_decoder import LatentCoder


@builder
def PixelVAE(
    image_shape: tuple[int, int, int],
    levels: int = 256,
    *,
    latent_shape: tuple[int, ...] = (32,),
    filters: int = 36,
    blocks: int = 4,
    kernel_size: int = 3,
    first_kernel_size: int = 3,
    encoder_filters: int = 32,
    warm_up: int = 1000,
    likelihood: Likelihood | None = None,
) -> VAEModel:
    """A variational autoencoder whose decoder is a Gated PixelCNN, ready to compile and fit.

    Encoder and decoder are those of `PixelCNNAutoencoder`. A decoder of few blocks sees few pixels
    and leaves the rest to the latent; the paper takes one PixelCNN layer or a few.

    Args:
        image_shape: `(height, width, channels)`.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        latent_shape: `(size,)` for a vector; `(height, width, channels)` for a map of the image's
            size, halved any number of times (and rounded up).
        filters, blocks, kernel_size, first_kernel_size: of the decoder, as for `GatedPixelCNN`;
            its skip outputs and head have `filters` channels too.
        encoder_filters: int. Channels of the encoder, and of the map that the decoder is
            conditioned on.
        warm_up: int. Training steps in which the weight of the KL term rises from 0 to 1.
        likelihood: of a value or a pixel; `Categorical()` if None.

    Returns:
        A `VAEModel` of images with latents `(batch, *latent_shape)`.

    Raises:
        ValueError, TypeError: for sizes that do not fit.

    References:
        Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez & Courville. PixelVAE: A Latent Variable
        Model for Natural Images. ICLR 2017, section 3. https://arxiv.org/abs/1611.05013
    """
    check_sizes(
        filters=filters,
        blocks=blocks,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
    )
    coder = LatentCoder("PixelVAE", image_shape, levels, latent_shape, encoder_filters)
    decoder = coder.decoder(
        likelihood=likelihood,
        filters=filters,
        blocks=blocks,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
    )
    encoder = coder.encoder(params_per_element=2)  # mean and scale
    return VAEModel(encoder, decoder, warm_up, name="pixel_vae")
