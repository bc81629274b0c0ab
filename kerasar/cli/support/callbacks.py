"""Callbacks of `kerasar train`: keep the best model, log and show the progress."""

import csv
import time
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.quick import quick_samples
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.signals import uninterrupted
from kerasar.cli.support.speed import Speed
from kerasar.cli.support.tensorboard import EventWriter
from kerasar.cli.support.training_plan import MONITOR, TrainingPlan
from kerasar.disk import disk_errors
from kerasar.pictures.pixels import enlarge, factor_for, mosaic, to_rgb
from kerasar.typing import Config


class KeepBest(keras.callbacks.Callback):
    """Saves the model whenever the validation examples are likelier than ever before."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self.best = self.start = float("inf")
        self.epoch = 0
        self._weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.take(float((logs or {})[MONITOR]), epoch + 1)

    def take(self, reached: float, epoch: int) -> None:
        """Keeps the model as it is after an epoch, if that reached less than all before."""
        if epoch == 0:
            self.start = reached
        if reached < self.best:
            self._keep(reached, epoch)

    def return_to_start(self, weights: list[Any]) -> None:
        """Keeps the model with the weights that it began with, whose `take` was that of epoch 0."""
        self.model.set_weights(weights)
        self._keep(self.start, 0)

    def _keep(self, reached: float, epoch: int) -> None:
        weights = self.model.get_weights()
        with uninterrupted():  # the file and what is known of it change together
            self.run.save_model(self.model)
            self.best, self.epoch, self._weights = reached, epoch, weights

    def get_training_state(self) -> Config:
        """The best so far, for a checkpoint."""
        return {"best": self.best, "epoch": self.epoch, "weights": self._weights}

    def set_training_state(self, state: Config) -> None:
        """Takes back what was best when a checkpoint was written."""
        self.best, self.epoch, self._weights = (state[n] for n in ("best", "epoch", "weights"))

    def restore(self) -> None:
        """Restores the best weights. Some must have been taken."""
        self.model.set_weights(self._weights)


class History(keras.callbacks.Callback):
    """Writes `history.csv`, a row for each epoch, and the same curves for TensorBoard."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.file = run.path / "history.csv"
        self._folder = run.path / "tensorboard"
        self._writers: dict[str, EventWriter] = {}
        self._began = 0.0
        self._rows = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seconds = time.monotonic() - self._began
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **values, "seconds": round(seconds, 3)}
        is_new = not self.file.exists()
        self._rows += 1
        with disk_errors(self.file), self.file.open("a", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, row)
            if is_new:
                rows.writeheader()
            rows.writerow(row)
        for name, value in values.items():
            # TensorBoard lays curves of one name from two folders over each other.
            part = "validation" if name.startswith("val_") else "train"
            if part not in self._writers:
                self._writers[part] = EventWriter(self._folder / part)
            self._writers[part].scalar(name.removeprefix("val_"), value, epoch + 1)
        norm = float(self.model.finite_guard.gradient_norm.numpy())
        self._writers["train"].scalar("gradient_norm", norm, epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def get_training_state(self) -> Config:
        """How many epochs there are, for a checkpoint."""
        return {"rows": self._rows}

    def set_training_state(self, state: Config) -> None:
        """Goes on after so many epochs: later ones come again."""
        self._rows = state["rows"]
        if self.file.exists():
            lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
            with atomic_write(self.file) as file:
                file.write_text("".join(lines[: 1 + self._rows]), encoding="utf-8")

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()


class SampleImages(keras.callbacks.Callback):
    """Draws 16 samples of one seed every few epochs, for TensorBoard."""

    def __init__(self, run: RunFolder, levels: int, every: int) -> None:
        super().__init__()
        self.run, self.levels, self.every = run, levels, every
        self._writer = EventWriter(run.path / "tensorboard" / "samples")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self.every:
            return
        samples = quick_samples(self.run, self.model, 16)
        cells = to_rgb(samples, self.levels)
        cells = enlarge(cells, factor_for(cells.shape[1], cells.shape[2], 64))
        self._writer.image("samples", np.asarray(mosaic(cells, 4, 4)), epoch + 1)
        self._writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self._writer.close()


#: What takes long before any step is done: a minute and more for large images.
_COMPILING = "the first step is being compiled"


class TrainingProgress(keras.callbacks.Callback):
    """A progress bar on a terminal; a printed line for each epoch elsewhere.

    `describe` has the words for a line in between.

    Args:
        console: where to print.
        plan: of the training.
        unit: the word for what bits are divided by.
        noun: the word for examples.
    """

    per_execution = True

    def __init__(self, console: Console, plan: TrainingPlan, unit: str, noun: str) -> None:
        super().__init__()
        self.console, self.plan, self.unit = console, plan, unit
        self._best = float("inf")
        self._epoch = 0
        self._began, self._before = time.monotonic(), 0.0
        self._speed = Speed(plan.batch_size, noun.split()[0])
        self._logs: Any = {}
        self._bar = Progress(
            TextColumn(plan.word + " {task.fields[epoch]}/" + str(plan.epochs)),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[news]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1.0, epoch=1, speed="", news=_COMPILING)

    @property
    def seconds(self) -> float:
        """How long training took, with what it took before it was resumed."""
        return self._before + time.monotonic() - self._began

    def get_training_state(self) -> Config:
        """The best so far and the time, for a checkpoint."""
        return {"best": self._best, "seconds": self.seconds}

    def set_training_state(self, state: Config) -> None:
        """Goes on from there."""
        self._best, self._before = state["best"], state["seconds"]
        self._began = time.monotonic()

    def on_train_begin(self, logs: Any = None) -> None:
        self._began = time.monotonic()
        self._bar.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._speed.begin_epoch()
        self._bar.update(self._task, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._logs:
            self._bar.update(self._task, news="")
        self._logs = logs or {}
        done = self.plan.done(self._epoch, batch)
        self._speed.count(batch, done)
        self._bar.update(self._task, completed=done)
        if self.console.is_terminal and self._speed.seconds > 1:
            self._bar.update(self._task, speed=self._speed.take()[0])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        self._best = min(self._best, float(logs[MONITOR]))
        news = (
            f"bits/{self.unit}: train {logs['bits_per_dim']:.3f}, validation {logs[MONITOR]:.3f} "
            f"(best {self._best:.3f})"
        )
        completed = self.plan.done(epoch, self.plan.batches)
        self._bar.update(self._task, completed=completed, news=news)
        if not self.console.is_terminal:
            count = f"{self.plan.word} {epoch + 1}/{self.plan.epochs}"
            self.console.print(f"{count}  {news}", highlight=False)

    def describe(self) -> str:
        """How far training is, in a line."""
        task = self._bar.tasks[0]
        parts = [f"{task.percentage:.0f} % of training"]
        if not self._logs:
            parts.append(_COMPILING)
        if "bits_per_dim" in self._logs:
            parts.append(f"{float(self._logs['bits_per_dim']):.3f} bits/{self.unit}")
        speed, left = self._speed.take()
        parts += [part for part in (speed, left) if part]
        return f"{self.plan.word} {task.fields['epoch']}/{self.plan.epochs}  {', '.join(parts)}"

    def stop(self) -> None:
        """Removes the progress bar, also after an interruption."""
        self._bar.stop()
