"""Trains a model, evaluates it, and writes all that a run folder holds."""

import math
import time
from dataclasses import dataclass
from typing import Any

import keras
from rich.console import Console

from kerasar.cli.kinds import DataKind
from kerasar.cli.kinds.kind import TrainingData, num_examples
from kerasar.cli.support.callbacks import History, KeepBest, TrainingProgress
from kerasar.cli.support.capabilities import describe_result
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import pipeline


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """One training of a model.

    Attributes:
        run: the new run, whose `config` holds the settings.
        kind: of the data.
        model: a model that was just built.
        data: what it is trained on.
        console: where to print.
    """

    run: RunFolder
    kind: DataKind
    model: Any
    data: TrainingData
    console: Console

    def print_summary(self, spec: str) -> None:
        """Prints what is trained on what."""
        counts = self.data.counts
        self.console.print(
            f"{self.run.config['model']} ({self.model.count_params():,} weights) on {spec}: "
            f"{counts['train']:,} {self.kind.noun} for training, {counts['validation']:,} for "
            f"validation, {counts['test']:,} for testing; {self.data.about}."
        )

    def fit(self) -> FloatingPointError | KeyboardInterrupt | None:
        """Trains, and leaves the model with its best weights. Returns what ended it early."""
        config, model = self.run.config, self.model
        epochs, batch_size = config["epochs"], config["batch_size"]
        steps = math.ceil(num_examples(self.data.train) / batch_size)
        rate = keras.optimizers.schedules.CosineDecay(config["learning_rate"], steps * epochs)
        model.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=model.clip_norm))
        best = KeepBest(self.run)
        best.set_model(model)
        progress = TrainingProgress(self.console, epochs, steps, self.kind.unit)
        others = self.kind.callbacks(self.run, model, epochs)
        began = time.monotonic()
        stopped_by: FloatingPointError | KeyboardInterrupt | None = None
        try:
            model.fit(
                pipeline(self.data.train, batch_size, seed=config["seed"]),
                validation_data=self.data.validation,
                batch_size=batch_size,
                epochs=epochs,
                shuffle=False,  # the pipeline does it
                verbose=0,
                callbacks=[best, History(self.run), *others, progress],
            )
        except FloatingPointError as error:
            if best.epoch == 0:
                raise
            stopped_by = error
        except KeyboardInterrupt as error:
            stopped_by = error
            progress.stop()
            self.console.print(
                "Stopped. The best model so far is kept; the run folder is being finished."
            )
        finally:
            progress.stop()
        best.restore()
        seconds = time.monotonic() - began
        config["training"] = {
            "seconds": round(seconds, 1),
            "best_epoch": best.epoch,
            "validation_bits_per_dim": best.best if best.epoch else None,
            "stopped_early_by": None if stopped_by is None else type(stopped_by).__name__,
        }
        if best.epoch:
            self.console.print(
                f"Trained for {seconds:.0f} s. Epoch {best.epoch} was best: {best.best:.3f} "
                f"bits/{self.kind.unit} on the validation {self.kind.noun}."
            )
        return stopped_by

    def finish(self) -> None:
        """Evaluates the model on the test data, draws its pictures, and exports it."""
        run, kind, test = self.run, self.kind, self.data.test
        batch_size = min(32, run.config["batch_size"]) if isinstance(test, dict) else 32
        with self.console.status(f"evaluating the test {kind.noun}"):
            found = self.model.evaluate(test, batch_size=batch_size, verbose=0, return_dict=True)
        run.config["test"] = {"nats": found["loss"], "bits_per_dim": found["bits_per_dim"]}
        run.save_config()
        result = describe_result(self.model, f"{found['bits_per_dim']:.3f} bits/{kind.unit}")
        self.console.print(
            f"Held-out test {kind.noun} ({num_examples(test):,}): [bold]{result}[/bold], "
            f"{found['loss']:.2f} nats {kind.an_example}."
        )
        with self.console.status("drawing samples"):
            kind.showcase(run, self.model, self.data, result)
        with self.console.status("exporting for TensorFlow Serving"):
            self.model.export(str(run.path / "export" / "1"))

    def print_next_steps(self, spec: str, command: str) -> None:
        """Prints where everything is, and commands to go on with."""
        path = self.run.path
        shown = " and ".join(name for name in self.kind.pictures if (path / name).exists())
        self.console.print(f"\nEverything is in [bold]{path}[/bold]: look at {shown}.")
        self.console.print("Next:", style="dim")
        for arguments, what in self.kind.next_steps(self.run, self.model, spec):
            self.console.print(f"  [bold]{command} {arguments}[/bold]  [dim]{what}[/dim]")
        self.console.print(
            f"  [bold]tensorboard --logdir {path}/tensorboard[/bold]  "
            "[dim]curves (pip install tensorboard)[/dim]"
        )
