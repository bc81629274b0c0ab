"""`keras.ops.associative_scan` in graphs of TensorFlow, where Keras' own has gaps.

Keras' own loses the shape of its results, on which the layers behind it fail ("as_list() is not
defined on an unknown TensorShape"); takes one tensor only where the length is open; and has
branches that XLA cannot compile. `Node.run` calls this instead.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import tree

from kerasar.keras_internals import operation_classes
from kerasar.typing import Tensor

#: The operation behind `keras.ops.associative_scan`.
ASSOCIATIVE_SCANS = frozenset(operation_classes("AssociativeScan"))

#: Doublings of a distance: more than any length needs.
_MOST = 31


def associative_scan(operation: Any, f: Callable[[Any, Any], Any], elems: Any) -> Any:
    """What the operation computes.

    Args:
        operation: of `keras.ops.associative_scan`, which holds `axis` and `reverse`.
        f: associative function of two structures like `elems`.
        elems: structure of tensors.

    References:
        Blelloch. Prefix Sums and Their Applications. 1990, section 1.2.
        https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf
    """
    parts = [tf.convert_to_tensor(part) for part in tree.flatten(elems)]
    axis = operation.axis % len(parts[0].shape)

    def join(before: list[Tensor], after: list[Tensor]) -> list[Tensor]:
        both = [tree.pack_sequence_as(elems, side) for side in (before, after)]
        return tree.flatten(f(*both))

    run = _of_open_length if parts[0].shape[axis] is None else _of_known_length
    turn = [axis] if operation.reverse else []
    found = run(join, [tf.reverse(part, turn) for part in parts], axis)
    return tree.pack_sequence_as(elems, [tf.reverse(part, turn) for part in found])


_Join = Callable[[list[Tensor], list[Tensor]], list[Tensor]]


def _of_known_length(join: _Join, parts: list[Tensor], axis: int) -> list[Tensor]:
    """By pairs: scanned as half as many elements, they give the results at odd indices."""
    length = parts[0].shape[axis]
    if length < 2:
        return parts

    def cut(tensors: list[Tensor], *ends: int | None) -> list[Tensor]:
        return [tensor[(slice(None),) * axis + (slice(*ends),)] for tensor in tensors]

    pairs = join(cut(parts, 0, length - 1, 2), cut(parts, 1, None, 2))
    odd = _of_known_length(join, pairs, axis)
    first = cut(parts, 0, 1)
    even = join(cut(odd, 0, (length - 1) // 2), cut(parts, 2, None, 2)) if length > 2 else None
    made = []
    for n, start in enumerate(first):
        own = start if even is None else tf.concat([start, even[n]], axis)
        count = length // 2
        whole = tf.stack([*cut([own], 0, count), odd[n]], axis + 1)
        shape = [
            *tf.unstack(tf.shape(own)[:axis]),
            2 * count,
            *tf.unstack(tf.shape(own)[axis + 1 :]),
        ]
        whole = tf.reshape(whole, shape)
        whole = tf.concat([whole, *cut([own], count, None)], axis)
        made.append(tf.ensure_shape(whole, parts[n].shape))
    return made


def _of_open_length(join: _Join, parts: list[Tensor], axis: int) -> list[Tensor]:
    """By doubling: after n rounds an element holds the 2 ** n elements up to its own."""
    length = tf.shape(parts[0])[axis]
    index = tf.range(length)

    def double(distance: Tensor, *now: Tensor) -> Any:
        before = [tf.gather(part, tf.maximum(index - distance, 0), axis=axis) for part in now]
        made = []
        for old, new in zip(now, join(before, list(now)), strict=True):
            far = tf.reshape(index >= distance, [-1, *[1] * (len(old.shape) - axis - 1)])
            made.append(tf.ensure_shape(tf.where(far, new, old), old.shape))
        return 2 * distance, *made

    _, *found = tf.while_loop(
        lambda distance, *_: distance < length, double, (1, *parts), maximum_iterations=_MOST
    )
    return list(found)
