"""What happens when training meets NaN or infinity: the weights stay, training stops, the cause
is named.

Loss and gradient norm are tested *before* the update, inside the compiled step. A flag carries the
result out, for assertions vanish under XLA and many steps run in one execution.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.replicas import is_first, is_shared
from kerasar.training.batches import Batch
from kerasar.typing import Tensor


class FiniteGuard:
    """Applies finite updates only; keeps the first batch that gave another one."""

    def __init__(self) -> None:
        self.tripped = tf.Variable(False, trainable=False, name="non_finite")
        self._loss = tf.Variable(0.0, trainable=False, name="non_finite_loss")
        #: The global norm of the gradients of the last step, before it is clipped.
        self.gradient_norm = tf.Variable(0.0, trainable=False, name="gradient_norm")
        self._kept: list[tf.Variable] = []
        self._shapes: list[tf.Variable] = []  # of the batch, where `_kept` is larger or smaller
        self._structure: Any = None

    def prepare(self, batch: Batch, size: int, compiled: bool) -> bool:
        """Makes room for batches like `batch`, before training.

        Args:
            batch: an example of the parts.
            size: the number of examples in a full batch.
            compiled: whether XLA compiles the training step. Variables then have a fixed shape,
                and a batch that is larger than expected is kept in part.

        Returns:
            Whether the room is new. Training steps that were traced before do not know it.
        """
        self.tripped.assign(False)
        structure = tree.map_structure(lambda part: tf.as_dtype(part.dtype), batch.present())
        parts = tree.flatten(batch.present())
        if compiled:
            room = [tf.TensorShape((size, *part.shape[1:])) for part in parts]
        else:
            room = [tf.TensorShape([None] * len(part.shape)) for part in parts]
        before = [kept.shape for kept in self._kept]
        if structure == self._structure and _of_ranks(before) == _of_ranks(room):
            room = [_enlarged(*shapes) for shapes in zip(before, room, strict=True)]
            if room == before:
                return False
        self._structure = structure
        self._kept = [
            tf.Variable(tf.zeros([n or 0 for n in shape], part.dtype), shape=shape, trainable=False)
            for shape, part in zip(room, parts, strict=True)
        ]
        self._shapes = [tf.Variable([0] * len(shape), trainable=False) for shape in room]
        return True

    def apply(
        self,
        loss: Tensor,
        gradients: list[Tensor],
        batch: Batch,
        update: Callable[[], None],
        before: Sequence[tuple[Any, Tensor]],
        updated: Sequence[Any],
    ) -> None:
        """Calls `update` if loss and gradients are finite, else keeps the batch.

        From then on, until the next `prepare`, nothing is updated any more: many steps run in one
        execution, and those after a bad one must not move the weights. What the step has changed
        already is undone.

        Args:
            loss: of the batch.
            gradients: or None in place of one.
            batch: or this replica's rows of it; those of the first replica are kept.
            update: applies the gradients.
            before: variables that the step has changed, with the values that they had.
            updated: the variables that `update` changes.
        """
        norm = tf.linalg.global_norm([g for g in gradients if g is not None])
        self.gradient_norm.assign(tf.cast(norm, tf.float32))
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        good = finite & tf.logical_not(self.tripped)

        def go() -> Tensor:
            update()
            return tf.constant(True)

        def stop() -> Tensor:
            for variable, value in before:
                variable.assign(value)
            return tf.cond(self.tripped, lambda: tf.constant(False), keep)

        def keep() -> Tensor:
            self.tripped.assign(True)
            self._loss.assign(tf.cast(loss, tf.float32))
            if self._kept and (not is_shared() or is_first()):
                parts = tree.flatten(batch.present())
                for kept, shape, part in zip(self._kept, self._shapes, parts, strict=True):
                    shape.assign(tf.shape(part))
                    kept.assign(_fitted(part, kept.shape))
            return tf.constant(False)

        if not is_shared():
            tf.cond(good, go, stop)
            return
        # Replicas meet for an update, which they can only outside of a condition. To copy all
        # that it changes takes time, which one replica alone saves (benchmarks/NOTEBOOK.md).
        old = [*before, *((variable, tf.identity(variable.value)) for variable in updated)]
        update()
        for variable, value in old:
            variable.assign(tf.where(good, variable.value, value))
        tf.cond(finite | self.tripped, lambda: tf.constant(False), keep)

    def batch(self) -> Batch | None:
        """The batch that was kept, as far as there was room."""
        if not self._kept:
            return None
        flat = [
            kept[tuple(slice(int(size)) for size in shape.numpy())]
            for kept, shape in zip(self._kept, self._shapes, strict=True)
        ]
        return Batch(**tree.pack_sequence_as(self._structure, flat))

    @property
    def is_whole(self) -> bool:
        """Whether the kept batch is all of the batch."""
        return all(
            (kept.numpy().shape >= shape.numpy()).all()
            for kept, shape in zip(self._kept, self._shapes, strict=True)
        )

    @property
    def loss(self) -> float:
        """The loss that the kept batch gave."""
        return float(self._loss.numpy())

    def report(self, locate: Callable[[Batch], str]) -> None:
        """Raises a `FloatingPointError` if an update was refused; `locate` says where it arose."""
        if not self.tripped.numpy():
            return
        kept = self.batch()
        where = ""
        if kept is not None and self.is_whole:
            where = f" {locate(kept)} The batch is kept as model.finite_guard.batch()."
        elif kept is not None:
            where = (
                " The batch was larger than expected, so only a part of it is kept as "
                "model.finite_guard.batch(); jit_compile=False keeps it whole."
            )
        raise FloatingPointError(
            f"Training stopped: a batch gave the loss {self.loss} or a gradient that is not "
            f"finite. The weights are those from before it.{where} Try a lower learning rate, or "
            "clipnorm=1.0 in the optimizer."
        )


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends training with a `FloatingPointError` as soon as the model's guard has tripped."""

    per_execution = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.finite_guard.report(self.model.locate_non_finite)


class RefuseEmptyEpochs(keras.callbacks.Callback):
    """Raises a ValueError after an epoch without a batch, whose loss would be said to be 0."""

    per_execution = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self._batches:
            raise ValueError(
                f"There was no batch left for epoch {epoch + 1}: x is an empty dataset, or one "
                "that can be read once only and was read before (by an epoch, or for the "
                "statistics of a layer such as StandardizeBijection). Give a tf.data.Dataset that "
                "starts anew each time, or take one epoch."
            )


def _fitted(part: Tensor, shape: tf.TensorShape) -> Tensor:
    """The part, cropped and padded to a shape if that is fixed."""
    if None in shape:
        return part
    part = part[tuple(slice(size) for size in shape)]
    missing = tf.constant(shape.as_list()) - tf.shape(part)
    return tf.pad(part, tf.stack([tf.zeros_like(missing), missing], axis=1))


def first_non_finite(names: list[str], values: list[Tensor]) -> str | None:
    """The name that belongs to the first value holding NaN or infinity."""
    for name, value in zip(names, values, strict=True):
        array = np.asarray(tf.cast(value, tf.float32)) if value.dtype.is_floating else None
        if array is not None and not np.isfinite(array).all():
            return name
    return None


def _of_ranks(shapes: list[tf.TensorShape]) -> list[tuple[int, bool]]:
    return [(shape.rank, shape.is_fully_defined()) for shape in shapes]


def _enlarged(before: tf.TensorShape, wanted: tf.TensorShape) -> tf.TensorShape:
    """A shape that holds what is wanted, at least twice as large where the one before does not."""
    return tf.TensorShape(
        old if old is None or new <= old else max(new, 2 * old)
        for old, new in zip(before, wanted, strict=True)
    )
