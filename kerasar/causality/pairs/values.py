"""What is known of a tensor's elements, whatever the weights and the data: masks, above all.

An element is known *exactly* (that of a constant), or *about*: a constant plus something ordinary,
such as a score or a weight; or not at all. A softmax makes an element exactly zero that is far
below another of its row, and a product with zero is zero. How far is kept count of: a mask of -1e9
that is divided by 1e9, or to which 1e9 is added, masks nothing.

In arrays of what is known, numbers below 1e39 are exact, `inf` is ordinary (about 0), larger
numbers are 1e40 times what an element is about, and `nan` is unknown.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.keras_internals import operation_classes

#: An ordinary element: a weight, or a score.
ORDINARY = np.inf
UNKNOWN = np.nan
#: An element that is so far below another of its row is made zero by a softmax. Keras' own masks
#: are of -1e9, and of -3e4 in float16; -1e4 is the least that people write.
GAP = 9e3
#: Constants that leave an ordinary element ordinary, and factors that do.
_MODERATE, _FACTOR = 1e3, 32.0
_ABOUT, _FAR, _INFINITE = 1e40, 1e39, 1e300

L = keras.layers
#: What may be given other values, and is no constant wherever it stands.
VARIABLES = (keras.Variable, tf.Variable)


def as_values(constant: Any) -> np.ndarray:
    """What is known of a constant: everything. A variable may be given other values."""
    if isinstance(constant, VARIABLES):
        return np.full([1] * len(constant.shape), ORDINARY)
    if isinstance(constant, (int, float)):  # which TensorFlow takes no further than float32 goes
        return _exactly(np.float64(constant))
    with np.errstate(all="ignore"):
        found = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(constant, "float64")))
    return _exactly(found)


def _exactly(found: np.ndarray | np.float64) -> np.ndarray:
    """Numbers that are known exactly, as float32 rounds them, but for those it does not hold."""
    with np.errstate(all="ignore"):
        found = found.astype("float32").astype("float64")
    return np.where(found <= -_FAR, -_INFINITE, np.where(found >= _FAR, UNKNOWN, found))


def flat(value: float, rank: int) -> np.ndarray:
    """The same of all elements of a tensor of that rank."""
    return np.full([1] * rank, value)


def is_exact(values: np.ndarray) -> np.ndarray:
    """Which elements are known exactly."""
    return np.asarray(np.isfinite(values) & (np.abs(values) < _FAR))


def is_known(values: np.ndarray) -> np.ndarray:
    """Which elements are known, exactly or about."""
    return ~np.isnan(values)


def centers(values: np.ndarray) -> np.ndarray:
    """What elements are, or are about; `nan` for unknown ones."""
    about = np.abs(values) >= _FAR
    return np.where(np.isinf(values), 0.0, np.where(about, values / _ABOUT, values))


def about(found: np.ndarray) -> np.ndarray:
    """Elements that are about some numbers; `nan` for unknown ones."""
    far = np.clip(found, -_INFINITE / _ABOUT, _INFINITE / _ABOUT) * _ABOUT
    return np.where(np.abs(found) < 1, ORDINARY, far)


def is_ordinary(values: np.ndarray) -> np.ndarray:
    """Which elements are of the size of scores and weights."""
    return np.asarray(np.abs(centers(values)) <= _MODERATE)


def is_low(values: np.ndarray) -> np.ndarray:
    """Which elements are far below ordinary ones."""
    return np.asarray(centers(values) <= -GAP)


def vanish_along(values: np.ndarray, axis: int) -> np.ndarray:
    """Which elements a softmax along an axis makes zero: they are far below another one."""
    found = centers(values)
    largest = np.where(np.isnan(found), -np.inf, found).max(axis=axis, keepdims=True)
    # Of numbers as low as -1e38, a gap is lost in rounding: they are as large as themselves.
    return np.asarray((found < largest) & (found <= largest - GAP))


def combine(operation: Any, operands: Sequence[np.ndarray]) -> np.ndarray:
    """What is known of the result of an elementwise operation."""
    rule = _RULES.get(type(operation))
    if rule is None or not operands:
        return flat(UNKNOWN, max([0, *(part.ndim for part in operands)]))
    with np.errstate(all="ignore"):
        if rule is _cast:
            return _cast(operation, operands[0])
        return np.asarray(rule(*operands))


def operands(node: Any) -> list[Any]:
    """The arguments of an operation in the order of its `call`; constants as they are."""
    args, kwargs = node.constants
    bound = inspect.signature(node.operation.call).bind(*args, **kwargs)
    parts = keras.tree.flatten([bound.arguments[name] for name in bound.arguments])
    return [part for part in parts if not isinstance(part, (str, type(None)))]


def _add(*parts: np.ndarray) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        exact, found = is_exact(total) & is_exact(part), centers(total) + centers(part)
        total = np.where(exact, _exactly(found), about(found))
    return total


def _negative(part: np.ndarray) -> np.ndarray:
    return np.where(is_exact(part), -part, about(-centers(part)))


def _subtract(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _add(one, _negative(other))


def _multiply(*parts: np.ndarray) -> np.ndarray:
    total = parts[0]
    for part in parts[1:]:
        zero = (total == 0) | (part == 0)
        one, other = is_exact(total), is_exact(part)
        found = centers(total) * centers(part)
        # What surrounds a number is multiplied too, and must stay ordinary.
        scaled = (one & (np.abs(total) <= _FACTOR)) | (other & (np.abs(part) <= _FACTOR))
        both = (total == ORDINARY) & (part == ORDINARY)
        rest = np.where(scaled | both, about(found), UNKNOWN)
        total = np.where(zero, 0.0, np.where(one & other, _exactly(found), rest))
    return total


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    inverse = np.where(is_exact(other) & (other != 0), 1 / other, UNKNOWN)
    inverse = np.where(other == ORDINARY, ORDINARY, inverse)
    return np.where(other == 0, UNKNOWN, _multiply(one, inverse))


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
    exact = np.where(is_exact(part), _exactly(np.exp(part)), UNKNOWN)
    return np.where(is_low(part), 0.0, exact)


def _same(part: np.ndarray, *_: Any) -> np.ndarray:
    return part


def _cast(operation: Any, part: np.ndarray) -> np.ndarray:
    """A cast rounds; what does not fit into the new type is unknown, but for what is too low."""
    dtype = keras.backend.standardize_dtype(operation.dtype)
    exact = is_exact(part)
    if dtype == "bool":
        return np.where(exact, (part != 0).astype(float), UNKNOWN)
    if not keras.backend.is_float_dtype(dtype):
        limits = np.iinfo(dtype)
        fits = exact & (part >= limits.min) & (part <= limits.max)
        return np.where(fits, np.trunc(part), UNKNOWN)
    most = float(np.finfo(dtype).max) if dtype.startswith("float") else _FAR
    found = centers(part)
    rounded = np.where(exact, _rounded(np.where(exact, found, 0.0), dtype), part)
    return np.where(found < -most, -_INFINITE, np.where(found > most, UNKNOWN, rounded))


def _rounded(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers as that type holds them."""
    held = keras.ops.cast(keras.ops.cast(numbers, "float64"), dtype)
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(held, "float64")))


def _zero_or_large(part: np.ndarray, *_: Any) -> np.ndarray:
    """Zero at zero, and large perhaps for ordinary elements."""
    return np.where(part == 0, 0.0, UNKNOWN)


def _bounded(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.where(part == 0, 0.0, ORDINARY)


def _zeros(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.zeros_like(part)


def _sigmoid(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.where(is_low(part), 0.0, ORDINARY)


def _relu(part: np.ndarray, *_: Any) -> np.ndarray:
    return np.where(is_low(part), 0.0, _smooth(part))


def _smooth(part: np.ndarray, *_: Any) -> np.ndarray:
    """Zero at zero, and ordinary for ordinary elements."""
    return np.where(part == 0, 0.0, np.where(is_ordinary(part), ORDINARY, UNKNOWN))


def _maximum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    exact = is_exact(one) & is_exact(other)
    found = np.maximum(centers(one), centers(other))
    return np.where(exact, found, about(found))


def _minimum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    exact = is_exact(one) & is_exact(other)
    found = np.minimum(centers(one), centers(other))
    return np.where(exact, found, about(found))


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
    **dict.fromkeys([L.Identity, *_kinds("StopGradient")], _same),
    **dict.fromkeys(_kinds("Cast"), _cast),
    **dict.fromkeys([L.Dropout], _zero_or_large),
    **dict.fromkeys(_kinds("Tanh HardTanh Softsign"), _bounded),
    **dict.fromkeys(_kinds("Sigmoid HardSigmoid"), _sigmoid),
    **dict.fromkeys(_kinds("Relu Relu6"), _relu),
    **dict.fromkeys(_kinds("Gelu Silu Elu Selu LeakyRelu Abs Absolute"), _smooth),
    **dict.fromkeys(_kinds("Square"), _zero_or_large),
    **dict.fromkeys(_kinds("ZerosLike"), _zeros),
}
