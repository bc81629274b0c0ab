"""A step that replicas share under a strategy of `tf.distribute`: each has some rows of the batch.

They take the mean over the rows of all, and draw the random numbers that one of them alone would
draw for the whole batch, so that it does not matter how many there are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasar.typing import Tensor


def is_shared() -> bool:
    """Whether what runs here is one replica of a strategy's."""
    return bool(tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context())


def is_first() -> bool:
    """Whether it is the first replica in this process."""
    context = tf.distribute.get_replica_context()
    own = int(tf.get_static_value(context.replica_id_in_sync_group))
    return own % len(context.strategy.extended.worker_devices) == 0


def summed(values: Any) -> Any:
    """The sums over all replicas of a tensor, or of each of several."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def place_in_batch(rows: Tensor) -> tuple[Tensor, Tensor]:
    """How many rows of the batch come before those of this replica, and how many there are."""
    context = tf.distribute.get_replica_context()
    count, own = context.num_replicas_in_sync, context.replica_id_in_sync_group
    each = summed(tf.one_hot(own, count, dtype=tf.int32) * rows)
    return tf.reduce_sum(tf.where(tf.range(count) < own, each, 0)), tf.reduce_sum(each)


def draw_rows(rows: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
    """Random numbers for the rows of this replica.

    Args:
        rows: how many it has.
        draw: draws for so many rows.
    """
    if not is_shared():
        return draw(rows)
    first, count = place_in_batch(rows)
    return draw(count)[first : first + rows]


def mean_over_replicas(
    loss: Tensor, penalties: Sequence[Tensor], rows: Tensor
) -> tuple[Tensor, Tensor]:
    """This replica's share of a mean loss, and the whole loss.

    Args:
        loss: the mean over its rows.
        penalties: what is added once, such as those of regularizers.
        rows: how many it has; perhaps none.
    """
    _, count = place_in_batch(rows)
    part = tf.cast(rows, loss.dtype) / tf.cast(count, loss.dtype)
    share = tf.math.multiply_no_nan(loss, part)
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    for penalty in penalties:
        share += tf.cast(penalty, loss.dtype) / replicas
    return share, summed(share)


def sum_gradients(gradients: Sequence[Any]) -> list[Any]:
    """The sums of gradients over all replicas; None where there is none."""
    found = iter(summed([tf.convert_to_tensor(g) for g in gradients if g is not None]))
    return [None if gradient is None else next(found) for gradient in gradients]
