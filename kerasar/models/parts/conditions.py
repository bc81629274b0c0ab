"""What the gated networks share: their gate, and the conditions that enter every gate."""

from typing import NamedTuple

import keras
from keras import ops

from kerasar.checks import check_count
from kerasar.typing import Shape, Tensor

_UPSAMPLING = ("repeat", "learned")


class GateCondition(NamedTuple):
    """A condition: the network's input, and the features that are projected into every gate."""

    input: Tensor
    features: Tensor


def gated(pre_activation: Tensor) -> Tensor:
    """tanh of the first half of the channels, times σ of the second half."""
    content, gate = ops.split(pre_activation, 2, axis=-1)
    return ops.tanh(content) * ops.sigmoid(gate)


def network_inputs(x: Tensor, conditions: dict[str, GateCondition]) -> Tensor | list[Tensor]:
    """The inputs of a network: the data, followed by its conditions."""
    return [x, *(condition.input for condition in conditions.values())] if conditions else x


def global_condition(
    builder: str, num_classes: int | None, features: int | None, width: int, position_rank: int
) -> dict[str, GateCondition]:
    """The condition `global`, which holds for a whole example: a class or a vector.

    Args:
        builder: name of the model, for messages.
        num_classes: number of classes, if the condition is an integer `(batch,)`.
        features: its size, if it is a vector `(batch, features)`.
        width: channels that a class is embedded in.
        position_rank: number of position axes of the data.

    Returns:
        `{"global": condition}`, with features of shape `(batch, 1, …, channels)`; empty without
        such a condition.

    Raises:
        ValueError, TypeError: if both are given, or one is not a positive integer.
    """
    if num_classes is not None and features is not None:
        raise ValueError(
            f"The global condition is either a class or a vector, but {builder} got both "
            f"num_classes={num_classes} and global_features={features}. Leave one out."
        )
    if num_classes is not None:
        check_count(num_classes, "num_classes", least=2)
        x = keras.Input((), dtype="int32", name="global")
        h = keras.layers.Embedding(num_classes, width, name="class")(x)
    elif features is not None:
        check_count(features, "global_features")
        x = h = keras.Input((features,), name="global")
    else:
        return {}
    return {"global": GateCondition(x, ops.expand_dims(h, tuple(range(1, 1 + position_rank))))}


def local_input(positions: Shape, features: int) -> Tensor:
    """The input `local`, `(batch, *positions, features)`."""
    check_count(features, "local_features")
    return keras.Input((*positions, features), name="local")


def series_condition(
    builder: str,
    length: int | None,
    features: int | None,
    width: int,
    hop: int,
    upsampling: str,
) -> dict[str, GateCondition]:
    """The condition `local` of a sequence: a series, of which each step lasts `hop` steps.

    Args:
        builder: name of the model, for messages.
        length: steps of the data; None leaves them open.
        features: features of each step of the condition; None if there is none.
        width: channels of a learned upsampling.
        hop: steps of the data for each step of the condition.
        upsampling: "repeat" repeats each step; "learned" is a transposed convolution over two
            hops.

    Returns:
        `{"local": condition}`, with features of shape `(batch, time, channels)`; empty without
        such a condition.

    Raises:
        ValueError, TypeError: if these do not fit together.
    """
    _check_series(builder, length, features, hop, upsampling)
    if features is None:
        return {}
    x = local_input((None if length is None else length // hop,), features)
    if upsampling == "repeat":
        upsampled = keras.layers.UpSampling1D(hop, name="upsampled")(x)
    else:  # a kernel of two hops, so that neighboring steps pass into each other
        upsampled = keras.layers.Conv1DTranspose(
            width, 2 * hop, hop, "same", data_format="channels_last", name="upsampled"
        )(x)
    return {"local": GateCondition(x, upsampled)}


def _check_series(
    builder: str, length: int | None, features: int | None, hop: int, upsampling: str
) -> None:
    if upsampling not in _UPSAMPLING:
        raise ValueError(
            f"{builder} takes upsampling {' or '.join(map(repr, _UPSAMPLING))}, but got "
            f"upsampling={upsampling!r}."
        )
    if features is None and (hop != 1 or upsampling != "repeat"):
        raise ValueError(
            f"hop={hop} and upsampling={upsampling!r} are about the local condition, but {builder} "
            "got none. Pass the number of features of each of its steps: local_features=…"
        )
    if length is not None and length % hop:
        raise ValueError(
            f"Each step of the local condition lasts hop={hop} steps of the data, so the length "
            f"must be a multiple of {hop}, but {builder} got length={length}. Take "
            f"length={length // hop * hop or hop}."
        )


def add_conditions(h: Tensor, conditions: dict[str, GateCondition], i: int) -> Tensor:
    """Adds a linear map of each condition to the features of layer `i`."""
    for name, condition in conditions.items():
        project = keras.layers.Dense(h.shape[-1], use_bias=False, name=f"{name}{i}")
        h = keras.layers.Add(name=f"with_{name}{i}")([h, project(condition.features)])
    return h
