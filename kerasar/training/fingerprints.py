"""What a training is of: its model, its data, its settings; and in which of them two differ."""

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasar.data.lazy_rows import LazyRows
from kerasar.typing import Config

#: At most so many bytes of an array are summed.
_MOST_BYTES = 2**26


def fingerprint(
    model: Any, x: Any, held_out: Any, settings: Mapping[str, Any], also: Mapping[str, Any]
) -> dict[str, str]:
    """A flat description: where it is -> what stands there, as text.

    Args:
        model: a compiled model.
        x: the training data, arrays or a `tf.data.Dataset`.
        held_out: the validation data, or None.
        settings: arguments of `fit`.
        also: settings and arrays by name.
    """
    parts = {
        **{name: _data(part) for name, part in also.items()},
        "model": _model(model),
        "data": {"x": _data(x), "validation_data": _data(held_out)},
        "fit": dict(settings),
        # The orders of data follow from it.
        "keras.utils.set_random_seed": tf.compat.v1.random.get_seed(0)[0],
    }
    return dict(_leaves(parts, ""))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Where two fingerprints differ, in words."""
    nothing = "nothing"
    return [
        f"{name} was {before.get(name, nothing)} and is {now.get(name, nothing)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


def as_text(value: Any) -> str:
    """A setting as a fingerprint has it: numbers as far as float32 knows them."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _model(model: Any) -> Config:
    try:
        config: Any = keras.saving.serialize_keras_object(model)
        text = json.dumps(config, default=repr)
    except (NotImplementedError, TypeError, ValueError):  # it cannot be saved, but be trained
        config, text = {"class_name": type(model).__name__}, ""
    if text:
        config = _without_names(json.loads(text))
        config.pop("build_config", None)
        # The number of steps in an execution changes nothing.
        compiled = config.get("compile_config") or {}
        compiled.get("config", compiled).pop("steps_per_execution", None)
    shapes = [f"{tuple(v.shape)} {v.dtype}" for v in model.variables]
    return {**config, "variables": shapes}


def _without_names(config: Any) -> Any:
    """A configuration whose layers have numbers for names: Keras counts names up in a process."""
    names: dict[str, str] = {}

    def find(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("name"), str):
                names.setdefault(part["name"], f"#{len(names)}")
            for value in part.values():
                find(value)
        elif isinstance(part, list):
            for value in part:
                find(value)

    def replace(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: replace(value) for key, value in part.items()}
        if isinstance(part, list):
            return [replace(value) for value in part]
        return names.get(part, part) if isinstance(part, str) else part

    find(config)
    return replace(config)


def _data(x: Any) -> Any:
    if x is None:
        return None
    if isinstance(x, tf.data.Dataset):
        return {"structure": repr(x.element_spec), "batches": int(x.cardinality())}
    return tree.map_structure(_array, x)


def _array(part: Any) -> str:
    if part is None or isinstance(part, (bool, int, float, str)):
        return str(part)
    if isinstance(part, LazyRows):
        return part.fingerprint
    part = np.asarray(part)
    rows = part.nbytes // max(len(part), 1)
    step = max(1, math.ceil(part.nbytes / _MOST_BYTES)) if rows else 1
    total = zlib.crc32(np.ascontiguousarray(part[::step]).tobytes())
    return f"{part.dtype} of shape {part.shape} with the sum {total:08x}"


def _leaves(part: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict) and part:
        for key, value in part.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(part, list) and part:
        for i, value in enumerate(part):
            yield from _leaves(value, f"{path}[{i}]")
    else:
        yield path, as_text(part)
