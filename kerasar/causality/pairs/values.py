"""What is known of a tensor's elements, whatever the weights and the data: masks, above all.

Elements are known exactly (those of a constant), or to be far below all others (a masked score), or
to be ordinary (a score, a weight), or not at all. A softmax gives an element exactly zero that is
far below another of its row, and a product with zero is zero.

In arrays of what is known, an ordinary element is `inf`, an unknown one `nan`, one far below `LOW`.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasar.keras_internals import operation_classes

#: An ordinary element: finite, and not far below the others.
ORDINARY = np.inf
UNKNOWN = np.nan
#: An element that a softmax makes zero. Keras itself uses -1e9, and -3e4 in float16.
LOW = -1e30
_THRESHOLD = -1e4

L = keras.layers


def as_values(constant: Any) -> np.ndarray:
    """What is known of a constant: everything."""
    with np.errstate(all="ignore"):
        found = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(constant, "float64")))
    found = np.where(found <= _THRESHOLD, LOW, found)
    return np.where(np.isfinite(found), found, UNKNOWN)


def flat(value: float, rank: int) -> np.ndarray:
    """The same of all elements of a tensor of that rank."""
    return np.full([1] * rank, value)


def is_low(values: np.ndarray) -> np.ndarray:
    """Which elements are far below ordinary ones."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values <= _THRESHOLD)


def is_high(values: np.ndarray) -> np.ndarray:
    """Which elements are surely not far below the others."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values > _THRESHOLD)


def is_exact(values: np.ndarray) -> np.ndarray:
    """Which elements are known exactly."""
    return np.isfinite(values)


def combine(operation: Any, operands: Sequence[np.ndarray]) -> np.ndarray:
    """What is known of the result of an elementwise operation."""
    rule = _RULES.get(type(operation))
    if rule is None or not operands:
        return flat(UNKNOWN, max([0, *(part.ndim for part in operands)]))
    with np.errstate(all="ignore"):
        found = rule(*operands)
    return np.where(is_low(found), LOW, found)


def operands(node: Any) -> list[Any]:
    """The arguments of an operation in the order of its `call`; constants as they are."""
    args, kwargs = node.constants
    bound = inspect.signature(node.operation.call).bind(*args, **kwargs)
    parts = keras.tree.flatten([bound.arguments[name] for name in bound.arguments])
    return [part for part in parts if not isinstance(part, (str, type(None)))]


def _add(*parts: np.ndarray) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        exact = is_exact(total) & is_exact(part)
        low = (is_low(total) & is_high(part)) | (is_high(total) & is_low(part))
        high = is_high(total) & is_high(part)
        other = np.where(low, LOW, np.where(high, ORDINARY, UNKNOWN))
        total = np.where(exact, np.where(exact, total, 0) + np.where(exact, part, 0), other)
    return total


def _negative(part: np.ndarray) -> np.ndarray:
    return np.where(is_exact(part), -part, np.where(part == ORDINARY, ORDINARY, UNKNOWN))


def _subtract(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _add(one, _negative(other))


def _multiply(*parts: np.ndarray) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        zero = (total == 0) | (part == 0)
        exact = is_exact(total) & is_exact(part)
        moderate = [np.abs(p) < -_THRESHOLD for p in (total, part)]
        high = ((total == ORDINARY) & (moderate[1] | (part == ORDINARY))) | (
            (part == ORDINARY) & moderate[0]
        )
        other = np.where(high, ORDINARY, UNKNOWN)
        product = np.where(exact, total, 0) * np.where(exact, part, 0)
        total = np.where(zero, 0.0, np.where(exact, product, other))
    return total


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    inverse = np.where(is_exact(other) & (other != 0), 1 / other, UNKNOWN)
    inverse = np.where(other == ORDINARY, ORDINARY, inverse)
    return _multiply(one, inverse)


def _where(condition: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    both = np.where(one == other, one, UNKNOWN)
    return np.where(is_exact(condition), np.where(condition != 0, one, other), both)


def _and(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    false = (one == 0) | (other == 0)
    true = is_exact(one) & is_exact(other)
    return np.where(false, 0.0, np.where(true, 1.0, UNKNOWN))


def _or(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _not(_and(_not(one), _not(other)))


def _not(part: np.ndarray) -> np.ndarray:
    return np.where(is_exact(part), (part == 0).astype(float), UNKNOWN)


def _exp(part: np.ndarray) -> np.ndarray:
    return np.where(is_low(part), 0.0, np.where(is_exact(part), np.exp(part), part))


def _same(part: np.ndarray, *_: Any) -> np.ndarray:
    return part


def _dropout(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.where(part == 0, 0.0, UNKNOWN)


def _bounded(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.full_like(part, ORDINARY)


def _smooth(part: np.ndarray, *_: Any) -> np.ndarray:
    """Zero at zero, and ordinary for ordinary elements."""
    return np.where(part == 0, 0.0, np.where(is_high(part), ORDINARY, UNKNOWN))


def _maximum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    exact = is_exact(one) & is_exact(other)
    high = is_high(one) | is_high(other)
    return np.where(exact, np.maximum(one, other), np.where(high, ORDINARY, UNKNOWN))


def _minimum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    exact = is_exact(one) & is_exact(other)
    low = is_low(one) | is_low(other)
    high = is_high(one) & is_high(other)
    rest = np.where(low, LOW, np.where(high, ORDINARY, UNKNOWN))
    return np.where(exact, np.minimum(one, other), rest)


def _kinds(names: str) -> list[type]:
    return operation_classes(*names.split())


_RULES: dict[type, Callable[..., np.ndarray]] = {
    **dict.fromkeys([L.Add, *_kinds("Add")], _add),
    **dict.fromkeys([L.Subtract, *_kinds("Subtract")], _subtract),
    **dict.fromkeys([L.Multiply, *_kinds("Multiply")], _multiply),
    **dict.fromkeys([L.Maximum, *_kinds("Maximum")], _maximum),
    **dict.fromkeys([L.Minimum, *_kinds("Minimum")], _minimum),
    **dict.fromkeys(_kinds("Divide TrueDivide"), _divide),
    **dict.fromkeys(_kinds("Where"), _where),
    **dict.fromkeys(_kinds("LogicalAnd"), _and),
    **dict.fromkeys(_kinds("LogicalOr"), _or),
    **dict.fromkeys(_kinds("LogicalNot"), _not),
    **dict.fromkeys(_kinds("Negative"), _negative),
    **dict.fromkeys(_kinds("Exp"), _exp),
    **dict.fromkeys([L.Identity, *_kinds("Cast StopGradient")], _same),
    **dict.fromkeys([L.Dropout], _dropout),
    **dict.fromkeys(_kinds("Tanh Sigmoid HardTanh HardSigmoid Softsign"), _bounded),
    **dict.fromkeys(_kinds("Relu Gelu Silu Elu Selu LeakyRelu Square Abs Absolute"), _smooth),
}
