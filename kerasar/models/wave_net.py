"""WaveNet: gated causal convolutions whose dilations double, with residual and skip outputs.

Cycles of dilations 1, 2, 4, … make the receptive field grow exponentially with depth. Each layer
splits into a filter and a gate, tanh ⊙ σ; its result goes on as a residual and, past all later
layers, to the head. What the sequence is conditioned on enters both halves of every gate.
"""

import keras
from keras import layers as L
from keras import ops

from kerasar.checks import check_count
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Categorical, Likelihood
from kerasar.layers import CausalShift
from kerasar.models.parts.conditions import global_condition
from kerasar.models.parts.sequence_stem_and_head import SequenceStemAndHead
from kerasar.typing import Tensor

_UPSAMPLING = ("repeat", "learned")


def wave_net(
    length: int | None,
    levels: int | None = 256,
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
) -> keras.Model:
    """Builds the network; see `WaveNet` for the arguments.

    Returns:
        A functional model from data `(batch, time)` or `(batch, time, num_variables)`, and the
        conditions `global` and `local` if there are any, to the parameters of each step,
        `(batch, time, parameters)`.
    """
    sizes = {"filters": filters, "skip_filters": skip_filters, "cycles": cycles, "hop": hop}
    sizes |= {"cycle_length": cycle_length, "kernel_size": kernel_size}
    for name, size in sizes.items():
        check_count(size, name)
    likelihood = Categorical() if likelihood is None else likelihood
    ends = SequenceStemAndHead("WaveNet", length, levels, likelihood, num_variables)
    given = global_condition("WaveNet", num_classes, global_features, filters, places=1)
    given |= _local_condition(length, filters, local_features, hop, upsampling)

    h = ends.encoded(input_encoding, filters)
    h = CausalShift(name="shift")(h)  # from here on, step t knows only steps < t
    h = L.Conv1D(filters, kernel_size, padding="causal", name="causal")(h)

    gates = []
    for i in range(cycles * cycle_length):
        both = L.Conv1D(
            2 * filters,
            kernel_size,
            padding="causal",
            dilation_rate=2 ** (i % cycle_length),
            name=f"conv{i}",
        )(h)
        for name, (_, part) in given.items():  # V·h of the paper, for filter and gate at once
            part = L.Dense(2 * filters, use_bias=False, name=f"{name}{i}")(part)
            both = L.Add(name=f"with_{name}{i}")([both, part])
        signal, gate = ops.split(both, 2, axis=-1)
        gates.append(ops.tanh(signal) * ops.sigmoid(gate))
        if i < cycles * cycle_length - 1:  # nobody reads the last residual
            residual = L.Dense(filters, name=f"residual{i}")(gates[-1])
            h = L.Add(name=f"out{i}")([h, residual])

    # The sum of a skip output of each layer: one product with their weights side by side.
    h = L.Concatenate(name="gates")(gates) if len(gates) > 1 else gates[0]
    h = L.Dense(skip_filters, activation="relu", name="skips")(h)
    h = L.Dense(skip_filters, activation="relu", name="head")(h)
    h = L.Dense(ends.parameters, name="parameters")(h)
    conditions = [tensor for tensor, _ in given.values()]
    return keras.Model([ends.x, *conditions] if conditions else ends.x, h, name="wave_net")


def _local_condition(
    length: int | None, filters: int, local_features: int | None, hop: int, upsampling: str
) -> dict[str, tuple[Tensor, Tensor]]:
    """The input `local` and what it puts into every gate, `(batch, time, channels)`, if any."""
    if upsampling not in _UPSAMPLING:
        raise ValueError(
            f"WaveNet takes upsampling {' or '.join(map(repr, _UPSAMPLING))}, but got "
            f"upsampling={upsampling!r}."
        )
    if local_features is None and (hop != 1 or upsampling != "repeat"):
        raise ValueError(
            f"hop={hop} and upsampling={upsampling!r} are about the local condition, but WaveNet "
            "got none. Say how many features each of its steps has: local_features=…"
        )
    if length is not None and length % hop:
        raise ValueError(
            f"Each step of the local condition lasts hop={hop} steps of the data, so the length "
            f"must be a multiple of {hop}, but WaveNet got length={length}. Take "
            f"length={length // hop * hop or hop}."
        )
    if local_features is None:
        return {}
    check_count(local_features, "local_features")
    series = keras.Input((None if length is None else length // hop, local_features), name="local")
    return {"local": (series, _upsampled(series, filters, hop, upsampling))}


def _upsampled(series: Tensor, filters: int, hop: int, upsampling: str) -> Tensor:
    if upsampling == "learned":
        # A kernel of two hops, so that neighbouring steps pass into each other.
        return L.Conv1DTranspose(filters, 2 * hop, hop, padding="same", name="upsampled")(series)
    return L.UpSampling1D(hop, name="upsampled")(series)


def WaveNet(
    length: int | None,
    levels: int | None = 256,
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
    sums the layers' skip outputs, then: ReLU, 1×1, ReLU, 1×1.

    Conditions go in by name: `condition={"global": …, "local": …}`; the only one also without its
    name. `global` is a class `(batch,)` or a vector `(batch, global_features)` for the whole
    sequence. `local` is a series `(batch, steps, local_features)`, of which each step lasts `hop`
    steps of the data: length = steps × hop. The local condition of a step reaches that step's own
    output, so it may well hold what is known of the present and the future.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        levels: int. Number of values; the data are integers in `[0, levels)`, for audio 256
            µ-law codes (`kerasar.data.mu_law_encode`). None for real numbers, with a likelihood
            for them.
        filters: int. Channels of the residual path, of each gate and of an embedded class.
        skip_filters: int. Channels of the skip outputs and of the head.
        cycles: int. How often the dilations start again at 1.
        cycle_length: int. Dilations of a cycle: 1, 2, 4, …, 2 ** (cycle_length - 1).
        kernel_size: int. Taps of each causal convolution.
        input_encoding: how the data enter: "one_hot" as in the paper, "embedding" (learned, of
            width `filters`) or "scalar" (scaled to [-1, 1]; real numbers are standardised as the
            likelihood says). None takes "one_hot" for single integers, else "scalar".
        num_classes: int. Number of classes, for a global condition that is an integer.
        global_features: int. Size of a global condition that is a vector.
        local_features: int. Features of each step of a local condition.
        hop: int. Steps of the data for each step of the local condition.
        upsampling: "repeat" holds each local step for `hop` steps; "learned" is a transposed
            convolution over two hops.
        likelihood: of a step, or `Categorical()`; for audio also
            `DiscretizedLogisticMixture(levels)`.
        num_variables: int. Numbers of a step, for data `(batch, time, num_variables)` and a
            likelihood of whole steps (`event_rank` 1). None for data `(batch, time)`.

    Returns:
        An `AutoregressiveModel`.

    Raises:
        ValueError: for arguments that are unknown or do not fit together.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.WaveNet(8, filters=4, cycles=1, cycle_length=3, num_classes=10)
        >>> model.sample(2, condition=[3, 7]).shape
        (2, 8)

    References:
        Van den Oord et al. WaveNet: A Generative Model for Raw Audio. 2016.
        https://arxiv.org/abs/1609.03499
    """
    network = wave_net(
        length,
        levels,
        filters,
        skip_filters,
        cycles,
        cycle_length,
        kernel_size,
        input_encoding,
        num_classes,
        global_features,
        local_features,
        hop,
        upsampling,
        likelihood,
        num_variables,
    )
    return AutoregressiveModel(network, likelihood, name="wave_net")
