"""Gated PixelCNN: a vertical and a horizontal stack, without PixelCNN's blind spot.

The vertical stack sees whole rows, the present one too; shifted down by a row, it provides the
horizontal stack with the rows above. The horizontal stack sees the pixels to the left. Conditions
enter every gate of both.
"""

from collections.abc import Sequence

import keras
from keras import layers as L

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import (
    CausalShift,
    HorizontalMinGRU,
    MaskedConv2D,
    VerticalConv2D,
    VerticalMinGRU,
)
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_dilations
from kerasar.models.parts.conditions import (
    GateCondition,
    gated,
    global_condition,
    local_input,
    network_inputs,
)
from kerasar.models.parts.image_stem_and_head import ImageShape, ImageStemAndHead
from kerasar.typing import Tensor


@builder
def GatedPixelCNN(
    image_shape: ImageShape,
    levels: int = 256,
    *,
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
    vertical_residuals: bool = False,
    recurrences: bool = False,
    repeats: bool | None = None,
    level_counts: bool = False,
) -> AutoregressiveModel:
    """Gated PixelCNN for gray and color images, ready to compile and fit.

    Colors are drawn in turn, R, then G given R, then B given both, unless the likelihood draws
    whole pixels. Conditions are passed by name: `condition={"global": …, "local": …}`; a single one
    also without its name.

    Differs from the paper in that the head reads the sum of a skip output of each block, as in
    WaveNet.

    Args:
        image_shape: `(height, width, channels)`. Height and width may be None, for images of any
            size.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        filters: int. Channels of either stack, of each gate and of an embedded class. A multiple
            of the number of colors, if these are drawn in turn; `skip_filters` and `head_filters`
            too.
        blocks: int. Number of gated blocks, the first one included.
        kernel_size: int, odd. Size of the convolutions: the vertical one has
            `kernel_size // 2 + 1` rows.
        first_kernel_size: int, odd. Size of the convolutions in the first block.
        skip_filters: int. Channels of the skip outputs.
        head_filters: int. Channels of the 1×1 layer before the last one.
        num_classes: int. Number of classes, for a condition `global` that is a class, `(batch,)`.
        global_features: int. Size of a condition `global` that is a vector,
            `(batch, global_features)`.
        local_features: int. Channels of a condition `local` that is a map of the image's size,
            `(batch, height, width, local_features)`.
        likelihood: of a value or a pixel; `Categorical()` if None.
        embedding: number of learned features of each level, concatenated to its value in [-1, 1];
            None takes 15 for 64 levels or more, 0 for fewer.
        dilations: distances between the taps of the kernels, for the blocks after the first in
            turn. (2, 4, 8) has a large receptive field with few blocks, in about the same time.
        vertical_residuals: bool. Whether the vertical stack has residual connections, too. The
            paper's has none; with them the stack learns faster.
        recurrences: bool. Whether each block also has a gated linear recurrence down the columns,
            in the vertical stack, and one along the rows, in the horizontal one
            (`kerasar.layers.VerticalMinGRU`, `HorizontalMinGRU`). The paper's has none; they see
            the whole image in every block.
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
        Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu. Conditional Image
        Generation with PixelCNN Decoders. NIPS 2016, equations 2 to 4 and figure 2.
        https://arxiv.org/abs/1606.05328
    """
    image = ImageStemAndHead("GatedPixelCNN", image_shape, levels, likelihood)
    image.check_widths(filters=filters, skip_filters=skip_filters, head_filters=head_filters)
    check_sizes(kernel_size=kernel_size, first_kernel_size=first_kernel_size)
    check_count(blocks, "blocks")
    check_dilations(dilations)
    conditions = global_condition("GatedPixelCNN", num_classes, global_features, filters, 2)
    if local_features is not None:
        local = local_input(image_shape[:2], local_features)
        conditions["local"] = GateCondition(local, local)

    vertical = horizontal = image.encode(embedding)
    skips = []
    for i in range(blocks):
        size, mask = (kernel_size, "B") if i else (first_kernel_size, "A")
        rate = dilations[(i - 1) % len(dilations)] if i else 1

        rows = VerticalConv2D(
            2 * filters,
            (size // 2 + 1, size),
            dilation_rate=rate,
            kernel_initializer=_gate_initializer(),
            name=f"vertical{i}",
        )(vertical)
        above = L.Dense(2 * filters, name=f"from_above{i}")(rows)
        above = CausalShift(axis=1, name=f"shift_down{i}")(above)  # finished rows only
        down = gated(_gate_input([rows], conditions, f"vertical{i}"))
        if recurrences:
            states = VerticalMinGRU(filters, name=f"recurrence_down{i}")(
                L.Dense(2 * filters, name=f"gate_down{i}")(down)
            )
            down = L.Add(name=f"sum_down{i}")([down, states])
        residual = vertical_residuals and i
        vertical = L.Add(name=f"vertical_residual{i}")([vertical, down]) if residual else down

        left = MaskedConv2D(
            2 * filters,
            (1, size),
            mask,
            image.color_groups,
            output_splits=2,
            dilation_rate=rate,
            kernel_initializer=_gate_initializer(),
            name=f"horizontal{i}",
        )(horizontal)
        h = gated(_gate_input([left, above], conditions, f"horizontal{i}"))
        if recurrences:
            gate = image.pointwise(2 * filters, f"gate_right{i}", output_splits=2)
            states = HorizontalMinGRU(filters, name=f"recurrence_right{i}")(gate(h))
            h = L.Add(name=f"sum_right{i}")([h, states])
        skips.append(image.pointwise(skip_filters, f"skip{i}")(h))
        h = image.pointwise(filters, f"out{i}")(h)
        horizontal = L.Add(name=f"residual{i}")([horizontal, h]) if i else h

    h = L.Add(name="skips")(skips) if len(skips) > 1 else skips[0]
    parameters = image.head(h, head_filters, repeats, level_counts)
    network = keras.Model(network_inputs(image.x, conditions), parameters, name="gated_pixel_cnn")
    return AutoregressiveModel(network, image.likelihood, name="gated_pixel_cnn")


def _gate_input(features: list[Tensor], conditions: dict[str, GateCondition], name: str) -> Tensor:
    """The sum of features that enters a gate, with the paper's V·h for each condition h."""
    width = features[0].shape[-1]
    projected = [
        L.Dense(width, use_bias=False, name=f"{name}_{key}")(condition.features)
        for key, condition in conditions.items()
    ]
    terms = [*features, *projected]
    return L.Add(name=f"{name}_sum")(terms) if len(terms) > 1 else terms[0]


def _gate_initializer() -> keras.initializers.Initializer:
    """Starts a convolution so that small signals pass its gate, tanh ⊙ ½, at their own size.

    The vertical stack has no residual connections, and with Keras' default it fades from block to
    block (measured: benchmarks/NOTEBOOK.md).
    """
    return keras.initializers.VarianceScaling(4.0, mode="fan_in")
