"""How many training steps run in one execution, and whether XLA compiles them.

What is asked for stays exact. XLA takes seconds and megabytes for each shape of a batch, and frees
none of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    ModelCheckpoint,
    ProgbarLogger,
    TensorBoard,
)

#: For how many shapes of batches training is compiled, unless the user asks for it.
MOST_COMPILED_SHAPES = 8

_HOOKS = [f"on_{kind}batch_{end}" for kind in ("", "train_", "test_") for end in ("begin", "end")]

#: Callbacks of Keras whose hooks for batches do nothing, or nothing that counts, as they are set.
_WITHOUT_EFFECT: dict[type, Callable[[Any], bool]] = {
    Callback: lambda callback: True,
    ProgbarLogger: lambda callback: True,
    ModelCheckpoint: lambda callback: callback.save_freq == "epoch",
    BackupAndRestore: lambda callback: callback.save_freq in ("epoch", False),
    TensorBoard: lambda callback: (
        callback.update_freq == "epoch"
        and not callback.write_steps_per_second
        and not getattr(callback, "_should_trace", False)
    ),
}


def callback_list(callbacks: Any) -> list[Any]:
    """Callbacks as Keras takes them: None, one, several, or a `CallbackList`."""
    if isinstance(callbacks, CallbackList):
        return list(callbacks.callbacks)
    if isinstance(callbacks, (list, tuple)):
        return list(callbacks)
    return [] if callbacks is None else [callbacks]


def steps_that_divide(largest: int, *asked: int | None) -> int:
    """The largest count of steps, at most `largest`, that divides every count asked for.

    Keras runs whole executions: with 20 steps in each, 5 steps asked for would become 20.
    """
    counts = [count for count in asked if count]
    return max(n for n in range(1, largest + 1) if all(count % n == 0 for count in counts))


def count_batches(callbacks: Sequence[Any]) -> bool:
    """Whether one of the callbacks does something at batches, so that it must see each of them.

    A callback of a class with `per_execution = True` is content with a call after several.
    """
    return any(_counts(callback) for callback in callbacks)


def _counts(callback: Any) -> bool:
    if getattr(callback, "per_execution", False):
        return False
    for hook in _HOOKS:
        if hook in vars(callback):  # as those of a LambdaCallback
            return True
        owner = next((kind for kind in type(callback).__mro__ if hook in vars(kind)), Callback)
        if owner not in _WITHOUT_EFFECT or not _WITHOUT_EFFECT[owner](callback):
            return True
    return False


def batch_shapes(x: Any, batch_size: int) -> set[tuple[int | None, ...]]:
    """The shapes of the batches of arrays, or of a dataset, where None is any number.

    Args:
        x: an array, a dict of such with the key "x", or a `tf.data.Dataset`.
        batch_size: of arrays.
    """
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec
        return {tuple((spec["x"] if isinstance(spec, dict) else spec).shape)}
    x = x["x"] if isinstance(x, dict) else x
    sizes = {min(batch_size, len(x)), len(x) % batch_size or batch_size}
    return {(size, *x.shape[1:]) for size in sizes if size <= len(x)}
