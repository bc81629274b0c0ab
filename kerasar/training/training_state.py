"""All that a training stands on, as arrays and JSON: taken from a model, and put back.

Weights, what the optimizer keeps (its averages of weights with it), metrics, the states of Keras'
seed generators, those of Python and NumPy, and what callbacks remember.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasar.keras_internals import global_random_state, reduces_along_rows
from kerasar.typing import Config

#: What callbacks of Keras remember, which have no other way to say it.
_REMEMBERED: Mapping[type, tuple[str, ...]] = {
    keras.callbacks.History: ("epoch", "history"),
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_weights", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


class TrainingState(NamedTuple):
    """A state as it is written: `about` goes to JSON, `arrays` beside it."""

    about: Config
    arrays: dict[str, np.ndarray]


def take_state(model: Any, callbacks: Sequence[Any], metrics: Any = None) -> TrainingState:
    """The state of a training between two steps; `metrics` instead of what they have now."""
    arrays: dict[str, np.ndarray] = {}
    variables = _variables(model)
    written = {
        "variables": [variable.path for variable in variables],
        "values": [variable.value.numpy() for variable in variables],
        "metrics": take_metrics(model) if metrics is None else metrics,
        "global_random_state": _global_random_state(),
        "python_random_state": random.getstate(),
        "numpy_random_state": np.random.get_state(),
        "callbacks": {name: _of_callback(callback) for name, callback in _named(callbacks)},
    }
    return TrainingState(_packed(written, arrays), arrays)


def put_state(model: Any, callbacks: Sequence[Any], state: TrainingState) -> list[np.ndarray]:
    """Puts a state back. Returns the metrics, which Keras resets before an epoch.

    Raises:
        ValueError: if it is of a training with other variables or callbacks.
    """
    read = _unpacked(state.about, state.arrays)
    variables = _variables(model)
    if len(variables) != len(read["values"]):
        raise ValueError(
            f"The checkpoint holds {len(read['values'])} variables, but the model and its "
            f"optimizers have {len(variables)}. Build each optimizer before fit(): "
            "optimizer.build(model.trainable_variables)."
        )
    _put_values(variables, read["values"])
    if read["global_random_state"] is not None:
        global_random_state(make=True).assign(read["global_random_state"])
    version, numbers, gauss = read["python_random_state"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(read["numpy_random_state"]))
    known = dict(_named(callbacks))
    for name, remembered in read["callbacks"].items():
        if remembered is None:
            continue
        if name not in known:
            raise ValueError(
                f"The checkpoint holds what the callback {name} remembers, but fit() was given "
                f"{', '.join(known) or 'none'}. Pass the callbacks that it was trained with."
            )
        _put_callback(known[name], remembered)
    return list(read["metrics"])


def take_metrics(model: Any) -> list[np.ndarray]:
    """What the metrics have gathered; nothing with several workers, who share it when asked."""
    if reduces_along_rows(model.distribute_strategy):
        return []
    return [variable.value.numpy() for variable in model.metrics_variables]


def put_metrics(model: Any, values: Sequence[np.ndarray]) -> None:
    """Puts back what the metrics have gathered."""
    if not reduces_along_rows(model.distribute_strategy):
        _put_values(model.metrics_variables, values)


def _put_values(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: Any) -> list[Any]:
    """Those of the model and of its optimizer, and of others that it has as attributes."""
    owners = [model, model.optimizer]
    owners += [part for part in _attributes(model) if _is_optimizer(part)]
    found = {id(variable): variable for owner in owners for variable in owner.variables}
    return list(found.values())


def _attributes(model: Any) -> list[Any]:
    """Attributes, with the content of lists and dicts; Keras keeps those in classes of its own."""
    found: list[Any] = []
    for _, value in sorted(vars(model).items()):
        if isinstance(value, dict):
            found += [part for _, part in sorted(value.items(), key=lambda item: str(item[0]))]
        elif isinstance(value, list | tuple):
            found += value
        else:
            found.append(value)
    return found


def _is_optimizer(part: Any) -> bool:
    return isinstance(part, keras.optimizers.Optimizer)


def _global_random_state() -> Any:
    state = global_random_state(make=False)
    return None if state is None else state.value.numpy()


def _named(callbacks: Sequence[Any]) -> list[tuple[str, Any]]:
    """Callbacks by the names of their classes, with a number from the second of a class on."""
    counts: dict[str, int] = {}
    found = []
    for callback in callbacks:
        name = type(callback).__name__
        counts[name] = counts.get(name, 0) + 1
        found.append((name if counts[name] == 1 else f"{name} {counts[name]}", callback))
    return found


def _of_callback(callback: Any) -> Any:
    if hasattr(callback, "get_training_state"):
        return callback.get_training_state()
    for kind, names in _REMEMBERED.items():
        if isinstance(callback, kind):
            return {name: getattr(callback, name, None) for name in names}
    return None


def _put_callback(callback: Any, remembered: Any) -> None:
    if hasattr(callback, "set_training_state"):
        callback.set_training_state(remembered)
        return
    for name, value in remembered.items():
        setattr(callback, name, value)


# JSON for what is small, arrays beside it.

_ARRAY = "array of the checkpoint"


def _packed(part: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(part, Mapping):
        return {str(key): _packed(value, arrays) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_packed(value, arrays) for value in part]
    # NumPy's float64 is a float, but has a shape that those who set weights ask for.
    if part is None or type(part) in (bool, int, float, str):
        return part
    array = np.asarray(part)
    name = f"array_{len(arrays)}"
    dtype = array.dtype.name
    # NumPy's files do not know bfloat16 and its kin.
    arrays[name] = array if array.dtype.kind in "biufcSU" else array.view(f"u{array.itemsize}")
    return {_ARRAY: name, "dtype": dtype}


def _unpacked(part: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(part, dict) and _ARRAY in part:
        array, dtype = arrays[part[_ARRAY]], part["dtype"]
        typed = (
            array if array.dtype.name == dtype else array.view(tf.as_dtype(dtype).as_numpy_dtype)
        )
        return typed[()]  # a scalar, where it was one
    if isinstance(part, dict):
        return {key: _unpacked(value, arrays) for key, value in part.items()}
    if isinstance(part, list):
        return [_unpacked(value, arrays) for value in part]
    return part
