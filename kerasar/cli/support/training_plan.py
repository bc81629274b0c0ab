"""How long a training is and how its learning rate runs: so many epochs, or so many minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from kerasar.cli.kinds.kind import Batch, for_evaluation, num_examples, take
from kerasar.data import pipeline
from kerasar.training import TimeBudget

#: Validations of a training by the clock, and how many examples each of them takes.
_ROUNDS, _VALIDATED = 10, 1_000


class TrainingPlan:
    """What `fit` is given besides the model.

    Args:
        settings: "epochs" or "minutes", "batch_size", "learning_rate" and "seed".
        train: the training examples.
        validation: the validation examples.
    """

    def __init__(self, settings: Mapping[str, Any], train: Batch, validation: Batch) -> None:
        minutes, rate = settings["minutes"], settings["learning_rate"]
        self.batch_size = settings["batch_size"]
        #: Batches of a whole pass.
        self.batches = math.ceil(num_examples(train) / self.batch_size)
        #: Every example once, for layers that take their statistics from the data.
        self.one_pass = pipeline(train, self.batch_size, seed=settings["seed"])
        self.data = self.one_pass
        self.budget: TimeBudget | None = None
        judged = validation if minutes is None else take(validation, slice(0, _VALIDATED))
        self.validation = for_evaluation(judged, self.batch_size)
        if minutes is None:
            self.epochs = settings["epochs"]
            self.rate: Any = keras.optimizers.schedules.CosineDecay(
                rate, self.batches * self.epochs
            )
            return
        # In short trainings the beginning, which compiles, is a large part.
        self.epochs, self.rate = max(2, min(_ROUNDS, round(2 * minutes))), rate
        self.budget = TimeBudget(minutes, rate, rounds=self.epochs)
        self.data = self.one_pass.repeat()

    @property
    def fit_options(self) -> dict[str, Any]:
        """Arguments of `fit`."""
        if self.budget is None:
            return {"epochs": self.epochs}
        # A round too many is never begun; steps end by the clock.
        return {"epochs": 10 * self.epochs, "steps_per_epoch": 20 * 10**7}

    def done(self, epoch: int, batch: int) -> float:
        """Which part of training is over after a batch of an epoch, from 0 to 1."""
        if self.budget is not None:
            return self.budget.done
        return (epoch + min(batch / self.batches, 1.0)) / self.epochs

    @property
    def callbacks(self) -> list[keras.callbacks.Callback]:
        """That make the plan come true."""
        return [] if self.budget is None else [self.budget]

    @property
    def word(self) -> str:
        """What a stretch of training between two validations is called."""
        return "epoch" if self.budget is None else "round"
