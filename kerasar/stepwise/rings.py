"""Rings, in which old values wait, and the loop that passes them from step to step.

A ring has a fixed number of slots. Each slot is written once and read a few times.

Two forms of loops, for two runtimes. Compiled by XLA, a ring is one tensor that
`dynamic_update_slice` changes in place (30 layers, 32 channels, 16 examples: 0.25 ms a step).
TensorFlow's own executor would copy that tensor at each step (2.5 ms), but handles a `TensorArray`
of slots without copying. A third form is for single steps, between which the state can be kept.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasar.keras_internals import dynamic_update_slice
from kerasar.typing import Tensor


def padding(pad: float, dtype: Any) -> Tensor:
    """A padding value as a scalar of a dtype; infinity has no integer."""
    dtype = tf.as_dtype(dtype)
    if dtype.is_bool:
        return tf.constant(pad > 0)
    return tf.constant(pad if dtype.is_floating else int(max(pad, dtype.min)), dtype)


def masked(
    value: Tensor, pad: float, t: Tensor, start: int, lead: int, length: Tensor, length_change: int
) -> Tensor:
    """`pad` instead of the value of step `t` where its index, t + lead, lies outside of the tensor.

    Steps begin at `start` (0 or less) and end before `length`; the tensor is longer by
    `length_change`.
    """
    inside = None
    index = t + lead if lead else t
    if start + lead < 0:
        inside = index >= 0
    if lead > length_change:
        below = index < (length + length_change if length_change else length)
        inside = below if inside is None else inside & below
    return value if inside is None else tf.where(inside, value, padding(pad, value.dtype))


class TensorRing:
    """A ring as one tensor `(depth, *slot)`, for compiled loops."""

    is_compiled = True

    @staticmethod
    def full(depth: int, slot: Tensor) -> Tensor:
        """A ring of `depth` copies of a slot."""
        shape = [depth, *[1] * slot.shape.rank]
        return tf.tile(slot[None], shape)

    @staticmethod
    def write(ring: Tensor, index: Tensor, slot: Tensor) -> Tensor:
        """The ring with another slot at an index."""
        start = tf.concat([tf.reshape(index, (1,)), tf.zeros((slot.shape.rank,), tf.int32)], 0)
        return dynamic_update_slice(ring, slot[None], start)

    @staticmethod
    def read(ring: Tensor, index: Tensor, entry: int) -> Tensor:
        """One entry of the slot at an index."""
        return ring[index, entry]

    @staticmethod
    def place(index: Tensor, slots: Tensor) -> Tensor:
        """A position among so many, as `keep` needs it."""
        return index

    @staticmethod
    def keep(cache: Tensor, axis: int, index: Tensor, value: Tensor, is_inside: bool) -> Tensor:
        """A cache of all positions on an axis, with another value at one of them.

        Args:
            cache: the cache.
            axis: of the positions.
            index: of the position, from `place`.
            value: of size 1 on that axis.
            is_inside: whether the index is always one of the cache; else it may lie outside.
        """
        if not is_inside:
            wanted, index = index, clipped(index, cache, axis)
            inside = wanted == index
            old = tf.gather(cache, tf.reshape(index, (1,)), axis=axis)
            value = tf.where(inside, value, old)
        start = tf.one_hot(axis, cache.shape.rank, index, 0, dtype=tf.int32)
        return dynamic_update_slice(cache, value, start)


class ArrayRing:
    """A ring as a `TensorArray`, for TensorFlow's executor and for SavedModels."""

    is_compiled = False

    @staticmethod
    def full(depth: int, slot: Tensor) -> Any:
        """A ring of `depth` copies of a slot."""
        array = tf.TensorArray(
            slot.dtype, depth, element_shape=slot.shape, clear_after_read=False, name="ring"
        )
        return array.unstack(tf.tile(slot[None], [depth, *[1] * slot.shape.rank]))

    @staticmethod
    def write(ring: Any, index: Tensor, slot: Tensor) -> Any:
        """The ring with another slot at an index."""
        return ring.write(index, slot)

    @staticmethod
    def read(ring: Any, index: Tensor, entry: int) -> Tensor:
        """One entry of the slot at an index."""
        slot = ring.read(index)
        return tf.squeeze(slot, 0) if slot.shape[0] == 1 else slot[entry]

    @staticmethod
    def place(index: Tensor, slots: Tensor) -> Tensor:
        """As for `TensorRing`: which of the positions it is."""
        return tf.range(slots) == index

    @staticmethod
    def keep(cache: Tensor, axis: int, index: Tensor, value: Tensor, is_inside: bool) -> Tensor:
        """As for `TensorRing`."""
        here = tf.reshape(index, [-1, *[1] * (cache.shape.rank - axis - 1)])
        return tf.where(here, value, cache)


class BatchRing:
    """A ring as one tensor with the batch first, for single steps: a state that can be kept."""

    is_compiled = False

    @staticmethod
    def full(depth: int, slot: Tensor) -> Tensor:
        """A ring of `depth` copies of a slot."""
        return tf.repeat(_batch_first(slot)[:, None], depth, axis=1)

    @staticmethod
    def write(ring: Tensor, index: Tensor, slot: Tensor) -> Tensor:
        """The ring with another slot at an index."""
        here = tf.reshape(tf.range(ring.shape[1]) == index, [-1, *[1] * (ring.shape.rank - 2)])
        return tf.where(here, _batch_first(slot)[:, None], ring)

    @staticmethod
    def read(ring: Tensor, index: Tensor, entry: int) -> Tensor:
        """One entry of the slot at an index."""
        return ring[:, index, entry]

    place, keep = ArrayRing.place, ArrayRing.keep


def _batch_first(slot: Tensor) -> Tensor:
    """A slot, `(entries, batch, …)`, as `(batch, entries, …)`."""
    return tf.transpose(slot, (1, 0, *range(2, slot.shape.rank)))


def clipped(index: Tensor, value: Tensor, axis: int) -> Tensor:
    """An index, or the nearest one that an axis has."""
    size = value.shape[axis]
    return tf.clip_by_value(index, 0, (tf.shape(value)[axis] if size is None else size) - 1)


def first_slots(value: Tensor, axis: int, extent: Tensor) -> Tensor:
    """What lies at the first positions of an axis."""
    if isinstance(extent, int) and value.shape[axis] == extent:
        return value
    return value[(*[slice(None)] * axis, slice(0, extent))]


Rings = type[TensorRing] | type[ArrayRing] | type[BatchRing]


def while_loop(cond: Callable[..., Tensor], body: Callable[..., Any], start: Any) -> Any:
    """`tf.while_loop` over any structure, rings included; static shapes stay those of the start."""
    flat = tf.nest.flatten(start, expand_composites=False)

    def fixed(*now: Any) -> Any:
        after = tf.nest.flatten(body(*tf.nest.pack_sequence_as(start, now)))
        return [
            tf.ensure_shape(new, old.shape)
            if isinstance(old, tf.Tensor) and new.shape.as_list() != old.shape.as_list()
            else new
            for new, old in zip(after, flat, strict=True)
        ]

    done = tf.while_loop(lambda *now: cond(*tf.nest.pack_sequence_as(start, now)), fixed, flat)
    return tf.nest.pack_sequence_as(start, done)
