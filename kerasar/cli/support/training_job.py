"""Trains a model, evaluates it, and writes all that a run folder holds."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kerasar.cli.kinds import DataKind
from kerasar.cli.kinds.kind import TrainingData, for_evaluation, in_words, num_examples, values_of
from kerasar.cli.support.callbacks import History, KeepBest, TrainingProgress
from kerasar.cli.support.capabilities import describe_result
from kerasar.cli.support.heartbeat import heartbeat, status
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder, has_checkpoints
from kerasar.cli.support.shell import quoted, styled
from kerasar.cli.support.signals import requests_arrive
from kerasar.cli.support.training_plan import TrainingPlan, optimizer_name
from kerasar.data.lazy_rows import is_lazy

if TYPE_CHECKING:
    from kerasar.training import Checkpoints, DensityModel


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """One training of a model.

    Attributes:
        run: the new run, whose `config` holds the settings.
        kind: of the data.
        model: a model that was just built.
        data: what it is trained on.
        console: where to print.
        checkpoints: the folder of the checkpoints.
        intervals: `every_minutes` and `every_steps` of the checkpoints.
    """

    run: RunFolder
    kind: DataKind
    model: DensityModel
    data: TrainingData
    console: Console
    checkpoints: Path
    intervals: Mapping[str, Any]

    def print_summary(self, spec: str) -> None:
        """Prints what is trained on what."""
        counts, config = self.data.counts, self.run.config
        minutes, epochs = config["minutes"], config["epochs"]
        optimizer = optimizer_name(config).capitalize()
        long = f"{epochs} epoch{'s' * (epochs > 1)}" if minutes is None else f"{minutes:g} minutes"
        self.console.print(
            styled(
                f"{config['model']} ({self.model.count_params():,} weights) on {spec}: "
                f"{counts['train']:,} {self.kind.noun} for training, {counts['validation']:,} for "
                f"validation, {counts['test']:,} for testing; {self.data.about}. "
                f"{long.capitalize()} in batches of {config['batch_size']}, "
                f"{optimizer} at a rate of {config['learning_rate']:g}."
            )
        )

    def fit(self) -> BaseException | None:
        """Trains, and leaves the model with its best weights.

        Returns:
            What ended training early, if all that comes after it can still be done.

        Raises:
            BaseException: what ended it, unless that were the numbers, after its first epoch.
        """
        plan = TrainingPlan(self.run.config, self.data.train, self.data.validation)
        best, progress = KeepBest(self.run), self._progress(plan)
        start = self._begin(plan, best)
        stopped_by = self._train(plan, best, progress)
        best.restore()
        if start is not None and best.epoch:
            with status("comparing with the start", self.console):
                better = self.kind.has_learned(self.model, self.data, start)
            if not better:
                best.return_to_start(start)
        self._note(best, progress, stopped_by)
        self.run.save_config()
        self.console.print(
            f"Trained for {progress.seconds:.0f} s. {self._best_in_words(best, plan)}: "
            f"{best.best:.3f} bits/{self.kind.unit} on the validation {self.kind.noun}."
        )
        return stopped_by

    def _begin(self, plan: TrainingPlan, best: KeepBest) -> list[Any] | None:
        """Prepares the model; the weights that it starts with, if they are of use themselves."""
        model = self.model
        with model.distribute_strategy.scope():
            # Replicas are not compiled by XLA.
            alone = model.distribute_strategy.num_replicas_in_sync == 1
            compilation = self.run.config.get("compilation", {}) if alone else {}
            model.compile(plan.optimizer(model.clip_norm), **compilation)
        model.adapt_to_data(plan.one_pass)
        best.set_model(model)
        start = model.get_weights() if self.kind.start(model, self.data) else None
        if has_checkpoints(self.checkpoints):
            self.console.print(styled(f"Going on with the training in '{self.run.path}'."))
        elif start is not None:
            found = model.evaluate(
                plan.validation, batch_size=plan.batch_size, verbose=0, return_dict=True
            )
            best.take(found["bits_per_dim"], 0)
        return start

    def _train(
        self, plan: TrainingPlan, best: KeepBest, progress: TrainingProgress
    ) -> BaseException | None:
        """Trains as planned. Returns and raises as `fit` does."""
        model = self.model
        is_shared = model.distribute_strategy.num_replicas_in_sync > 1
        others = [] if is_shared else self.kind.callbacks(self.run, model, plan.epochs)
        looking = [best, History(self.run), *others, progress, self._checkpoints()]
        try:
            with heartbeat(progress.describe, self.console), requests_arrive():
                model.fit(
                    plan.data,
                    validation_data=plan.validation,
                    batch_size=plan.batch_size,
                    shuffle=False,  # the pipeline does it
                    verbose=0,
                    callbacks=[*plan.callbacks, *looking],
                    **plan.fit_options,
                )
        except BaseException as error:
            if best.epoch == 0:
                raise
            if isinstance(error, FloatingPointError):
                return error
            self._note(best, progress, error)
            with contextlib.suppress(OSError):  # its own error is the one to show
                self.run.save_config()
            raise
        finally:
            progress.stop()
        return None

    def _progress(self, plan: TrainingPlan) -> TrainingProgress:
        return TrainingProgress(self.console, plan, self.kind.unit, self.kind.noun)

    def _note(
        self, best: KeepBest, progress: TrainingProgress, stopped_by: BaseException | None
    ) -> None:
        """Notes in the settings of the run how training went."""
        self.run.config["training"] = {
            "seconds": round(progress.seconds, 1),
            "best_epoch": best.epoch,
            "steps": int(self.model.optimizer.iterations.value.numpy()),
            "validation_bits_per_dim": best.best,
            "stopped_early_by": None if stopped_by is None else type(stopped_by).__name__,
        }

    def _checkpoints(self) -> Checkpoints:
        from kerasar.training import Checkpoints

        parts = {"training data": self.data.train, "validation data": self.data.validation}
        return Checkpoints(self.checkpoints, also=parts, hint="", **self.intervals)

    def _best_in_words(self, best: KeepBest, plan: TrainingPlan) -> str:
        if not best.epoch:
            return "The start was best"
        return f"{plan.word.capitalize()} {best.epoch} was best"

    def finish(self) -> None:
        """Evaluates the model on the test data, draws its pictures, and exports it."""
        run, kind, test = self.run, self.kind, self.data.test
        is_large = isinstance(test, dict) or is_lazy(values_of(test))
        batch_size = min(32, run.config["batch_size"]) if is_large else 32
        with status(f"evaluating the test {kind.noun}", self.console):
            judged = for_evaluation(test, batch_size)
            found = self.model.evaluate(judged, batch_size=batch_size, verbose=0, return_dict=True)
        more = kind.more_results(run, test, found["loss"] * num_examples(test))
        test_result = {"nats": found["loss"], "bits_per_dim": found["bits_per_dim"]}
        run.config["test"] = test_result | {name.replace(" ", "_"): more[name] for name in more}
        run.save_config()
        result = describe_result(self.model, f"{found['bits_per_dim']:.3f} bits/{kind.unit}")
        self.console.print(
            f"Held-out test {kind.noun} ({num_examples(test):,}): [bold]{result}[/bold], "
            f"{found['loss']:.2f} nats {kind.an_example}{in_words(more)}."
        )
        with status("judging", self.console):
            sentence = kind.judge(run, self.model, self.data)
        if sentence is not None:
            self.console.print(sentence)
        with status("drawing samples", self.console):
            kind.showcase(run, self.model, self.data, result)
        with status("exporting for TensorFlow Serving", self.console):
            with atomic_write(run.path / "export" / "1") as folder:
                kind.export(run, self.model, folder)
        shutil.rmtree(run.checkpoints, ignore_errors=True)

    def print_next_steps(self, spec: str, command: str) -> None:
        """Prints where everything is, and commands to go on with."""
        path = self.run.path
        pictures = " and ".join(name for name in self.kind.pictures if (path / name).exists())
        say = self.console.print
        say()
        say(styled("Everything is in ", (path, "bold"), f": look at {pictures}."))
        say("Next:", style="dim")
        logs = f"tensorboard --logdir {quoted(path / 'tensorboard')}"
        steps = self.kind.next_steps(self.run, self.model, spec)
        lines = [(f"{quoted(command)} {arguments}", what) for arguments, what in steps]
        for line, what in (*lines, (logs, "curves (pip install tensorboard)")):
            say(styled("  ", (line, "bold"), "  ", (what, "dim")))
