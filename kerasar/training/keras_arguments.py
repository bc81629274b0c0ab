"""The arguments of Keras' training loop that a model passes on: checked before any work.

Keras takes most of them at their word: with `epochs=-3` it trains nothing and says nothing.
"""

from collections.abc import Sequence
from typing import Any

import keras

from kerasar.arguments import check_kind_of, shorten
from kerasar.checks import LARGEST, check_choice, check_count, check_sizes
from kerasar.training.executions import callback_list
from kerasar.typing import Config

#: Name -> the kind, and the least integer that makes sense.
_ARGUMENTS: dict[str, tuple[Any, int]] = {
    "batch_size": (int | None, 1),
    "validation_batch_size": (int | None, 1),
    "epochs": (int, 1),
    "initial_epoch": (int, 0),
    "steps_per_epoch": (int | None, 1),
    "validation_steps": (int | None, 1),
    "steps": (int | None, 1),
    "validation_freq": (int | Sequence[int], 1),
    "validation_split": (float | None, 0),
    "shuffle": (bool, 0),
    "return_dict": (bool, 0),
    "steps_per_execution": (int, 1),
    "jit_compile": (bool | str, 0),
    "run_eagerly": (bool, 0),
    "auto_scale_loss": (bool, 0),
}
_VERBOSE = ("auto", True, False, 2)


def check_loop_arguments(given: Config, method: str) -> Config:
    """The arguments of `fit`, `evaluate` or `compile`, numbers as Python's.

    Raises:
        TypeError, ValueError: for one of another kind, or out of its range.
    """
    checked = dict(given)
    for name in given.keys() & _ARGUMENTS.keys():
        kind, least = _ARGUMENTS[name]
        value = check_kind_of(given[name], name, kind, f"{method}()")
        if isinstance(value, int) and not isinstance(value, bool):
            check_count(value, name, least, most=None if "batch_size" in name else LARGEST)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            check_sizes(**{name: value})
            value = list(value)  # Keras takes no tuple
        checked[name] = value
    if "verbose" in given:
        check_choice(given["verbose"], "verbose", _VERBOSE)
    if "jit_compile" in checked:
        check_choice(checked["jit_compile"], "jit_compile", ("auto", True, False))
    for callback in callback_list(checked.get("callbacks")):
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                "callbacks must be instances of keras.callbacks.Callback, but one of them is "
                f"{shorten(callback)}."
            )
    return checked


def check_optimizer(optimizer: Any) -> None:
    """Raises a ValueError for what is no optimizer, nor the name of one."""
    try:
        keras.optimizers.get(optimizer)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(
            f"optimizer must be a keras.optimizers.Optimizer or the name of one, such as 'adam', "
            f"but got {shorten(optimizer)}."
        ) from error
