"""Clocks for trainings that take a stretch of time, and what is kept of them."""

import functools
import math
import time
from typing import Any

import keras

from benchmarks.common.arguments import WALL
from benchmarks.common.report import cores


def clock(kind: str) -> float:
    """Minutes on a clock: the one on the wall, or processor time shared out over the cores in use.

    Beside other work the second says how long the same takes on a quiet machine, at the most.
    """
    return (time.monotonic() if kind == WALL else time.process_time() / cores()) / 60


def time_budget(minutes: float, learning_rate: float, kind: str) -> Any:
    """A `kerasar.training.TimeBudget` on that clock."""
    from kerasar.training import TimeBudget

    return TimeBudget(minutes, learning_rate, clock=functools.partial(clock, kind))


class KeepBest(keras.callbacks.Callback):
    """Saves the model whenever its validation loss is the lowest so far, and keeps a record.

    Args:
        path: of the `.keras` file.
    """

    def __init__(self, path: Any) -> None:
        super().__init__()
        self.path, self.best, self.best_epoch = path, math.inf, -1
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        record = {name: round(float(logs[name]), 4) for name in ("loss", "val_loss")}
        self.history.append(record)
        print(f"epoch {epoch}: train {record['loss']}, valid {record['val_loss']}", flush=True)
        if logs["val_loss"] < self.best:
            self.best, self.best_epoch = float(logs["val_loss"]), epoch
            self.model.save(self.path)
