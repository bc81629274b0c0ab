"""How long a training is and how its learning rate runs: so many epochs, or so many minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from kerasar.cli.kinds.kind import Batch, for_evaluation, num_examples, take
from kerasar.data import pipeline
from kerasar.training import Muon, TimeBudget

#: What the best epoch is chosen by.
MONITOR = "val_bits_per_dim"

#: What `--optimizer` names.
OPTIMIZERS = {"adam": keras.optimizers.Adam, "muon": Muon}

#: Validations of a training by the clock, and how many examples each of them takes.
_ROUNDS, _VALIDATED = 10, 1_000


def optimizer_name(settings: Mapping[str, Any]) -> str:
    """The optimizer's name in the settings of a run; runs of before have none."""
    return str(settings.get("optimizer", "adam"))


class TrainingPlan:
    """What `fit` is given besides the model.

    Args:
        settings: what `config.json` keeps on how to train, from "epochs" to "patience".
        train: the training examples.
        validation: the validation examples.
    """

    def __init__(self, settings: Mapping[str, Any], train: Batch, validation: Batch) -> None:
        minutes, self._settings = settings["minutes"], settings
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
            return
        # In short trainings the beginning, which compiles, is a large part.
        self.epochs = max(2, min(_ROUNDS, round(2 * minutes)))
        self.budget = TimeBudget(minutes, settings["learning_rate"], rounds=self.epochs)
        self.data = self.one_pass.repeat()

    def optimizer(self, clip_norm: float | None) -> keras.optimizers.Optimizer:
        """A new one.

        Args:
            clip_norm: of gradients, where the settings have none.
        """
        averages: dict[str, Any] = {}
        if self._settings["ema"] is not None:
            averages = {"use_ema": True, "ema_momentum": self._settings["ema"]}
        clipped = self._settings["clip_norm"] or clip_norm
        optimizer = OPTIMIZERS[optimizer_name(self._settings)]
        return optimizer(self._rate(), global_clipnorm=clipped, **averages)

    def _rate(self) -> Any:
        """The learning rate, or its schedule.

        Raises:
            ValueError: if it would never come to its highest.
        """
        rate, warmup = self._settings["learning_rate"], self._settings["warmup_steps"]
        if self.budget is not None:
            return rate
        steps, options = self.batches * self.epochs, {}
        if warmup is not None:
            if warmup >= steps:
                raise ValueError(
                    f"--warmup-steps must be below the {steps:,} steps of the training, but got "
                    f"{warmup:,}. Train for more --epochs, or warm up for fewer steps."
                )
            options = {"warmup_target": rate, "warmup_steps": warmup}
        if self._settings["schedule"] == "constant":
            options["alpha"] = 1.0  # the share of the rate that a cosine ends with
        begin = rate if warmup is None else 0.0
        return keras.optimizers.schedules.CosineDecay(begin, steps - (warmup or 0), **options)

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
        """That make the plan come true, before those that look at an epoch's result."""
        found: list[keras.callbacks.Callback] = [] if self.budget is None else [self.budget]
        if (patience := self._settings["patience"]) is not None:
            found.append(keras.callbacks.EarlyStopping(MONITOR, patience=patience, mode="min"))
        return found

    @property
    def word(self) -> str:
        """What a stretch of training between two validations is called."""
        return "epoch" if self.budget is None else "round"
