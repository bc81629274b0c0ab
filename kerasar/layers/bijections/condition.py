"""How a condition reaches the networks inside a bijection: concatenated to their input."""

import tensorflow as tf
from keras import ops

from kerasar.typing import Shape, Tensor


def joined_shape(name: str, event: Shape, condition: Shape | None) -> Shape:
    """The event shape of the data and condition together.

    Args:
        name: the layer's name, for the message.
        event: shape of an event, without the batch.
        condition: shape of a condition, without the batch; `None` without one.

    Returns:
        `event`, with the condition's channels added to the last axis.

    Raises:
        ValueError: if the condition cannot be joined.
    """
    if condition is None:
        return event
    extra = condition[-1] if condition else None
    if extra is not None and len(condition) == 1 and len(event) in (1, 3):
        return (*event[:-1], event[-1] + extra)  # type: ignore[operator]
    if extra is not None and len(condition) == len(event) == 3:
        factor = _squeeze(event, condition)
        if factor is not None:
            return (*event[:-1], event[-1] + extra * factor**2)  # type: ignore[operator]
    raise ValueError(
        f"Layer '{name}' joins a condition to its data: a vector (batch, features), or for images "
        "a map (batch, height, width, channels) of the image's size or a multiple of it. It got a "
        f"condition of shape {('batch', *condition)} for events of shape {event}. Embed labels "
        "(tf.one_hot, or keras.layers.Embedding), and flatten or resize the rest."
    )


def join(name: str, x: Tensor, condition: Tensor | None, expected: Shape | None) -> Tensor:
    """Data and condition as one tensor.

    A vector is repeated over the pixels of an image. A map that is k times as high and wide as
    the image, as after a `Squeeze2D`, is squeezed by k.

    Args:
        name: the layer's name, for the message.
        x: data, `(batch, *event)`.
        condition: `(batch, *condition)`, or `None`.
        expected: the condition's shape that the layer was built for, without the batch; `None`
            without one.

    Raises:
        ValueError: if a condition is missing, superfluous, or of another shape.
    """
    if expected is None:
        if condition is None:
            return x
        raise ValueError(
            f"Layer '{name}' was built without a condition, but got one of shape "
            f"{tuple(condition.shape)}. Leave it out, or build the layer with one: "
            "build(x_shape, condition_shape)."
        )
    if condition is None:
        raise ValueError(
            f"Layer '{name}' was built for a condition of shape {('batch', *expected)}, but got "
            "none. Pass condition=…."
        )
    condition = ops.convert_to_tensor(condition)
    if len(condition.shape) != len(expected) + 1 or condition.shape[-1] != expected[-1]:
        raise ValueError(
            f"Layer '{name}' was built for a condition of shape {('batch', *expected)}, but got "
            f"{tuple(condition.shape)}."
        )
    condition = ops.cast(condition, x.dtype)
    if len(x.shape) == 4 and len(expected) == 1:
        size = ops.shape(x)[:3]
        condition = ops.broadcast_to(condition[:, None, None, :], (*size, expected[0]))
    elif len(x.shape) == 4:
        factor = _squeeze(tuple(x.shape[1:]), expected)
        if factor is not None and factor > 1:
            condition = tf.nn.space_to_depth(condition, factor)
    return ops.concatenate([x, condition], axis=-1)


def _squeeze(event: Shape, condition: Shape) -> int | None:
    """How many times larger than the image the condition's map is; `None` if not by an integer."""
    if condition[:2] == event[:2]:
        return 1
    if None in event[:2] or None in condition[:2]:
        return None
    (height, width), (rows, columns) = event[:2], condition[:2]
    factor = rows // height  # type: ignore[operator]
    fits = factor > 0 and rows == factor * height and columns == factor * width  # type: ignore[operator]
    return factor if fits else None
