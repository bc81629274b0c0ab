"""WaveNet: gated causal convolutions whose dilations double, with residual and skip outputs.

Cycles of dilations 1, 2, 4, … make the receptive field grow exponentially with depth. Each layer
splits into a filter and a gate, tanh ⊙ σ; its result goes on as a residual and, past all later
layers, to the head. Conditions enter both halves of every gate.
"""

import keras
from keras import layers as L

from kerasar.checks import check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import CausalShift
from kerasar.models.parts.builder import builder
from kerasar.models.parts.conditions import (
    add_conditions,
    gated,
    global_condition,
    network_inputs,
    series_condition,
)
from kerasar.models.parts.sequence_stem_and_head import SequenceStemAndHead


@builder
def WaveNet(
    length: int | None,
    levels: int | None = 256,
    *,
    filters: int = 32,
    skip_filters: int = 128,
    cycles: int = 3,
    cycle_length: int = 10,
    kernel_size: int = 2,
    input_encoding: str | None = None,
    num_classes: int | None = None,
    global_features: int | None = None,
    local_features: int | None = None,
    hop: int = 1,
    upsampling: str = "repeat",
    likelihood: Likelihood | None = None,
    num_variables: int | None = None,
) -> AutoregressiveModel:
    """WaveNet for sequences of integers or real numbers, ready to compile and fit.

    Each of the `cycles * cycle_length` layers computes tanh(W·x + V·c) ⊙ σ(W'·x + V'·c) (the
    paper's equations 2 and 3), with a causal convolution W and a 1×1 map V of the conditions c. A
    step sees `(kernel_size - 1) * (1 + cycles * (2 ** cycle_length - 1)) + 1` steps back. The head
    sums the layers' skip outputs, followed by ReLU, 1×1, ReLU, 1×1.

    Conditions are passed by name: `condition={"global": …, "local": …}`; a single one also without
    its name. `global` is a class `(batch,)` or a vector `(batch, global_features)` for the whole
    sequence. `local` is a series `(batch, steps, local_features)`, of which each step lasts `hop`
    steps of the data: length = steps × hop. The local condition of a step reaches that step's own
    output, so it may hold what is known of the present and the future.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        levels: int. Number of values; the data are integers in `[0, levels)`, for audio 256
            µ-law codes (`kerasar.data.mu_law_encode`). None for real numbers, with a likelihood
            for them.
        filters: int. Channels of the residual path, of each gate and of an embedded class.
        skip_filters: int. Channels of the skip outputs and of the head.
        cycles: int. Number of cycles of dilations.
        cycle_length: int. Dilations of a cycle: 1, 2, 4, …, 2 ** (cycle_length - 1).
        kernel_size: int. Taps of each causal convolution.
        input_encoding: how the data enter: "one_hot" as in the paper, "embedding" (learned, of
            width `filters`) or "scalar" (scaled to [-1, 1]; real numbers are standardized by the
            likelihood's mean and scale). None takes "one_hot" for single integers, else "scalar".
        num_classes: int. Number of classes, for a global condition that is an integer.
        global_features: int. Size of a global condition that is a vector.
        local_features: int. Features of each step of a local condition.
        hop: int. Steps of the data for each step of the local condition.
        upsampling: "repeat" repeats each local step `hop` times; "learned" is a transposed
            convolution over two hops.
        likelihood: of a step; `Categorical()` if None. For audio also
            `DiscretizedLogisticMixture(levels)`.
        num_variables: int. Variables of a step, for data `(batch, time, num_variables)` and a
            likelihood of whole steps (`event_rank` 1). None for data `(batch, time)`.

    Returns:
        An `AutoregressiveModel` of sequences. Its network outputs `(batch, time, parameters)`.

    Raises:
        ValueError, TypeError: for arguments that are unknown or do not fit together.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.WaveNet(8, filters=4, cycles=1, cycle_length=3, num_classes=10)
        >>> model.sample(2, condition=[3, 7]).shape
        (2, 8)

    References:
        Van den Oord et al. WaveNet: A Generative Model for Raw Audio. 2016.
        https://arxiv.org/abs/1609.03499
    """
    sizes = {"filters": filters, "skip_filters": skip_filters, "cycles": cycles, "hop": hop}
    sizes |= {"cycle_length": cycle_length, "kernel_size": kernel_size}
    check_sizes(**sizes)
    if cycle_length > 31:
        raise ValueError(
            "cycle_length must be at most 31, as the dilations double from 1 on, but got "
            f"{cycle_length}."
        )
    sequence = SequenceStemAndHead("WaveNet", length, levels, likelihood, num_variables)
    conditions = global_condition("WaveNet", num_classes, global_features, filters, 1)
    conditions |= series_condition("WaveNet", length, local_features, filters, hop, upsampling)

    h = sequence.encode(input_encoding, filters)
    h = CausalShift(name="shift")(h)  # from here on, step t knows only steps < t
    first = L.Conv1D(
        filters, kernel_size, padding="causal", data_format="channels_last", name="causal"
    )
    h = first(h)

    gates = []
    for i in range(cycles * cycle_length):
        conv = L.Conv1D(
            2 * filters,
            kernel_size,
            padding="causal",
            data_format="channels_last",
            dilation_rate=2 ** (i % cycle_length),
            name=f"conv{i}",
        )
        # The paper's V·h for each condition h, for filter and gate at once.
        gates.append(gated(add_conditions(conv(h), conditions, i)))
        if i < cycles * cycle_length - 1:  # the last residual has no reader
            residual = L.Dense(filters, name=f"residual{i}")(gates[-1])
            h = L.Add(name=f"out{i}")([h, residual])

    # The sum of a skip output of each layer, as one product with their concatenated weights.
    h = L.Concatenate(name="gates")(gates) if len(gates) > 1 else gates[0]
    h = L.Dense(skip_filters, activation="relu", name="skips")(h)
    h = L.Dense(skip_filters, activation="relu", name="head")(h)
    inputs = network_inputs(sequence.x, conditions)
    network = keras.Model(inputs, sequence.head(h), name="wave_net")
    return AutoregressiveModel(network, sequence.likelihood, name="wave_net")
