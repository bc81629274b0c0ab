"""The samplers of networks that predict one value from those that are known.

One value is filled in at a time, in a given order, or each time the value that the network is most
certain of. A pass of the network gives one conditional.

References:
    Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
    https://fleuret.org/dlc/
"""

from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.noise import uniforms
from kerasar.sampling.models import SampledMaskedInput
from kerasar.sampling.options import Options, apply_options
from kerasar.sampling.partial_batch import PartialBatch
from kerasar.sampling.sampler import PositionSampler
from kerasar.typing import Tensor


class FixedOrder(PositionSampler):
    """Fills in the unknown values one after the other, in one order for all examples.

    Args:
        model: a `MaskedInputDensity`.
        order: the indices of the values, in the order in which they are drawn.
        use_all: whether a draw may use known values that come later in the order.
    """

    model: SampledMaskedInput

    def __init__(self, model: SampledMaskedInput, order: tuple[int, ...], use_all: bool) -> None:
        super().__init__(model)
        self.order, self.use_all = order, use_all

    @property
    def key(self) -> Any:
        return type(self), self.order, self.use_all

    def complete_range(
        self, batch: PartialBatch, options: Options, data_shape: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        order = tf.constant(self.order, tf.int32)
        rank_of = tf.constant(np.argsort(self.order), tf.int32)

        def body(rank: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            index = order[rank]
            usable = tf.broadcast_to(rank_of < rank, tf.shape(values))
            if self.use_all:
                usable |= batch.known
            position = tf.fill(tf.shape(values)[:1], index)
            logits = self.model.compute_conditional(
                values, usable, position, batch.condition, training=False
            )
            unknown = ~batch.known[:, index]
            return rank + 1, _drawn(self.model, batch, options, values, logits, position, unknown)

        _, values = tf.while_loop(
            lambda rank, _: rank < stop,
            body,
            (start, batch.values),
            shape_invariants=(tf.TensorShape([]), batch.values.shape),
        )
        return values


class LowestEntropyFirst(PositionSampler):
    """Fills in, at each step and in each example, the unknown value of the lowest entropy.

    A step takes a pass for every value that is still unknown in some example: T² / 2 passes for T
    unknown values. Between ranges of steps, values that are still unknown are -1.

    Args:
        model: a `MaskedInputDensity` of random orders.
    """

    model: SampledMaskedInput

    def complete_range(
        self, batch: PartialBatch, options: Options, data_shape: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        unknown = ~batch.known & ((start == 0) | (batch.values < 0))
        values = tf.where(unknown, -tf.ones_like(batch.values), batch.values)

        def body(step: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            position, logits = _lowest_entropy(self.model, batch, values)
            some = tf.reduce_any(values < 0, axis=1)
            return step + 1, _drawn(self.model, batch, options, values, logits, position, some)

        _, values = tf.while_loop(
            lambda step, values: (step < stop) & tf.reduce_any(values < 0),
            body,
            (start, values),
            shape_invariants=(tf.TensorShape([]), batch.values.shape),
        )
        return values


def _lowest_entropy(
    model: SampledMaskedInput, batch: PartialBatch, values: Tensor
) -> tuple[Tensor, Tensor]:
    """The index of the unknown value of lowest entropy in each example, and its logits."""
    examples, num_values = tf.shape(values)[0], tf.shape(values)[1]

    def compare(index: Tensor, best: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        entropy, position, logits = best
        here = tf.fill([examples], index)
        found = model.compute_conditional(
            values, values >= 0, here, batch.condition, training=False
        )
        log_prob = tf.nn.log_softmax(found)
        # Where a logit is -inf, its share is 0 and not NaN.
        found_entropy = -tf.reduce_sum(tf.math.multiply_no_nan(log_prob, tf.exp(log_prob)), axis=-1)
        better = (values[:, index] < 0) & (found_entropy < entropy)
        return (
            tf.where(better, found_entropy, entropy),
            tf.where(better, here, position),
            tf.where(better[:, None], found, logits),
        )

    def body(index: Tensor, *best: Tensor) -> tuple[Tensor, ...]:
        some = tf.reduce_any(values[:, index] < 0)
        return (index + 1, *tf.cond(some, lambda: compare(index, best), lambda: best))

    levels = model.data_levels
    start = (
        tf.constant(0),
        tf.fill([examples], float("inf")),
        tf.zeros([examples], tf.int32),
        tf.zeros([examples, levels]),
    )
    _, _, position, logits = tf.while_loop(lambda index, *_: index < num_values, body, start)
    return position, tf.ensure_shape(logits, (None, levels))


def _drawn(
    model: SampledMaskedInput,
    batch: PartialBatch,
    options: Options,
    values: Tensor,
    logits: Tensor,
    position: Tensor,
    wanted: Tensor,
) -> Tensor:
    """The values after a draw at `position`, `(batch,)`, in the examples where that is wanted."""
    likelihood = model.likelihood
    logits = apply_options(likelihood, logits, options)
    # The noise belongs to the value, not to its rank: orders may differ from row to row.
    noise = uniforms(
        batch.seeds, batch.examples, position, likelihood.num_uniforms(logits.shape[-1])
    )
    event = tf.cast(likelihood.sample(logits, likelihood.noise(noise)), values.dtype)
    here = tf.equal(tf.range(tf.shape(values)[1]), position[:, None]) & wanted[:, None]
    return tf.where(here, event[:, None], values)
