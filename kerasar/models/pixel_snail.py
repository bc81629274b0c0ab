"""PixelSNAIL: gated residual causal convolutions for what is near, attention for what is far.

Each block has some convolutions and then one attention over all pixels before, in raster order. Its
keys and values are made from the features and the image, its queries from the features; all know
the place of their pixel.
"""

import math

import keras
import numpy as np
from keras import layers as L
from keras import ops

from kerasar.checks import check_count, check_memory
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Categorical, DiscretizedLogisticMixture, Likelihood
from kerasar.layers import MaskedConv2D, PositionalEncoding2D
from kerasar.models.parts.builder import builder
from kerasar.models.parts.conditions import GateCondition, global_condition, network_inputs
from kerasar.models.parts.image_stem_and_head import ImageShape, ImageStemAndHead
from kerasar.typing import Tensor

#: The scores of an attention lie between this and its negative, so that no exponential overflows.
_CAP = 20.0


@builder
def PixelSNAIL(
    image_shape: ImageShape,
    levels: int = 256,
    *,
    filters: int = 32,
    blocks: int = 3,
    residuals: int = 2,
    kernel_size: int = 3,
    first_kernel_size: int = 5,
    key_size: int = 16,
    head_filters: int = 64,
    dropout: float = 0.0,
    num_classes: int | None = None,
    global_features: int | None = None,
    likelihood: Likelihood | None = None,
    embedding: int | None = None,
) -> AutoregressiveModel:
    """PixelSNAIL for gray and color images, ready to compile and fit.

    Every pixel sees all pixels before it, for the attention leaves no blind spot. Pixels are drawn
    whole. The paper's networks have 12 blocks of 4 residuals with 256 filters; the defaults are for
    a CPU. Its convolutions see two rows and no pixel to the right of their own; here they see that
    part of the row above too, and the places of pixels are given as bits.

    Args:
        image_shape: `(height, width, channels)`, all of them known.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        filters: int. Channels of the features, of the values of an attention and of an embedded
            class.
        blocks: int. Number of blocks.
        residuals: int. Gated residual convolutions of each block, two convolutions each.
        kernel_size: int, odd. Size of the convolutions.
        first_kernel_size: int, odd. Size of the first convolution, which hides the present pixel.
        key_size: int. Size of queries and keys.
        head_filters: int. Channels of the 1×1 layer before the last one.
        dropout: float in [0, 1). Share of the channels of a residual that training sets to 0.
        num_classes: int. Number of classes, for a condition `global` that is a class, `(batch,)`.
        global_features: int. Size of a condition `global` that is a vector,
            `(batch, global_features)`.
        likelihood: of a pixel. None: for gray images `Categorical()`, for color images the paper's
            `DiscretizedLogisticMixture(levels, num_variables=channels)`.
        embedding: number of learned features of each level, concatenated to its value in [-1, 1];
            None takes 15 for 64 levels or more, 0 for fewer.

    Returns:
        An `AutoregressiveModel` of images.

    Raises:
        ValueError, TypeError: for sizes that do not fit, and for a likelihood that draws the colors
            of a pixel one by one.

    References:
        Chen, Mishra, Rohaninejad & Abbeel. PixelSNAIL: An Improved Autoregressive Generative Model.
        2017, figures 2 and 3. https://arxiv.org/abs/1712.09763
    """
    sizes = {"filters": filters, "blocks": blocks, "residuals": residuals, "key_size": key_size}
    for name, size in sizes.items():
        check_count(size, name)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), but got {dropout}.")
    if likelihood is None:
        likelihood = _default_likelihood(image_shape, levels)
    image = ImageStemAndHead("PixelSNAIL", image_shape, levels, likelihood)
    _check_image(image, image_shape)
    image.check_widths(filters=filters, head_filters=head_filters)
    conditions = global_condition("PixelSNAIL", num_classes, global_features, filters, 2)

    pixels = image.encode(embedding)
    h = MaskedConv2D(filters, first_kernel_size, "A", name="first")(pixels)
    for i in range(blocks):
        for j in range(residuals):
            h = _gated_residual(h, kernel_size, conditions, dropout, f"residual{i}_{j}")
        seen = _attention(h, pixels, key_size, filters, f"attention{i}")
        h = _gated_residual(h, 1, conditions, dropout, f"merge{i}", seen)

    parameters = image.head(h, head_filters)
    network = keras.Model(network_inputs(image.x, conditions), parameters, name="pixel_snail")
    return AutoregressiveModel(network, image.likelihood, name="pixel_snail")


def _gated_residual(
    h: Tensor,
    kernel_size: int,
    conditions: dict[str, GateCondition],
    dropout: float,
    name: str,
    beside: Tensor | None = None,
) -> Tensor:
    """The features plus a convolution of them, content ⊙ σ(gate); `beside` enters in its middle."""
    filters = h.shape[-1]
    r = MaskedConv2D(filters, kernel_size, name=f"{name}_conv")(ops.elu(h))
    if beside is not None:
        r = L.Add(name=f"{name}_beside")(
            [r, L.Dense(filters, name=f"{name}_from")(ops.elu(beside))]
        )
    r = ops.elu(r)
    if dropout:  # no layer without a rate: its random numbers would keep XLA from training
        r = L.Dropout(dropout, name=f"{name}_dropout")(r)
    r = MaskedConv2D(2 * filters, kernel_size, name=f"{name}_gate")(r)
    for key, condition in conditions.items():
        projected = L.Dense(2 * filters, use_bias=False, name=f"{name}_{key}")(condition.features)
        r = L.Add(name=f"{name}_with_{key}")([r, projected])
    content, gate = ops.split(r, 2, axis=-1)
    gated = L.Multiply(name=f"{name}_gated")([content, ops.sigmoid(gate)])
    return L.Add(name=f"{name}_out")([h, gated])


def _attention(h: Tensor, pixels: Tensor, key_size: int, value_size: int, name: str) -> Tensor:
    """What each pixel finds in the features and values of the pixels before it."""
    height, width = h.shape[1:3]
    count = height * width
    placed = PositionalEncoding2D(name=f"{name}_place")(h)
    query = L.Dense(key_size, name=f"{name}_query")(placed)
    source = L.Concatenate(name=f"{name}_source")([placed, pixels])
    key = L.Dense(key_size, name=f"{name}_key")(source)
    value = L.Dense(value_size, name=f"{name}_value")(source)
    query, key, value = (L.Reshape((count, part.shape[-1]))(part) for part in (query, key, value))

    scores = ops.einsum("bqd,bkd->bqk", query * key_size**-0.5, key)
    # A key holds its own pixel, so only pixels before are seen: by the first one, none. A softmax
    # over nothing is undefined; the 1 is a key of score 0 and value 0 that every pixel sees.
    before = np.tril(np.ones((count, count), bool), -1)
    weights = ops.where(before, ops.exp(_CAP * ops.tanh(scores / _CAP)), 0.0)
    seen = ops.einsum("bqk,bkd->bqd", weights, value)
    seen = seen / (1.0 + ops.sum(weights, axis=-1, keepdims=True))
    return L.Reshape((height, width, value_size), name=name)(seen)


def _default_likelihood(image_shape: ImageShape, levels: int) -> Likelihood:
    channels = image_shape[-1] if image_shape else None
    if channels in (None, 1):
        return Categorical()
    return DiscretizedLogisticMixture(levels, num_variables=channels)


def _check_image(image: ImageStemAndHead, image_shape: ImageShape) -> None:
    if None in image_shape:
        raise ValueError(
            "PixelSNAIL's attention needs to know its pixels, so image_shape must be known, but "
            f"got {tuple(image_shape)}."
        )
    pixels = math.prod(size or 0 for size in image_shape[:2])
    check_memory("image_shape", tuple(image_shape), (pixels, pixels))
    if image.color_groups > 1:
        kind, channels = type(image.likelihood).__name__, image.channels
        raise ValueError(
            f"PixelSNAIL draws whole pixels, but the likelihood {kind} draws their {channels} "
            "colors one by one. Pass DiscretizedLogisticMixture(levels, "
            f"num_variables={channels}) or Independent({channels}, {kind}())."
        )
