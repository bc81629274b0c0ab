"""Training for a stretch of time: a learning rate that falls along a cosine until time is up."""

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


class CosineInTime(keras.callbacks.Callback):
    """Ends training after some minutes, its learning rate falling from `peak` to 0 on the way.

    The rate rises linearly over the first fiftieth. Compiling, which ends with the first call
    back, is not counted.

    Args:
        minutes: of training.
        peak: the highest learning rate.
        kind: which clock, `WALL` or `CPU`.
    """

    per_execution = True

    def __init__(self, minutes: float, peak: float, kind: str = WALL) -> None:
        super().__init__()
        self.minutes, self.peak, self.kind = minutes, peak, kind
        self.start: float | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = clock(self.kind)
        self.start = now if self.start is None else self.start
        done = min((now - self.start) / self.minutes, 1.0)
        rate = self.peak * min(50 * done + 0.02, 0.5 + 0.5 * math.cos(math.pi * done))
        self.model.optimizer.learning_rate.assign(rate)
        if done >= 1:
            self.model.stop_training = True


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
