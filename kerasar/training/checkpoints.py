"""Training that is resumed where it was, to the bit, whatever ended it.

Keras' `BackupAndRestore` begins the epoch anew, with another order of the data and other random
numbers, forgets what callbacks remember, and writes over its only file.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from random import getrandbits
from typing import Any

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, user_path
from kerasar.keras_internals import begin_at_epoch
from kerasar.training.checkpoint_files import Checkpoint, CheckpointFiles
from kerasar.training.fingerprints import as_text, differences, fingerprint
from kerasar.training.followed_data import Followed, passing_over
from kerasar.training.training_state import (
    TrainingState,
    put_metrics,
    put_state,
    take_metrics,
    take_state,
)
from kerasar.training.workers import is_chief
from kerasar.typing import Config

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Where a fingerprint has the learning rate, if that is a number.
_RATE = "model.compile_config.optimizer.config.learning_rate"


class Checkpoints(keras.callbacks.Callback):
    """Saves all of a training now and then, and resumes it where it was.

    Give it to `fit`, and start the same program again after whatever ended it: training goes on in
    the midst of the epoch, and its weights become those of a training that nothing ended, bit for
    bit (on the same machine, and where TensorFlow's own operations repeat). Saved are weights, the
    optimizer with its averages of weights, metrics, the states of random generators, the place in
    the data, and what Keras' callbacks and those of kerasar remember; a callback of your own says
    it by a method `get_training_state`, which returns a dict of numbers, texts and arrays, and
    takes it back in `set_training_state`. Batches of the interrupted epoch that were done before
    are passed over: callbacks see them once more, while the weights stay.

    On Ctrl-C and SIGTERM the step is finished, the training saved, and the signal then does what it
    would have done. Against SIGKILL and power cuts a checkpoint is written every few minutes.

    Data in arrays are shuffled by a seed that is saved. Of a `tf.data.Dataset` the order must
    follow from seeds, and what was read of the pass that was interrupted is read again.

    Args:
        path: of a folder of its own for the checkpoints of one training.
        every_minutes: float, above 0. Time from one checkpoint to the next; None: only by steps.
        every_steps: int. Steps from one to the next, up to whole executions; None: only by time.
        keep: int. So many of the newest stay. Where the newest is damaged, the one before is taken.
        also: a dict of what else must be the same when training is resumed, by name: settings, or
            arrays that a `tf.data.Dataset` is made of.
        hint: str. How to resume, for the message that follows a signal; nothing is said if it is
            empty.

    Raises:
        ValueError: in `fit`, if the folder holds the training of another model, of other data or
            with other settings, which are named.
        BlockingIOError: in `fit`, if another process trains with that folder.
        OSError: if the disk is full or refuses; the last good checkpoint stays.

    Example:
        >>> import tempfile, kerasar
        >>> folder = tempfile.mkdtemp()
        >>> x = kerasar.data.toy_sequences(100, length=8)
        >>> model = kerasar.models.CausalConvNet(8, 16, filters=8, dilations=(1,))
        >>> model.compile("adam")
        >>> kept = kerasar.training.Checkpoints(folder, every_minutes=1)
        >>> history = model.fit(x, epochs=2, callbacks=[kept], verbose=0)
    """

    per_execution = True

    @checks_arguments
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_minutes: float | None = 5.0,
        every_steps: int | None = None,
        keep: int = 2,
        also: Any = None,
        hint: str = "Start the same program again to resume.",
    ) -> None:
        super().__init__()
        if every_minutes is not None and every_minutes <= 0:
            raise ValueError(f"every_minutes must be above 0 or None, but got {every_minutes:g}.")
        if every_steps is not None:
            check_count(every_steps, "every_steps")
        self.path = user_path(path, "path")
        self.every_minutes, self.every_steps = every_minutes, every_steps
        self.also, self.hint = dict(also or {}), hint
        self._files = CheckpointFiles(self.path, check_count(keep, "keep"))
        self._found: Checkpoint | None = None
        self._others: Sequence[Any] = ()
        self._followed: Any = None
        self._goes_on, self._is_chief = False, True
        self._signal: int | None = None
        self._handlers: dict[int, Any] = {}
        self._print: dict[str, str] = {}
        self._train: Any = None  # the function that trains, while steps are passed over

    @property
    def resumed(self) -> bool:
        """Whether the last `fit` went on with a training that was there."""
        return self._found is not None

    # For `fit`.

    @contextlib.contextmanager
    def opened(self, model: Any, x: Any, held_out: Any, settings: Config) -> Iterator[None]:
        """Has the folder for one `fit`: reads what is there, and answers signals.

        Args:
            model: a compiled model.
            x: the training data as arrays, or as a dataset.
            held_out: the validation data.
            settings: arguments of `fit` that the place in the data depends on.
        """
        self._is_chief = is_chief(model.distribute_strategy)
        with self._files.locked() if self._is_chief else contextlib.nullcontext():
            self._found = self._files.newest()
            self._print = fingerprint(model, x, held_out, settings, self.also)
            if self._found is not None:
                self._check(self._found.about)
            self._signal, self._train = None, None
            place = self._place
            self.seed: int = place.get("seed", getrandbits(31))
            try:
                with self._answered():
                    yield
            finally:
                begin_at_epoch(model, None)
                self._followed = None
                if self._train is not None:
                    model.train_function = self._train

    @property
    def _place(self) -> Config:
        """Where the training was that is resumed; empty for a new one."""
        return {} if self._found is None else self._found.about["place"]

    @property
    def steps(self) -> int:
        """How many steps of its epoch are passed over at first."""
        return int(self._place.get("step", 0))

    def follow(self, data: Any, model: Any, steps_per_epoch: int | None) -> Any:
        """The batches of training, with an eye on the place in them."""
        self._goes_on = steps_per_epoch is not None
        if self._goes_on and data.cardinality() != tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "With Checkpoints, steps_per_epoch is for a tf.data.Dataset without end, but x has "
                "one. Pass kerasar.data.pipeline(…).repeat(), or leave steps_per_epoch out."
            )
        data = model.distribute_strategy.experimental_distribute_dataset(data)
        place = self._place
        self._followed = Followed(data, place.get("passes", 0), place.get("batches", 0))
        return self._followed.data

    def behind(self, others: Sequence[Any]) -> list[Any]:
        """All callbacks of the training, this one behind those whose memory it keeps."""
        kinds = [type(callback) for callback in others]
        history = [] if keras.callbacks.History in kinds else [keras.callbacks.History()]
        self._others = [*others, *history]
        return [*self._others, self]

    def _check(self, about: Config) -> None:
        now = dict(self._print)
        # A callback may have lowered it; a training that goes on in its own process has that one.
        if now.get(_RATE) == about["learning_rate"]:
            now[_RATE] = about["fingerprint"].get(_RATE)
        found = differences(about["fingerprint"], now)
        if found:
            more = f" (and {len(found) - 1} more differences)" if len(found) > 1 else ""
            raise ValueError(
                f"'{self.path}' holds a training that was not this one: {found[0]}{more}. Train "
                "with what it was trained with, or choose another folder."
            )

    # Signals.

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # signals never come to other threads
            return
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._handlers = {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}
        for number in self._handlers:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            self._give_back_signals()

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._signal is not None:  # the second time: at once
            self._give_back_signals()
            signal.raise_signal(number)
        self._signal = number
        # Not print, in whose midst the signal may have come.
        os.write(
            2, b"\nThe step is finished and the training saved; a second signal ends at once.\n"
        )

    def _give_back_signals(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _answer(self) -> None:
        """Ends training as the signal that came asks for, after all is saved."""
        number = self._signal
        if number is None:
            return
        if self.hint:
            print(f"\nTraining is saved in '{self.path}'. {self.hint}", file=sys.stderr, flush=True)
        self._give_back_signals()
        signal.raise_signal(number)

    # The training.

    def on_train_begin(self, logs: Any = None) -> None:
        if self._followed is None:
            raise ValueError(
                "Checkpoints is for fit() of a model of kerasar, which tells it the place in the "
                f"data, but '{self.model.name}' is a {type(self.model).__name__}. Put the network "
                "into kerasar.AutoregressiveModel or the like, or use "
                "keras.callbacks.BackupAndRestore."
            )
        self._saved_at, self._since = time.monotonic(), 0
        self._epoch, self._step, self._is_between = 0, 0, True
        self._batches = int(self._place.get("batches", 0))
        self._metrics: Any = None
        self._passed_over, self._restored = 0, None
        if self._found is None:
            return
        about = self._found.about
        state = TrainingState(about["state"], self._found.arrays)
        self._restored = put_state(self.model, self._others, state)
        self._found = self._found._replace(arrays={})  # they are as large as all of the training
        epoch, epochs = self._place["epoch"], self.params["epochs"]
        if about["stopped"] or epoch >= epochs:
            epoch = max(epoch, epochs)
            warnings.warn(
                f"The training in '{self.path}' was finished, so nothing is trained. For more, "
                "give fit() more epochs; for a new one, choose another folder.",
                stacklevel=2,
            )
        begin_at_epoch(self.model, epoch)
        if self.steps:
            self._train = self.model.train_function
            per_execution, logs_of = self.model.steps_per_execution, self.model.get_metrics_result
            self.model.train_function = passing_over(
                self._train, self.steps, per_execution, logs_of
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._step, self._is_between, self._metrics = epoch, 0, False, None
        self._passed_over = 0
        if self._restored is not None and self.steps:
            put_metrics(self.model, self._restored)
            self._passed_over = self.steps
        else:
            self._train_again()
        self._restored = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done, self._step = self._step, batch + 1
        self._followed.is_fresh = False
        if self._step <= self._passed_over:  # they were done before
            if self._step == self._passed_over:
                self._train_again()
            self._answer()
            return
        self._since += self._step - done
        if self._signal is not None or self._is_due:
            self._save()
            self._answer()

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._is_between:
            self._metrics = take_metrics(self.model)  # which an evaluation resets

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._is_between and self._signal is not None:
            self._save()  # all steps of the epoch are done; it is validated again
            self._answer()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._is_between = True
        if self._goes_on:
            self._batches += self._step
        is_last = epoch + 1 == self.params["epochs"]
        if is_last or self.model.stop_training or self._signal is not None or self._is_due:
            self._save(stopped=self.model.stop_training and not is_last)
            self._answer()

    def _train_again(self) -> None:
        if self._train is not None:
            self.model.train_function, self._train = self._train, None

    @property
    def _is_due(self) -> bool:
        if self.every_steps is not None and self._since >= self.every_steps:
            return True
        minutes = (time.monotonic() - self._saved_at) / 60
        return self.every_minutes is not None and minutes >= self.every_minutes

    def _save(self, stopped: bool = False) -> None:
        if not self._is_chief:
            return
        state = take_state(self.model, self._others, self._metrics)
        optimizer = self.model.optimizer
        place = {
            "epoch": self._epoch + self._is_between,
            "step": 0 if self._is_between else self._step,
            "passes": 0 if self._goes_on else self._followed.passes_before(self._is_between),
            "batches": self._batches,
            "seed": self.seed,
        }
        about = {
            "place": place,
            "stopped": stopped,
            "learning_rate": as_text(_number(optimizer.learning_rate)),
            "fingerprint": self._print,
            "state": state.about,
        }
        self._files.write(int(_number(optimizer.iterations)), about, state.arrays)
        self._saved_at, self._since = time.monotonic(), 0


def _number(variable: Any) -> float:
    """The value of a scalar, also of one that replicas have copies of."""
    return float(tf.convert_to_tensor(getattr(variable, "value", variable)).numpy())


def take_checkpoints(callbacks: Sequence[Any]) -> tuple[Checkpoints | None, list[Any]]:
    """The `Checkpoints` among callbacks, and the others.

    Raises:
        ValueError: if there are several.
    """
    found = [callback for callback in callbacks if isinstance(callback, Checkpoints)]
    if len(found) > 1:
        raise ValueError(
            f"fit() takes one Checkpoints, but got {len(found)}. Give it a smaller every_minutes, "
            "or a larger keep."
        )
    return found[0] if found else None, [c for c in callbacks if c not in found]
