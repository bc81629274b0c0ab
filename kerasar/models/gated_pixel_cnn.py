"""Gated PixelCNN: a vertical and a horizontal stack, without PixelCNN's blind spot.

The vertical stack sees whole rows, the own one too; shifted down a row it tells the horizontal
stack what stands above. The horizontal stack sees what stands to the left. What the image is
conditioned on enters every gate of both.
"""

from collections.abc import Sequence

import keras
from keras import layers as L
from keras import ops

from kerasar.checks import check_count
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Categorical, Likelihood
from kerasar.layers import CausalShift, MaskedConv2D, VerticalConv2D
from kerasar.models.parts.conditions import global_condition
from kerasar.models.parts.image_stem_and_head import ImageShape, ImageStemAndHead
from kerasar.typing import Tensor


def gated_pixel_cnn(
    image_shape: ImageShape,
    levels: int = 256,
    filters: int = 48,
    blocks: int = 8,
    kernel_size: int = 3,
    first_kernel_size: int = 7,
    skip_filters: int = 96,
    head_filters: int = 96,
    num_classes: int | None = None,
    global_features: int | None = None,
    local_features: int | None = None,
    likelihood: Likelihood | None = None,
    embedding: int | None = None,
    dilations: Sequence[int] = (1,),
) -> keras.Model:
    """Builds the network; see `GatedPixelCNN` for the arguments.

    Returns:
        A functional model from integers `(batch, height, width, channels)`, and the conditions
        `global` and `local` if there are any, to the parameters of each value,
        `(batch, height, width, channels, parameters)`, or of each pixel.
    """
    likelihood = Categorical() if likelihood is None else likelihood
    ends = ImageStemAndHead("GatedPixelCNN", image_shape, levels, likelihood)
    ends.check_widths(filters=filters, skip_filters=skip_filters, head_filters=head_filters)
    check_count(blocks, "blocks")
    if not isinstance(dilations, Sequence) or not dilations:
        raise TypeError(
            f"dilations must hold a number or more, as (2, 4, 8), but got {dilations!r}."
        )
    for rate in dilations:
        check_count(rate, "each of dilations")
    given = global_condition("GatedPixelCNN", num_classes, global_features, filters, places=2)
    if local_features is not None:
        check_count(local_features, "local_features")
        local = keras.Input((*image_shape[:2], local_features), name="local")
        given["local"] = (local, local)

    def enter(conv: Tensor, *others: Tensor, name: str) -> Tensor:
        """The sum that a gate takes, with V·h of the paper for each condition h."""
        parts = [
            L.Dense(2 * filters, use_bias=False, name=f"{name}_{condition}")(part)
            for condition, (_, part) in given.items()
        ]
        terms = [conv, *others, *parts]
        return L.Add(name=f"{name}_sum")(terms) if len(terms) > 1 else conv

    vertical = horizontal = ends.encoded(embedding)
    skips = []
    for i in range(blocks):
        size, mask = (kernel_size, "B") if i else (first_kernel_size, "A")
        rate = dilations[(i - 1) % len(dilations)] if i else 1
        conv = VerticalConv2D(
            2 * filters,
            (size // 2 + 1, size),
            dilation_rate=rate,
            kernel_initializer=_for_gates(),
            name=f"vertical{i}",
        )
        rows = conv(vertical)
        above = L.Dense(2 * filters, name=f"from_above{i}")(rows)
        above = CausalShift(axis=1, name=f"shift_down{i}")(above)  # finished rows only
        vertical = _gated(enter(rows, name=f"vertical{i}"))

        left = MaskedConv2D(
            2 * filters,
            (1, size),
            mask,
            ends.color_groups,
            output_splits=2,
            dilation_rate=rate,
            kernel_initializer=_for_gates(),
            name=f"horizontal{i}",
        )(horizontal)
        h = _gated(enter(left, above, name=f"horizontal{i}"))
        skips.append(ends.pointwise(skip_filters, f"skip{i}")(h))
        h = ends.pointwise(filters, f"out{i}")(h)
        horizontal = L.Add(name=f"residual{i}")([horizontal, h]) if i else h
    h = L.Add(name="skips")(skips) if len(skips) > 1 else skips[0]
    conditions = [tensor for tensor, _ in given.values()]
    inputs = [ends.x, *conditions] if conditions else ends.x
    return keras.Model(inputs, ends.head(h, head_filters), name="gated_pixel_cnn")


def _for_gates() -> keras.initializers.Initializer:
    """Starts a convolution so that small signals pass its gate, tanh ⊙ ½, at their own size.

    The vertical stack has no residual connections, and Keras' own choice lets it fade from block
    to block (measured: benchmarks/NOTEBOOK.md).
    """
    return keras.initializers.VarianceScaling(4.0, mode="fan_in")


def _gated(both: Tensor) -> Tensor:
    """tanh of the first half of the channels, times σ of the second (equation 2)."""
    content, gate = ops.split(both, 2, axis=-1)
    return ops.tanh(content) * ops.sigmoid(gate)


def GatedPixelCNN(
    image_shape: ImageShape,
    levels: int = 256,
    filters: int = 48,
    blocks: int = 8,
    kernel_size: int = 3,
    first_kernel_size: int = 7,
    skip_filters: int = 96,
    head_filters: int = 96,
    num_classes: int | None = None,
    global_features: int | None = None,
    local_features: int | None = None,
    likelihood: Likelihood | None = None,
    embedding: int | None = None,
    dilations: Sequence[int] = (1,),
) -> AutoregressiveModel:
    """Gated PixelCNN for grey and colour images, ready to compile and fit.

    Colours are drawn in turn, R, then G given R, then B given both, unless the likelihood draws
    whole pixels. Conditions go in by name: `condition={"global": …, "local": …}`; the only one
    also without its name.

    Differs from the paper in that the sum of a skip output of each block goes to the head, as
    in WaveNet.

    Args:
        image_shape: `(height, width, channels)`; height and width may be None, and then images of
            any size can be trained on and sampled.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        filters: channels of either stack, of each gate and of an embedded class. With colours
            drawn in turn a multiple of their number; `skip_filters` and `head_filters` too.
        blocks: gated blocks, the first one included.
        kernel_size: of the convolutions, odd: the vertical one has `kernel_size // 2 + 1` rows.
        first_kernel_size: of those in the first block, odd.
        skip_filters: channels of the skip outputs.
        head_filters: width of the 1×1 layer before the last.
        num_classes: number of classes, for a condition `global` that is an integer.
        global_features: size of a condition `global` that is a vector.
        local_features: channels of a condition `local` that is a map of the image's size,
            `(batch, height, width, local_features)`.
        likelihood: of a value or a pixel; `Categorical()` if None.
        embedding: numbers learned for each level, beside its value scaled to [-1, 1]; None takes
            15 for 64 levels or more, none for fewer.
        dilations: distances between the taps of the kernels, for the blocks after the first in
            turn. (2, 4, 8) sees far with few blocks, in about the same time.

    Returns:
        An `AutoregressiveModel`.

    Raises:
        ValueError, TypeError: for sizes that do not fit.

    References:
        Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu. Conditional Image
        Generation with PixelCNN Decoders. NIPS 2016, equations 2 to 4 and figure 2.
        https://arxiv.org/abs/1606.05328
    """
    network = gated_pixel_cnn(
        image_shape,
        levels,
        filters,
        blocks,
        kernel_size,
        first_kernel_size,
        skip_filters,
        head_filters,
        num_classes,
        global_features,
        local_features,
        likelihood,
        embedding,
        dilations,
    )
    return AutoregressiveModel(network, likelihood, name="gated_pixel_cnn")
