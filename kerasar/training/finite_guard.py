"""What happens when training meets NaN or infinity: the weights stay, training stops, the cause
is named.

Loss and gradient norm are tested *before* the update, inside the compiled step. A flag carries the
news out, for assertions vanish under XLA and many steps run in one execution.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.training.batches import Batch
from kerasar.typing import Tensor


class FiniteGuard:
    """Applies finite updates only; keeps the first batch that gave another one."""

    def __init__(self) -> None:
        self.tripped = tf.Variable(False, trainable=False, name="non_finite")
        self._loss = tf.Variable(0.0, trainable=False, name="non_finite_loss")
        self._size = tf.Variable(0, trainable=False, name="non_finite_size")
        self._kept: list[tf.Variable] | None = None
        self._structure: Any = None

    def prepare(self, batch: Batch, size: int) -> None:
        """Makes room for a batch of up to `size` examples like those of `batch`."""
        self.tripped.assign(False)
        parts = batch.present()
        specs = [(tuple(part.shape[1:]), part.dtype) for part in tree.flatten(parts)]
        if self._kept is None or [
            (tuple(kept.shape[1:]), kept.dtype) for kept in self._kept
        ] != specs or self._kept[0].shape[0] != size:
            self._structure = tree.map_structure(lambda _: None, parts)
            self._kept = [
                tf.Variable(tf.zeros((size, *shape), dtype), trainable=False)
                for shape, dtype in specs
            ]

    def apply(
        self, loss: Tensor, gradients: list[Tensor], batch: Batch, update: Callable[[], None]
    ) -> None:
        """Calls `update` if the loss and all gradients are finite, else keeps the batch."""
        norm = tf.linalg.global_norm([g for g in gradients if g is not None])
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)

        def keep() -> Tensor:
            first = tf.logical_not(self.tripped)
            self.tripped.assign(True)
            self._loss.assign(tf.where(first, tf.cast(loss, tf.float32), self._loss))
            parts = tree.flatten(batch.present())
            size = tf.shape(parts[0])[0]
            self._size.assign(tf.where(first, size, self._size))
            for kept, part in zip(self._kept or [], parts, strict=False):
                missing = kept.shape[0] - size
                padded = tf.pad(part, [[0, missing]] + [[0, 0]] * (len(part.shape) - 1))
                kept.assign(tf.where(first, padded, kept))
            return tf.constant(False)

        def go() -> Tensor:
            update()
            return tf.constant(True)

        tf.cond(finite, go, keep)

    def batch(self) -> Batch | None:
        """The batch that was kept."""
        if self._kept is None:
            return None
        size = int(self._size)
        flat = [kept[:size] for kept in self._kept]
        return Batch(**tree.pack_sequence_as(self._structure, flat))

    @property
    def loss(self) -> float:
        """The loss that the kept batch gave."""
        return float(self._loss)


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends training with a `FloatingPointError` as soon as the model's guard has tripped."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        guard = self.model.finite_guard
        if guard.tripped.numpy():
            kept = guard.batch()
            where = "" if kept is None else " " + self.model.locate_non_finite(kept)
            raise FloatingPointError(
                f"Training stopped: a batch gave the loss {guard.loss} or a gradient that is not "
                f"finite. The weights are those from before it.{where} The batch is kept as "
                "model.finite_guard.batch(). Try a lower learning rate, or clipnorm=1.0 in the "
                "optimizer."
            )


def first_non_finite(names: list[str], values: list[Tensor]) -> str | None:
    """The name that belongs to the first value holding NaN or infinity."""
    for name, value in zip(names, values, strict=True):
        array = np.asarray(tf.cast(value, tf.float32)) if value.dtype.is_floating else None
        if array is not None and not np.isfinite(array).all():
            return name
    return None
