"""The samplers of networks that predict one value from those that are known.

One place is filled in at a time, in a given order, or each time the place of which the network
is surest. A pass of the network gives one conditional.

References:
    Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
    https://fleuret.org/dlc/
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.noise import uniforms
from kerasar.sampling.draft import Options, PartialBatch, apply_options
from kerasar.typing import Tensor


@dataclass(frozen=True)
class FixedOrder:
    """Fills in the unknown values one after the other, in one order for all examples."""

    #: The places in the order of their turns.
    visits: tuple[int, ...]
    #: Whether a draw may use known values whose turn comes later.
    use_all: bool

    def __call__(
        self,
        model: Any,
        draft: PartialBatch,
        options: Options,
        data_shape: Tensor,
        start: Tensor,
        stop: Tensor,
    ) -> Tensor:
        """Takes the turns `start` … `stop - 1`; all as graph operations.

        Args:
            model: a `MaskedInputDensity`.
            draft: the batch to be completed.
            options: temperature and the like.
            data_shape: not used, for such a model has one size; here for `generate`.
            start, stop: scalars.

        Returns:
            The values, shape of `draft.values`.
        """
        visits = tf.constant(self.visits, tf.int32)
        turns = tf.constant(np.argsort(self.visits), tf.int32)

        def body(turn: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            place = visits[turn]
            filled = tf.broadcast_to(turns < turn, tf.shape(values))
            if self.use_all:
                filled |= draft.known
            position = tf.fill(tf.shape(values)[:1], place)
            logits = model.compute_conditional(
                values, filled, position, draft.condition, training=False
            )
            wanted = ~draft.known[:, place]
            return turn + 1, _drawn(model, draft, options, values, logits, position, wanted)

        _, values = tf.while_loop(
            lambda turn, _: turn < stop,
            body,
            (tf.convert_to_tensor(start), draft.values),
            shape_invariants=(tf.TensorShape([]), draft.values.shape),
        )
        return values


@dataclass(frozen=True)
class LowestEntropyFirst:
    """Fills in, at each turn and in each example, the value of the lowest entropy.

    A turn asks for every place that is still open in some example: T² / 2 passes for T unknown
    values.
    """

    def __call__(
        self,
        model: Any,
        draft: PartialBatch,
        options: Options,
        data_shape: Tensor,
        start: Tensor,
        stop: Tensor,
    ) -> Tensor:
        """As for `FixedOrder`. Between calls, places that are still open hold -1."""
        is_open = ~draft.known & ((start == 0) | (draft.values < 0))
        values = tf.where(is_open, -tf.ones_like(draft.values), draft.values)

        def body(turn: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            position, logits = _surest(model, draft, values)
            wanted = tf.reduce_any(values < 0, axis=1)
            return turn + 1, _drawn(model, draft, options, values, logits, position, wanted)

        _, values = tf.while_loop(
            lambda turn, values: (turn < stop) & tf.reduce_any(values < 0),
            body,
            (tf.convert_to_tensor(start), values),
            shape_invariants=(tf.TensorShape([]), draft.values.shape),
        )
        return values


def _surest(model: Any, draft: PartialBatch, values: Tensor) -> tuple[Tensor, Tensor]:
    """The open place of the lowest entropy in each example, `(batch,)`, and its logits."""
    examples, places = tf.shape(values)[0], tf.shape(values)[1]

    def ask(place: Tensor, best: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        entropy, position, logits = best
        here = tf.fill([examples], place)
        found = model.compute_conditional(
            values, values >= 0, here, draft.condition, training=False
        )
        log_prob = tf.nn.log_softmax(found)
        # Where a logit is -inf, its share is 0 and not NaN.
        found_entropy = -tf.reduce_sum(tf.math.multiply_no_nan(log_prob, tf.exp(log_prob)), axis=-1)
        better = (values[:, place] < 0) & (found_entropy < entropy)
        return (
            tf.where(better, found_entropy, entropy),
            tf.where(better, here, position),
            tf.where(better[:, None], found, logits),
        )

    def body(place: Tensor, *best: Tensor) -> tuple[Tensor, ...]:
        some = tf.reduce_any(values[:, place] < 0)
        return (place + 1, *tf.cond(some, lambda: ask(place, best), lambda: best))

    levels = model.data_levels
    start = (
        tf.constant(0),
        tf.fill([examples], float("inf")),
        tf.zeros([examples], tf.int32),
        tf.zeros([examples, levels]),
    )
    _, _, position, logits = tf.while_loop(lambda place, *_: place < places, body, start)
    return position, tf.ensure_shape(logits, (None, levels))


def _drawn(
    model: Any,
    draft: PartialBatch,
    options: Options,
    values: Tensor,
    logits: Tensor,
    position: Tensor,
    wanted: Tensor,
) -> Tensor:
    """The values after a draw at `position`, `(batch,)`, in the examples where that is wanted."""
    likelihood = model.likelihood
    logits = apply_options(likelihood, logits, options)
    # The noise belongs to the place, not to the turn: orders may differ from row to row.
    noise = uniforms(
        draft.seeds, draft.examples, position, likelihood.num_uniforms(logits.shape[-1])
    )
    event = tf.cast(likelihood.sample(logits, likelihood.noise(noise)), values.dtype)
    places = tf.range(tf.shape(values)[1])
    here = tf.equal(places, position[:, None]) & wanted[:, None]
    return tf.where(here, event[:, None], values)
