"""The condition that holds for a whole example: a class or a vector, the same for all networks."""

import keras
from keras import ops

from kerasar.checks import check_count
from kerasar.typing import Tensor


def global_condition(
    builder: str, num_classes: int | None, features: int | None, width: int, places: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """The input `global` and what it puts into the gates.

    Args:
        builder: name of the model, for messages.
        num_classes: number of classes, if the condition is an integer `(batch,)`.
        features: its size, if it is a vector `(batch, features)`.
        width: channels that a class is embedded in.
        places: position axes of the data.

    Returns:
        `{"global": (input, part)}`, the part of shape `(batch, 1, …, channels)`; empty if there
        is no such condition.

    Raises:
        ValueError, TypeError: if both are given, or one is no positive integer.
    """
    if num_classes is not None and features is not None:
        raise ValueError(
            f"The global condition is either a class or a vector, but {builder} got both "
            f"num_classes={num_classes} and global_features={features}. Leave one out."
        )
    if num_classes is not None:
        check_count(num_classes, "num_classes", least=2)
        given = keras.Input((), dtype="int32", name="global")
        h = keras.layers.Embedding(num_classes, width, name="class")(given)
    elif features is not None:
        check_count(features, "global_features")
        given = h = keras.Input((features,), name="global")
    else:
        return {}
    return {"global": (given, ops.expand_dims(h, tuple(range(1, 1 + places))))}
