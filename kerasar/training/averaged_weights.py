"""Averages of weights that an optimizer keeps, shown where weights are judged or kept.

Keras' own `SwapEMAWeights` shows them to evaluations only, or, swapping at an epoch's end, loses
them where training ends before its last epoch (Keras 3.15).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasar.typing import Config


def shown_averages(callbacks: list[Any], optimizer: Any) -> list[Any]:
    """The callbacks of a training, with one that shows the averages that its optimizer keeps.

    It comes before those that keep or judge weights, but behind Keras' `BackupAndRestore`, which
    keeps those that training goes on with; one that is given stays where it is.

    Raises:
        ValueError: for two that show them: the second would take averages for what is trained.
    """
    own = (AveragedWeights, keras.callbacks.SwapEMAWeights)
    shows = [callback for callback in callbacks if isinstance(callback, own)]
    if len(shows) > 1:
        names = " and ".join(type(callback).__name__ for callback in shows)
        raise ValueError(
            f"The callbacks {names} both show averaged weights. Leave one of them out."
        )
    if shows or not optimizer.use_ema:
        return callbacks
    backups = [c for c in callbacks if isinstance(c, keras.callbacks.BackupAndRestore)]
    return [*backups, AveragedWeights(), *(c for c in callbacks if c not in backups)]


@contextlib.contextmanager
def trained_weights_when_stopped(callbacks: list[Any]) -> Iterator[None]:
    """A scope that an error or Ctrl-C leaves with the trained weights, so that `fit` can go on."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            if isinstance(callback, AveragedWeights):
                callback.hide()
        raise


class AveragedWeights(keras.callbacks.Callback):
    """Puts the averages of an optimizer with `use_ema=True` into the model, and takes them out.

    The models of kerasar do so by themselves: `fit` has one before all other callbacks, unless it
    is given one, or Keras' own. Give it one to say where in their order.

    A `fit` that is stopped by an error or Ctrl-C leaves the trained weights; after one that ends,
    the next goes on from the averages.

    The averages are there while the model is evaluated, and from the end of an epoch, for callbacks
    that come later, to the next one's beginning: those that save a model save the averages, and
    the model has them when training is over.

    Raises:
        ValueError: in `fit`, if the optimizer keeps no averages.

    Example:
        >>> import keras, kerasar
        >>> x = kerasar.data.toy_sequences(100, length=8)
        >>> model = kerasar.models.CausalConvNet(8, 16, filters=8, dilations=(1,))
        >>> model.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9))
        >>> averages = kerasar.training.AveragedWeights()
        >>> history = model.fit(x, epochs=2, callbacks=[averages], verbose=0)
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[Any] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.model.optimizer.use_ema:
            raise ValueError(
                "AveragedWeights shows the averages that an optimizer keeps, but this one keeps "
                "none. Compile with use_ema=True, such as keras.optimizers.Adam(use_ema=True)."
            )
        self._trained = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.hide()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._show()

    def on_test_begin(self, logs: Any = None) -> None:
        self._show()

    def on_test_end(self, logs: Any = None) -> None:
        self.hide()

    def get_training_state(self) -> Config:
        """The weights that the averages stand in for, for `Checkpoints`."""
        return {"trained": self._trained}

    def set_training_state(self, state: Config) -> None:
        """Takes such weights back; the model has those that it had then."""
        self._trained = state["trained"]

    def _show(self) -> None:
        if self._trained is None:
            weights = self.model.trainable_weights
            self._trained = [tf.identity(weight.value) for weight in weights]
            self.model.optimizer.finalize_variable_values(weights)

    def hide(self) -> None:
        """Puts the trained weights back, if the averages stand in for them."""
        if self._trained is not None:
            for weight, value in zip(self.model.trainable_weights, self._trained, strict=True):
                weight.assign(value)
            self._trained = None
