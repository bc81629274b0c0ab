"""Training for a stretch of time: a learning rate that has come to 0 when the time is up."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from kerasar.arguments import checks_arguments
from kerasar.keras_internals import rate_schedule
from kerasar.typing import Config


def _minutes() -> float:
    return time.monotonic() / 60


class TimeBudget(keras.callbacks.Callback):
    """Ends training after some minutes, its learning rate falling along a cosine on the way.

    The rate rises linearly over the first fiftieth of the time, and is 0 at its end. Give `fit`
    more `epochs` than it will need. All that `fit` does counts, compiling and validation too; for
    a last validation as much time is kept as the longest one took.

    Args:
        minutes: float, above 0.
        learning_rate: float, above 0. The highest rate.
        rounds: int. Into how many epochs of equal time training falls, so that validation comes at
            regular times; `fit` then takes a data set that repeats without end and a
            `steps_per_epoch` that is never reached. None leaves epochs as they are.
        clock: function of no arguments, minutes on a clock; the one on the wall if None.

    Raises:
        ValueError: in `fit`, if the optimizer has a schedule of its own.

    Example:
        >>> import keras, kerasar
        >>> budget = kerasar.training.TimeBudget(minutes=0.01, learning_rate=2e-3)
        >>> x = kerasar.data.toy_sequences(100, length=8)
        >>> model = kerasar.models.CausalConvNet(8, 16, filters=8, dilations=(1,))
        >>> model.compile("adam")
        >>> history = model.fit(x, epochs=1000, callbacks=[budget], verbose=0)
    """

    per_execution = True

    @checks_arguments
    def __init__(
        self,
        minutes: float,
        learning_rate: float,
        *,
        rounds: int | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("minutes", minutes), ("learning_rate", learning_rate)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, but got {value:g}.")
        if rounds is not None and rounds < 1:
            raise ValueError(f"rounds must be at least 1, but got {rounds}.")
        self.minutes, self.learning_rate, self.rounds = minutes, learning_rate, rounds
        self._clock = _minutes if clock is None else clock
        self._began: float | None = None
        self._first = 0.0
        self._validation, self._validation_began, self._round = 0.0, 0.0, 0
        self._only_a_round = False

    @property
    def elapsed(self) -> float:
        """Minutes since training began; 0 before."""
        return 0.0 if self._began is None else self._clock() - self._began

    @property
    def done(self) -> float:
        """Which part of the time is over, from 0 to 1."""
        return min(self.elapsed / max(self.minutes - self._validation, 1e-9), 1.0)

    def get_training_state(self) -> Config:
        """How much of the time is over, for `Checkpoints`."""
        names = ("_first", "_validation", "_round", "_only_a_round")
        return {"elapsed": self.elapsed, **{name: getattr(self, name) for name in names}}

    def set_training_state(self, state: Config) -> None:
        """Goes on from there: time between does not count."""
        others = dict(state)
        self._began = self._clock() - others.pop("elapsed")
        for name, value in others.items():
            setattr(self, name, value)

    def on_train_begin(self, logs: Any = None) -> None:
        schedule = rate_schedule(self.model.optimizer)
        if schedule is not None:
            raise ValueError(
                "TimeBudget sets the learning rate, but the optimizer has a schedule of its own, "
                f"{type(schedule).__name__}. Compile with a number instead."
            )
        if self._began is None:  # one training may be several calls of `fit`
            self._began = self._clock()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = self.done
        if not self._first:  # compiling is over
            self._first = min(done, 0.9)
        part = max((done - self._first) / (1 - self._first), 0.0)
        rate = self.learning_rate * min(50 * part + 0.02, 0.5 + 0.5 * math.cos(math.pi * part))
        self.model.optimizer.learning_rate.assign(rate)
        self._only_a_round = done < 1
        if done >= 1 or (self.rounds and done >= (self._round + 1) / self.rounds):
            self.model.stop_training = True  # ends the epoch

    def on_test_begin(self, logs: Any = None) -> None:
        self._validation_began = self._clock()

    def on_test_end(self, logs: Any = None) -> None:
        took = self._clock() - self._validation_began
        self._validation = min(max(self._validation, took), self.minutes / 2)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.rounds and self.model.stop_training and self._only_a_round and self.done < 1:
            self.model.stop_training = False
            self._round = math.floor(self.done * self.rounds)
