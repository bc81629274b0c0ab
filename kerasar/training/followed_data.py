"""Data whose passes are counted, so that a training knows its place in them and finds it again.

Keras makes an iterator for each pass. The order of a pass follows from seeds and from how many
passes were begun before, so a place is a number of passes and a number of batches.
"""

import copy
from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Followed:
    """The place in a dataset.

    Args:
        dataset: a `tf.data.Dataset`, or one that a strategy has distributed.
        passes: how many passes were begun before the one to start with.
        batches: how many batches of that one are left out.
    """

    def __init__(self, dataset: Any, passes: int = 0, batches: int = 0) -> None:
        for _ in range(passes):
            iter(dataset)  # moves the seeds of its order on; reads nothing
        self._begun, self._left_out = passes, batches
        self._dataset = dataset
        self._iterator: Any = None
        #: Whether nothing was read yet of the pass that was begun last.
        self.is_fresh = False
        kind = type(dataset)
        members = {"__iter__": lambda _: self._begin(), "__module__": kind.__module__}
        #: The dataset for Keras.
        self.data = copy.copy(dataset)
        self.data.__class__ = type(kind.__name__, (kind,), members)

    def passes_before(self, between: bool) -> int:
        """How many passes were begun before the present one, or the next if one is over."""
        return self._begun - self.is_fresh - (not between)

    def _begin(self) -> Any:
        # Keras begins one at an epoch's end, if it knows its length, and at the next one's start.
        if not self.is_fresh:
            self._iterator = iter(self._dataset)
            self._begun += 1
            for _ in range(self._left_out):
                next(self._iterator)
            self._left_out, self.is_fresh = 0, True
        return self._iterator


def passing_over(
    step: Callable[[Any], Any], count: int, per_execution: int, logs: Callable[[], Any]
) -> Callable[[Any], Any]:
    """A training function that at first moves on in the data only.

    Args:
        step: a training function of Keras: takes an iterator, runs an execution, returns logs.
        count: so many steps are passed over.
        per_execution: the steps of an execution.
        logs: gives the logs of an execution that is passed over.
    """
    left = count

    def follow(iterator: Any) -> Any:
        nonlocal left
        if left <= 0:
            return step(iterator)
        passed = 0
        try:
            for _ in range(per_execution):
                next(iterator)
                passed += 1
        except (StopIteration, tf.errors.OutOfRangeError):
            if not passed:
                raise
        left -= per_execution
        return logs()

    return follow
