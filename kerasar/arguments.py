"""What a signature says of its arguments, kept: `@checks_arguments`.

A public function states the kind of each argument once, as its annotation. The decorator refuses
other kinds by name, before any work, and hands NumPy's numbers on as Python's, so that configs stay
JSON. Ranges, and what must fit together, are for the function itself (`kerasar.checks`).
"""

import functools
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Stands for "not of this kind", since None is a value.
_OTHER = object()


def checks_arguments(function: _Function) -> _Function:
    """Decorates a function whose arguments must be of the kinds that its annotations state.

    Understood are int, float (a finite number), bool, str, None, tuples and sequences of those,
    callables, arrays, classes, protocols and unions; `Any` and other annotations take everything.
    A bool is no int here, and text is no sequence.
    """
    signature = inspect.signature(function)
    named = {
        name: kind
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and _is_known(kind := _evaluated(parameter.annotation, function))
    }

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python says what is missing or too much
        owner = function.__name__
        if owner == "__init__":
            owner = type(args[0]).__name__
            owner += f" '{kwargs['name']}'" if isinstance(kwargs.get("name"), str) else ""
        for name in bound.arguments.keys() & named.keys():
            bound.arguments[name] = check_kind_of(bound.arguments[name], name, named[name], owner)
        return function(*bound.args, **bound.kwargs)

    # Keras reads the signature of a layer without following __wrapped__.
    checked.__signature__ = signature  # type: ignore[attr-defined]
    return typing.cast(_Function, checked)


def check_kind_of(value: Any, name: str, kind: Any, owner: str = "") -> Any:
    """A value as a kind takes it, with NumPy's numbers as Python's.

    Args:
        value: what the user passed.
        name: the argument's name.
        kind: an annotation.
        owner: the function or class that it is an argument of.

    Raises:
        TypeError: if it is of another kind.
        ValueError: if it is a number, but not finite; or a tuple of the wrong length.
    """
    found = _convert(value, kind)
    if found is not _OTHER:
        return found
    message = f"{name} must be {describe_kind(kind)}, but {_fault(value, name, kind)}"
    message = f"{owner}: {message}" if owner else message
    raise (ValueError if _is_bad_value(value, kind) else TypeError)(message)


def _fault(value: Any, name: str, kind: Any) -> str:
    """What is wrong with a value, for the end of a message."""
    kinds = typing.get_args(kind) if _is_union(kind) else (kind,)
    if isinstance(value, type):
        if any(isinstance(part, type) and issubclass(value, part) for part in kinds):
            return f"got the class {value.__name__}. Make an instance of it: {value.__name__}(…)."
    if isinstance(value, (list, tuple)):
        for part in kinds:
            if typing.get_origin(part) not in (tuple, Sequence):
                continue
            inner = typing.get_args(part)
            wanted = inner if len(inner) == len(value) and Ellipsis not in inner else inner[:1]
            for i, one in enumerate(value):
                if _convert(one, wanted[i % len(wanted)]) is _OTHER and len(value) < 1000:
                    return f"{name}[{i}] is {shorten(one)}."
    return f"got {shorten(value)}."


def shorten(value: Any) -> str:
    """A value as a message quotes it: an array by its shape, and nothing at length."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of {value.dtype} of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}…"


def describe_kind(kind: Any) -> str:
    """An annotation in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    if _is_union(kind):
        words = [describe_kind(part) for part in typing.get_args(kind)]
        return " or ".join([", ".join(words[:-1]), words[-1]])
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and Ellipsis not in parts:
        inner = f"({', '.join(_plain(part) for part in parts)}{',' * (len(parts) == 1)})"
        return f"a tuple {inner}"
    if origin in (tuple, Sequence):
        kinds = typing.get_args(parts[0]) if _is_union(parts[0]) else (parts[0],)
        plurals = [_PLURALS.get(part) or f"{_plain(part)} instances" for part in kinds]
        return f"a sequence of {' or '.join(plurals)}"
    if origin is Callable:
        return "a function"
    if origin is np.ndarray or kind is np.ndarray:
        return "an array of numbers"
    if _is_protocol(kind):
        names = _members(kind)
        return f"an object with {', '.join(names[:-1])} and {names[-1]}"
    if kind.__module__.startswith("keras."):
        return f"a keras.{kind.__name__}"
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return f"{article} {kind.__name__}"


_WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a finite number",
    bool: "True or False",
    str: "a string",
    None: "None",
    type(None): "None",
    os.PathLike: "a path",
    os.PathLike[str]: "a path",
}
_PLURALS: dict[Any, str] = {int: "integers", float: "finite numbers", str: "strings"}


def _evaluated(annotation: Any, function: Any) -> Any:
    """An annotation that `from __future__ import annotations` has left as text."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, function.__globals__)
    except NameError:  # of a name that only type checkers import
        return Any


def _plain(kind: Any) -> str:
    """An annotation as one writes it."""
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (types.UnionType, typing.Union)


def _is_protocol(kind: Any) -> bool:
    return isinstance(kind, type) and bool(getattr(kind, "_is_protocol", False))


def _is_known(kind: Any) -> bool:
    """Whether an annotation is one that can be checked."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        return all(map(_is_known, parts))
    if origin in (tuple, Sequence):
        return all(part is Ellipsis or _is_known(part) for part in parts)
    if kind is None or origin in (Callable, np.ndarray, os.PathLike):
        return True
    return isinstance(kind, type) and kind not in (Any, object, inspect.Parameter.empty)


def _convert(value: Any, kind: Any) -> Any:
    """The value as that kind takes it, or `_OTHER`."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        found = (_convert(value, part) for part in parts)
        return next((part for part in found if part is not _OTHER), _OTHER)
    if origin in (tuple, Sequence):
        return _convert_sequence(value, origin, parts)
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    if origin is Callable:
        return value if callable(value) else _OTHER
    if origin is np.ndarray or kind is np.ndarray:
        return _convert_array(value)
    if _is_protocol(kind):
        # What has a part of it may do: not every function needs all.
        return value if any(hasattr(value, name) for name in _members(kind)) else _OTHER
    return value if isinstance(value, origin or kind) else _OTHER


def _convert_int(value: Any) -> Any:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return int(value) if is_whole else _OTHER


def _convert_float(value: Any) -> Any:
    if isinstance(value, np.floating):
        value = float(value)
    elif isinstance(value, np.integer):
        value = int(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else _OTHER


_SCALARS: dict[Any, Callable[[Any], Any]] = {
    int: _convert_int,
    float: _convert_float,
    bool: lambda value: bool(value) if isinstance(value, (bool, np.bool_)) else _OTHER,
    type(None): lambda value: None if value is None else _OTHER,
    None: lambda value: None if value is None else _OTHER,
}


def _convert_sequence(value: Any, origin: Any, parts: tuple[Any, ...]) -> Any:
    if isinstance(value, (str, bytes, bytearray)) or not _is_in_order(value):
        return _OTHER
    if not isinstance(value, Sequence):
        value = tuple(value)
    if origin is tuple and Ellipsis not in parts:
        kinds: Iterable[Any] = parts
        if len(value) != len(parts):
            return _OTHER
    else:
        kinds = [parts[0]] * len(value)
    found = [_convert(part, kind) for part, kind in zip(value, kinds, strict=True)]
    if any(part is _OTHER for part in found):
        return _OTHER
    return found if origin is Sequence and isinstance(value, list) else tuple(found)


def _is_in_order(value: Any) -> bool:
    """Whether a value is a sequence, an array of one axis, or the shape of a tensor."""
    if isinstance(value, np.ndarray):
        return bool(value.ndim == 1)
    return isinstance(value, Sequence) or type(value).__name__ == "TensorShape"


def _convert_array(value: Any) -> Any:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return _OTHER
    return array if array.dtype.kind in "biufV" and array.size else _OTHER


def _is_bad_value(value: Any, kind: Any) -> bool:
    """Whether a value is of the right kind, as far as Python knows kinds."""
    kinds = typing.get_args(kind) if _is_union(kind) else (kind,)
    if float in kinds and isinstance(value, (float, np.floating)):
        return True
    return isinstance(value, (list, tuple)) and any(
        typing.get_origin(part) is tuple and len(value) != len(typing.get_args(part))
        for part in kinds
    )


def _members(protocol: Any) -> list[str]:
    """What a protocol asks for."""
    found: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False) and base.__module__ != "typing":
            found |= {*vars(base), *vars(base).get("__annotations__", {})}
    return sorted(name for name in found if not name.startswith("_"))
