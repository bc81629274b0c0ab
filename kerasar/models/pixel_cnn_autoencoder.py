"""PixelCNN as the decoder of an autoencoder."""

from kerasar.checks import check_sizes
from kerasar.density_models.autoencoder import AutoencoderModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.models.parts.builder import builder
from kerasar.models.parts.latent_encoder_decoder import LatentCoder


@builder
def PixelCNNAutoencoder(
    image_shape: tuple[int, int, int],
    levels: int = 256,
    *,
    latent_shape: tuple[int, ...] = (32,),
    filters: int = 36,
    blocks: int = 4,
    kernel_size: int = 3,
    first_kernel_size: int = 3,
    encoder_filters: int = 32,
    likelihood: Likelihood | None = None,
) -> AutoencoderModel:
    """An autoencoder whose decoder is a Gated PixelCNN, ready to compile and fit.

    The encoder is a stack of convolutions with strides of 2. The decoder is conditioned on a map
    of the image's size, which convolutions compute from the latent. A decoder of few blocks sees
    few pixels and leaves the rest to the latent.

    Args:
        image_shape: `(height, width, channels)`.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        latent_shape: `(size,)` for a vector; `(height, width, channels)` for a map of the image's
            size, halved any number of times (and rounded up).
        filters, blocks, kernel_size, first_kernel_size: of the decoder, as for `GatedPixelCNN`;
            its skip outputs and head have `filters` channels too.
        encoder_filters: int. Channels of the encoder, and of the map that the decoder is
            conditioned on.
        likelihood: of a value or a pixel; `Categorical()` if None.

    Returns:
        An `AutoencoderModel` of images with latents `(batch, *latent_shape)`.

    Raises:
        ValueError, TypeError: for sizes that do not fit.

    References:
        Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu. Conditional Image
        Generation with PixelCNN Decoders. NIPS 2016, section 2.4. https://arxiv.org/abs/1606.05328
    """
    check_sizes(
        filters=filters,
        blocks=blocks,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
    )
    coder = LatentCoder("PixelCNNAutoencoder", image_shape, levels, latent_shape, encoder_filters)
    decoder = coder.decoder(
        likelihood=likelihood,
        filters=filters,
        blocks=blocks,
        kernel_size=kernel_size,
        first_kernel_size=first_kernel_size,
    )
    return AutoencoderModel(coder.encoder(), decoder, name="pixel_cnn_autoencoder")
