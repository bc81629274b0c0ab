"""What every builder is: a function whose arguments are checked, and whose model fits in memory."""

import functools
import inspect
import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments, shorten
from kerasar.checks import LARGEST_IN_MODELS
from kerasar.memory import available_memory, in_gib
from kerasar.models.parts.weight_limit import weight_limit

_Builder = TypeVar("_Builder", bound=Callable[..., Any])

#: Arguments that count what is stacked, sequences that do not list it, and the largest stack.
_COUNTS = ("blocks", "cycles", "cycle_length", "depth", "layers", "residuals", "stages")
_NO_LISTS = ("order",)
_LARGEST_STACK = 1_000

_is_building = ContextVar("_is_building", default=False)


def builder(function: _Builder) -> _Builder:
    """Decorates a builder: refuses arguments of other kinds, and models that memory cannot hold.

    Weights are counted before they are made. What is refused is a ValueError, which names the
    argument that makes the model large.
    """
    checked = checks_arguments(function)
    signature = inspect.signature(function)

    @functools.wraps(checked)
    def build(*args: Any, **kwargs: Any) -> Any:
        if _is_building.get():  # one builder inside another: the arguments are those of the outer
            return checked(*args, **kwargs)
        sizes = _Sizes(signature, args, kwargs)
        sizes.check()

        def refuse(shape: tuple[int, ...], needed: int) -> Exception:
            return ValueError(
                f"{function.__name__}: {sizes.largest(shape)} makes the model too large: with a "
                f"weight of shape {shape} it has {in_gib(needed)} of weights or more, and half of "
                f"the {in_gib(available_memory())} of memory that are available must stay for its "
                "work. Take less."
            )

        token = _is_building.set(True)
        try:
            with weight_limit(available_memory() // 2, refuse):
                return checked(*args, **kwargs)
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise ValueError(
                f"{function.__name__}: memory ran out while the model was built, and "
                f"{in_gib(available_memory())} are available. Most is asked for by "
                f"{sizes.largest()}: take less."
            ) from error
        finally:
            _is_building.reset(token)

    build.__signature__ = signature  # type: ignore[attr-defined]
    return cast(_Builder, build)


class _Sizes:
    """The arguments of a call that are integers, or sequences of some.

    Args:
        signature: of the builder.
        args, kwargs: of the call.
    """

    def __init__(self, signature: inspect.Signature, args: Any, kwargs: Any) -> None:
        self.values: dict[str, Any] = {}
        self.integers: dict[str, int] = {}
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return  # Python says what is missing or too much
        bound.apply_defaults()
        of_all = {name: _size(name, value) for name, value in bound.arguments.items()}
        self.integers = {name: n for name, n in of_all.items() if n > 0 and name != "seed"}
        self.values = {name: bound.arguments[name] for name in self.integers}

    def check(self) -> None:
        """Raises a ValueError for sizes of models that could not be loaded again."""
        for name, value in self.values.items():
            is_list = isinstance(value, (list, tuple))
            if is_list and name not in _NO_LISTS:
                _check_size(f"the number of elements of {name}", len(value), _LARGEST_STACK)
            if is_list and name.endswith("shape"):
                values = math.prod(size for size in value if isinstance(size, int))
                _check_size(f"the number of values of {name}={value}", values)
            if name in _COUNTS:
                _check_size(name, value, _LARGEST_STACK)
            _check_size(f"each of {name}" if is_list else name, _largest_integer(value))

    def largest(self, shape: tuple[int, ...] = ()) -> str:
        """The argument that makes a weight of that shape large, as it is written in a call."""
        # An axis is as large as an argument, has a few more, or is a multiple or a part of it.
        axis = max(shape, default=0)
        fits = [name for name, n in self.integers.items() if n <= 2 * axis <= 2_000 * n]
        if shape and not fits:
            return "its likelihood, or another argument,"
        name = max(fits or self.integers, key=self.integers.__getitem__, default=None)
        return "it" if name is None else f"{name}={shorten(self.values[name])}"


def _check_size(name: str, size: int, most: int = LARGEST_IN_MODELS) -> None:
    if size > most:
        raise ValueError(
            f"{name} must be at most {most:,}, but got {size}: the file of a larger model could "
            "not be loaded."
        )


def _size(name: str, value: Any) -> int:
    """What an argument counts: of a shape its values, of another sequence its largest integer."""
    if name.endswith("shape") and isinstance(value, (list, tuple)):
        return math.prod(size for size in value if isinstance(size, int))
    return _largest_integer(value)


def _largest_integer(value: Any) -> int:
    """The largest integer in a value; 0 if there is none."""
    parts = value if isinstance(value, (list, tuple)) else (value,)
    kinds = (int, np.integer)
    return max((int(n) for n in parts if isinstance(n, kinds) and n is not True), default=0)
