"""Caches: what attention reads of all positions so far, keys and values, a slot for each of them.

A compiled loop keeps a cache as XLA multiplies it: of a tensor (batch, position, head, channel) the
axes that the product shares come first, then those that it sums over, then the others

    keys      summed over channels     (batch, head, channel, position)
    values    summed over positions    (batch, head, position, channel)

without axes of size 1. In any other form XLA moves the whole cache at each step, which takes as
long as all the rest of it. TensorFlow's executor gets a cache as the tensor is.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from kerasar.causality.graph import Edge
from kerasar.layers.protocol import Aligned
from kerasar.stepwise.rings import Rings, first_slots
from kerasar.typing import Tensor

#: Axes of a tensor that are kept as one, in the order in which they are kept.
Groups = tuple[tuple[int, ...], ...]


class CachePlan(NamedTuple):
    """How a tensor is kept for all positions.

    Attributes:
        edge: the tensor.
        axis: of its positions.
        fold: how many rows of its first axis belong to one example.
        groups: its axes in a compiled loop.
        fill: what stands where nothing is written yet: zero, or what masked scores are about.
    """

    edge: Edge
    axis: int
    fold: int
    groups: Groups
    fill: float = 0.0


def multiplied_groups(declared: Aligned, index: int, rank: int, axis: int) -> Groups:
    """The axes of an operand as a product multiplies them.

    Args:
        declared: of the product.
        index: of the operand.
        rank: of the operand.
        axis: of its positions, which stays by itself.
    """
    own = declared.axes[index]
    others = {to for n, axes in enumerate(declared.axes) if n != index for to in axes.values()}
    summed = tuple(a for a in range(rank) if isinstance(own.get(a), str))
    shared = tuple(a for a in range(rank) if a not in summed and own.get(a) in others)
    rest = tuple(a for a in range(rank) if a not in summed + shared)
    if not summed or (axis,) not in (summed, rest, *single(shared)):
        return single(range(rank))
    return tuple(group for group in (*single(shared), summed, rest) if group)


def single(axes: Iterable[int]) -> Groups:
    """Each axis by itself."""
    return tuple((axis,) for axis in axes)


class Cache:
    """One cache of a run; its values are passed from step to step.

    Args:
        plan: of the cache.
        batch: number of examples.
        rings: the form of the rings.
    """

    def __init__(self, plan: CachePlan, batch: Tensor, rings: Rings) -> None:
        self.plan, self.rings = plan, rings
        self.rows = batch if plan.fold == 1 else batch * plan.fold
        axes = single(range(len(plan.edge.shape)))
        groups = plan.groups if rings.is_compiled else axes
        self.order = [axis for group in groups for axis in group]
        #: The axes that are kept; those of size 1 are not.
        self.kept = tuple(group for group in groups if not self._is_one(group))
        self.is_plain = self.kept == axes
        self.axis = self.kept.index((plan.axis,))

    def empty(self, slots: Tensor) -> Tensor:
        """Nothing yet for so many positions."""
        return tf.fill(self._kept_shape(slots), self._nothing())

    def grown(self, kept: Tensor, slots: int) -> Tensor:
        """The cache with room for so many positions."""
        more = [[0, 0] for _ in self.kept]
        more[self.axis][1] = slots - kept.shape[self.axis]
        return tf.pad(kept, more, constant_values=self._nothing())

    def written(self, kept: Tensor, place: Tensor, value: Tensor, is_inside: bool) -> Tensor:
        """The cache with the value of one position; see `TensorRing.keep`."""
        if not self.is_plain:
            value = tf.reshape(tf.transpose(value, self.order), self._kept_shape(1))
        return self.rings.keep(kept, self.axis, place, value, is_inside)

    def read(self, kept: Tensor, extent: Tensor) -> Tensor:
        """The first positions, with the axes as the tensor has them."""
        kept = first_slots(kept, self.axis, extent)
        if self.is_plain:
            return kept
        sizes = self._sizes(extent)
        apart = tf.reshape(kept, tf.stack([sizes[axis] for axis in self.order]))
        return tf.transpose(apart, [self.order.index(axis) for axis in range(len(sizes))])

    def _nothing(self) -> Tensor:
        return tf.cast(self.plan.fill, self.plan.edge.dtype)

    def _is_one(self, group: tuple[int, ...]) -> bool:
        sizes = self._sizes(None)
        of_group = [sizes[axis] for axis in group]
        return self.rings.is_compiled and all(isinstance(n, int) and n == 1 for n in of_group)

    def _sizes(self, slots: Tensor) -> list[Tensor]:
        """Of the tensor's axes, with so many positions."""
        sizes = [self.rows, *self.plan.edge.shape[1:]]
        sizes[self.plan.axis] = slots
        return sizes

    def _kept_shape(self, slots: Tensor) -> Tensor:
        sizes = self._sizes(slots)
        return tf.stack([math.prod(sizes[axis] for axis in group) for group in self.kept])
