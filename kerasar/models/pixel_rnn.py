"""PixelRNN: LSTMs that run over the image, in residual blocks.

A masked convolution sees the pixels near by; the LSTMs carry information from further back. The
Row LSTM sees a triangle above its pixel, the Diagonal BiLSTM everything before it but one spot: no
feature of the row above depends on that row's last value, so only pixels within the first
convolution's reach of it see it. (The paper takes the field to be complete.)
"""

import difflib

import keras
from keras import layers as L

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import DiagonalBiLSTM, MaskedConv2D, RowLSTM
from kerasar.layers.image_lstm import ImageLSTM
from kerasar.models.parts.builder import builder
from kerasar.models.parts.image_stem_and_head import ImageShape, ImageStemAndHead

#: For each cell its layer, and the width of the convolution from the input to its state.
_CELLS: dict[str, tuple[type[ImageLSTM], int]] = {
    "row_lstm": (RowLSTM, 3),
    "diagonal_bilstm": (DiagonalBiLSTM, 1),
}


@builder
def PixelRNN(
    image_shape: ImageShape,
    levels: int = 256,
    *,
    cell: str = "row_lstm",
    units: int = 24,
    layers: int = 4,
    first_kernel_size: int = 7,
    head_filters: int = 96,
    likelihood: Likelihood | None = None,
    embedding: int | None = None,
) -> AutoregressiveModel:
    """PixelRNN for gray and color images, ready to compile and fit.

    Colors are drawn in turn, R, then G given R, then B given both, unless the likelihood draws
    whole pixels.

    Args:
        image_shape: `(height, width, channels)`. Height and width may be None, for images of any
            size.
        levels: int. Number of values of a channel; the images hold integers in `[0, levels)`.
        cell: "row_lstm" sees a triangle above its pixel and trains two to three times as fast;
            "diagonal_bilstm" sees the pixels before its own (but for the spot named above).
        units: int. Channels of an LSTM's state; twice as many between the blocks. A multiple of
            the number of colors, if these are drawn in turn.
        layers: int. Number of LSTM layers.
        first_kernel_size: int, odd. Size of the first convolution.
        head_filters: int. Channels of the 1×1 layer before the last one.
        likelihood: of a value or a pixel; `Categorical()` if None. `Bernoulli()` suits 2 levels,
            with one logit for each value.
        embedding: number of learned features of each level, concatenated to its value in [-1, 1];
            None takes 15 for 64 levels or more, 0 for fewer.

    Returns:
        An `AutoregressiveModel` of images. Its network outputs
        `(batch, height, width, channels, parameters)`, or `(batch, height, width, parameters)` for
        a likelihood of whole pixels.

    Raises:
        ValueError, TypeError: for an unknown cell, and for sizes that do not fit.

    References:
        Van den Oord, Kalchbrenner & Kavukcuoglu. Pixel Recurrent Neural Networks. ICML 2016,
        sections 3.1 to 3.4 and table 1. https://arxiv.org/abs/1601.06759
    """
    lstm, width = _cell(cell)
    check_sizes(first_kernel_size=first_kernel_size)
    check_count(layers, "layers")
    image = ImageStemAndHead("PixelRNN", image_shape, levels, likelihood)
    image.check_widths(units=units, head_filters=head_filters)
    groups, splits = image.color_groups, 4 * lstm.directions  # three gates and the content

    first = MaskedConv2D(2 * units, first_kernel_size, "A", groups, name="first")
    h = first(image.encode(embedding))
    for i in range(layers):
        r = MaskedConv2D(
            splits * units,
            (1, width),
            color_groups=groups,
            output_splits=splits,
            use_bias=False,  # the LSTM has one
            name=f"input_to_state{i}",
        )(h)
        r = lstm(units, name=f"lstm{i}")(r)
        r = image.pointwise(2 * units, f"expand{i}")(r)
        h = L.Add(name=f"residual{i}")([h, r])

    network = keras.Model(image.x, image.head(h, head_filters), name="pixel_rnn")
    return AutoregressiveModel(network, image.likelihood, name="pixel_rnn")


def _cell(name: str) -> tuple[type[ImageLSTM], int]:
    if name not in _CELLS:
        near = difflib.get_close_matches(str(name).lower(), _CELLS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"cell must be one of {list(_CELLS)}, but got {name!r}.{hint}")
    return _CELLS[name]
