"""The recurrent network of Griffin ("Hawk"): gated linear recurrences between gated MLPs.

A residual block mixes the steps, another one the channels. Steps are mixed by a short causal
convolution and a linear recurrence, in one of two branches whose product goes on. Training is
parallel over time, and a step of sampling takes the same time whatever lies behind.
"""

import keras
from keras import layers as L

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import CausalShift, LinearRecurrence
from kerasar.models.parts.builder import builder
from kerasar.models.parts.conditions import (
    add_conditions,
    global_condition,
    network_inputs,
    series_condition,
)
from kerasar.models.parts.sequence_stem_and_head import SequenceStemAndHead


@builder
def LinearRecurrent(
    length: int | None,
    levels: int | None,
    *,
    filters: int = 64,
    recurrent_filters: int | None = None,
    blocks: int = 4,
    kernel_size: int = 4,
    expansion: int = 3,
    input_encoding: str | None = None,
    num_classes: int | None = None,
    global_features: int | None = None,
    local_features: int | None = None,
    hop: int = 1,
    upsampling: str = "repeat",
    likelihood: Likelihood | None = None,
    num_variables: int | None = None,
) -> AutoregressiveModel:
    """Griffin's recurrent network for sequences, ready to compile and fit.

    Each of the `blocks` residual blocks adds, to h of `filters` channels,

        W (GELU(W₁ u) ⊙ recurrence(conv(W₂ u))),  u = norm(h)     mixes the steps
        M (GELU(M₁ v) ⊙ M₂ v),                    v = norm(h)     mixes the channels

    where `recurrence` is a `kerasar.layers.LinearRecurrence` and `conv` a causal convolution of
    each channel by itself. Every step sees all steps before it, and a sampled step costs the same
    at every length, in time and in memory.

    Conditions are passed by name, as for `kerasar.models.WaveNet`: `global` for the whole
    sequence and `local`, a series; the first of them also without its name if there is one only.
    Each block adds a linear map of them to what it mixes over the steps.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        levels: int. Number of values; the data are integers in `[0, levels)`. None for real
            numbers, with a likelihood for them.
        filters: int. Channels of the residual path, and of an embedded class.
        recurrent_filters: int. Channels of the recurrences; None takes a third more than
            `filters`, as in the paper.
        blocks: int. Number of pairs of residual blocks.
        kernel_size: int. Taps of each causal convolution.
        expansion: int. Channels of the gated MLP for each channel of the residual path.
        input_encoding: how the data enter: "one_hot", "embedding" (learned, of width `filters`)
            or "scalar" (scaled to [-1, 1]; real numbers are standardized by the likelihood's mean
            and scale). None takes "one_hot" for single integers, else "scalar".
        num_classes: int. Number of classes, for a global condition that is an integer.
        global_features: int. Size of a global condition that is a vector.
        local_features: int. Features of each step of a local condition.
        hop: int. Steps of the data for each step of the local condition.
        upsampling: "repeat" repeats each local step `hop` times; "learned" is a transposed
            convolution over two hops.
        likelihood: of a step; `Categorical()` if None.
        num_variables: int. Variables of a step, for data `(batch, time, num_variables)` and a
            likelihood of whole steps (`event_rank` 1). None for data `(batch, time)`.

    Returns:
        An `AutoregressiveModel` of sequences. Its network outputs `(batch, time, parameters)`.

    Raises:
        ValueError, TypeError: for arguments that are unknown or do not fit together.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.LinearRecurrent(8, 5, filters=4, blocks=1)
        >>> model.sample(2).shape
        (2, 8)

    References:
        De et al. Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient
        Language Models. 2024, section 2. https://arxiv.org/abs/2402.19427
    """
    check_count(filters, "filters")
    width = -(-4 * filters // 3) if recurrent_filters is None else recurrent_filters
    sizes = {"recurrent_filters": width, "blocks": blocks, "hop": hop}
    sizes |= {"kernel_size": kernel_size, "expansion": expansion}
    check_sizes(**sizes)
    builder = "LinearRecurrent"
    sequence = SequenceStemAndHead(builder, length, levels, likelihood, num_variables)
    conditions = global_condition(builder, num_classes, global_features, filters, 1)
    conditions |= series_condition(builder, length, local_features, filters, hop, upsampling)

    h = sequence.encode(input_encoding, filters)
    h = CausalShift(name="shift")(h)  # from here on, step t knows only steps < t
    h = L.Dense(filters, name="first")(h)
    for i in range(blocks):
        u = L.RMSNormalization(name=f"norm{i}")(h)
        u = add_conditions(u, conditions, i)
        gate = L.Dense(width, activation="gelu", name=f"gate{i}")(u)
        u = L.Dense(width, name=f"in{i}")(u)
        u = L.ZeroPadding1D((kernel_size - 1, 0), name=f"pad{i}")(u)
        u = L.DepthwiseConv1D(kernel_size, data_format="channels_last", name=f"conv{i}")(u)
        u = LinearRecurrence(name=f"recurrence{i}")(u)
        h = L.Add(name=f"steps{i}")([h, L.Dense(filters, name=f"out{i}")(gate * u)])

        v = L.RMSNormalization(name=f"mlp_norm{i}")(h)
        gate = L.Dense(expansion * filters, activation="gelu", name=f"mlp_gate{i}")(v)
        v = L.Dense(expansion * filters, name=f"mlp_in{i}")(v)
        h = L.Add(name=f"channels{i}")([h, L.Dense(filters, name=f"mlp_out{i}")(gate * v)])
    h = L.RMSNormalization(name="norm")(h)

    inputs = network_inputs(sequence.x, conditions)
    network = keras.Model(inputs, sequence.head(h), name="linear_recurrent")
    return AutoregressiveModel(network, sequence.likelihood, name="linear_recurrent")
