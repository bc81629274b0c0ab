"""PixelCNN: masked convolutions in residual blocks.

Every layer sees a triangle above its pixel, which leaves a blind spot to the right of it that no
depth fills: `kerasar.receptive_field(model.network).blind_spot` shows it, and `GatedPixelCNN` has
none.
"""

from collections.abc import Sequence

import keras
from keras import layers as L

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import MaskedConv2D
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_dilations
from kerasar.models.parts.image_stem_and_head import ImageShape, ImageStemAndHead


@builder
def PixelCNN(
    image_shape: ImageShape,
    levels: int = 256,
    *,
    filters: int = 48,
    blocks: int = 7,
    kernel_size: int = 3,
    first_kernel_size: int = 7,
    dilations: Sequence[int] = (1,),
    head_filters: int = 96,
    likelihood: Likelihood | None = None,
    embedding: int | None = None,
    repeats: bool | None = None,
    level_counts: bool = False,
) -> AutoregressiveModel:
    """PixelCNN for gray and color images, ready to compile and fit.

    Colors are drawn in turn, R, then G given R, then B given both, unless the likelihood draws
    whole pixels.

    Args:
        image_shape: `(height, width, channels)`. Height and width may be None, for images of any
            size.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        filters: int. Channels inside a residual block; twice as many between the blocks. A
            multiple of the number of colors, if these are drawn in turn.
        blocks: int. Number of residual blocks.
        kernel_size: int, odd. Size of the convolution in a block.
        first_kernel_size: int, odd. Size of the first convolution.
        dilations: distances between the taps of the kernels in the blocks, in turn, so that they
            see far with few weights.
        head_filters: int. Channels of the 1×1 layer before the last one.
        likelihood: of a value or a pixel; `Categorical()` if None.
        embedding: number of learned features of each level, concatenated to its value in [-1, 1];
            None takes 15 for 64 levels or more, 0 for fewer.
        repeats: bool. Whether the logits of the levels that pixels nearby have get a weight each
            (`kerasar.layers.RepeatedLevels`), for gray images whose exact levels repeat. None does
            so for 64 levels or more, if each of them has a logit.
        level_counts: bool. Whether the head sees how often each level was drawn before
            (`kerasar.layers.LevelCountsAbove`, `LevelCountsLeft`), for gray images that hold few
            of their levels: scans, drawings, palettes.

    Returns:
        An `AutoregressiveModel` of images. Its network outputs
        `(batch, height, width, channels, parameters)`, or `(batch, height, width, parameters)` for
        a likelihood of whole pixels.

    Raises:
        ValueError, TypeError: for sizes that do not fit.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        sections 3.3 to 3.5 and table 1. https://arxiv.org/abs/1601.06759
    """
    image = ImageStemAndHead("PixelCNN", image_shape, levels, likelihood)
    image.check_widths(filters=filters, head_filters=head_filters)
    check_sizes(kernel_size=kernel_size, first_kernel_size=first_kernel_size)
    check_count(blocks, "blocks")
    check_dilations(dilations)
    groups = image.color_groups

    first = MaskedConv2D(2 * filters, first_kernel_size, "A", groups, name="first")
    h = first(image.encode(embedding))
    for i in range(blocks):
        r = L.ReLU(name=f"relu{i}a")(h)
        r = image.pointwise(filters, f"reduce{i}", activation="relu")(r)
        conv = MaskedConv2D(
            filters,
            kernel_size,
            color_groups=groups,
            dilation_rate=dilations[i % len(dilations)],
            activation="relu",
            name=f"conv{i}",
        )
        r = image.pointwise(2 * filters, f"expand{i}")(conv(r))
        h = L.Add(name=f"residual{i}")([h, r])

    parameters = image.head(h, head_filters, repeats, level_counts)
    network = keras.Model(image.x, parameters, name="pixel_cnn")
    return AutoregressiveModel(network, image.likelihood, name="pixel_cnn")
