"""The lecture's causal network for sequences, a shift and causal convolutions, and its variants.

Fleuret's lecture 10.2 builds it from a shift by one, a 1×1 convolution to 32 channels, four causal
convolutions of kernel 2 and a 1×1 convolution to the logits; with dilations 2, 4, 8, 16 it sees
further. The lecture's variants are here too: a first convolution without its last tap instead of
the shift, and skip connections that are added (ResNet) or concatenated (DenseNet).
"""

from collections.abc import Sequence

import keras
from keras import layers as L

from kerasar.checks import check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import CausalShift, StrictlyCausalConv1D
from kerasar.models.parts.builder import builder
from kerasar.models.parts.sequence_stem_and_head import SequenceStemAndHead
from kerasar.typing import Tensor

_SKIPS = (None, "add", "concatenate")
_FIRST_LAYERS = ("shift", "first_conv")


@builder
def CausalConvNet(
    length: int | None,
    levels: int | None,
    *,
    filters: int | Sequence[int] = 32,
    kernel_size: int = 2,
    dilations: Sequence[int] = (1, 1, 1, 1),
    input_encoding: str = "scalar",
    skip: str | None = None,
    first_layer: str = "shift",
    likelihood: Likelihood | None = None,
    num_variables: int | None = None,
) -> AutoregressiveModel:
    """The lecture's causal convolution network for sequences, ready to compile and fit.

    With the defaults it is the lecture's toy network. `dilations=(2, 4, 8, 16)` gives the
    lecture's dilated network, in which every dilation is even: after the shift by one, each output
    sees *odd* lags only, 1, 3, …, 31, and none of the steps between. Dilations `(1, 2, 4, 8, 16)`,
    or `first_layer="first_conv"`, see all of them;
    `kerasar.receptive_field(model.network).blind_spot` shows what a network misses.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        levels: int. Number of values; the data are integers in `[0, levels)`. None for real
            numbers, with a likelihood for them.
        filters: int. Channels of every hidden layer, or one int for each dilation.
        kernel_size: int. Taps of each causal convolution.
        dilations: distance between the taps, in steps, of each convolution.
        input_encoding: how the data enter: "scalar", scaled to [-1, 1] (the lecture divides by
            the data's standard deviation instead); "one_hot"; or "embedding", learned.
        skip: None; "add" adds the input of each convolution to its output, through a 1×1
            convolution where their widths differ; "concatenate" passes on both, so that widths
            grow and the last 1×1 convolution reads all of them.
        first_layer: "shift" shifts the data by one step before a first 1×1 convolution;
            "first_conv" begins with a convolution of `kernel_size` taps without the present step.
        likelihood: of a step; `Categorical()` if None.
        num_variables: int. Variables of a step, for data `(batch, time, num_variables)` and a
            likelihood of whole steps (`event_rank` 1). None for data `(batch, time)`.

    Returns:
        An `AutoregressiveModel` of sequences. Its network outputs `(batch, time, parameters)`.

    Raises:
        ValueError, TypeError: for arguments that are unknown or do not fit together.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.CausalConvNet(length=32, levels=64)
        >>> kerasar.receptive_field(model.network).reach
        5

    References:
        Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.2, Causal convolutions.
        https://fleuret.org/dlc/
        He et al. Deep Residual Learning for Image Recognition. 2015 (added skips).
        https://arxiv.org/abs/1512.03385
        Huang et al. Densely Connected Convolutional Networks. 2016 (concatenated skips).
        https://arxiv.org/abs/1608.06993
    """
    _check_choice("skip", skip, _SKIPS)
    _check_choice("first_layer", first_layer, _FIRST_LAYERS)
    check_sizes(filters=filters, kernel_size=kernel_size, dilations=dilations)
    widths = _widths(filters, dilations)
    sequence = SequenceStemAndHead("CausalConvNet", length, levels, likelihood, num_variables)
    h = sequence.encode(input_encoding, widths[0])

    if first_layer == "shift":  # from here on, step t knows only steps < t
        h = CausalShift(name="shift")(h)
        h = L.Dense(widths[0], activation="relu", name="first")(h)
    else:
        h = StrictlyCausalConv1D(widths[0], kernel_size, activation="relu", name="first")(h)

    for i, (width, rate) in enumerate(zip(widths, dilations, strict=True), 1):
        conv = L.Conv1D(
            width,
            kernel_size,
            padding="causal",
            data_format="channels_last",
            dilation_rate=rate,
            activation="relu",
            name=f"conv{i}",
        )
        h = _joined(h, conv(h), skip, i)

    network = keras.Model(sequence.x, sequence.head(h), name="causal_conv_net")
    return AutoregressiveModel(network, sequence.likelihood, name="causal_conv_net")


def _joined(before: Tensor, after: Tensor, skip: str | None, i: int) -> Tensor:
    """The output of a convolution, joined to its input as `skip` determines."""
    if skip is None:
        return after
    if skip == "concatenate":
        return L.Concatenate(name=f"skip{i}")([before, after])
    width = after.shape[-1]
    if before.shape[-1] != width:
        before = L.Dense(width, name=f"match{i}")(before)
    return L.Add(name=f"skip{i}")([before, after])


def _widths(filters: int | Sequence[int], dilations: Sequence[int]) -> list[int]:
    """The channels of each convolution."""
    if not dilations or min(dilations) < 1:
        raise ValueError(
            "CausalConvNet has a convolution for each of its dilations, which are at least 1, but "
            f"got dilations={tuple(dilations)}."
        )
    widths = [filters] * len(dilations) if isinstance(filters, int) else list(filters)
    if len(widths) != len(dilations) or min(widths) < 1:
        raise ValueError(
            f"CausalConvNet has {len(dilations)} convolutions, one for each dilation, but got "
            f"filters={filters}. Give one width, or one for each, all at least 1."
        )
    return widths


def _check_choice(argument: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"CausalConvNet takes {argument} {' or '.join(map(repr, choices))}, but got "
            f"{argument}={value!r}."
        )
