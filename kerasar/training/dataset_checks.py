"""Checks of data that stream in: of a dataset's structure before, of its values in its pipeline."""

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from kerasar.training.batches import Batch, unpack
from kerasar.typing import Shape, Tensor

#: Rows and steps of the room for a batch whose own sizes a dataset leaves open.
_ELEMENTS, _LEAST_ROWS, _STEPS = 2**20, 32, 1024


def dataset_spec(dataset: tf.data.Dataset, name: str) -> Batch:
    """The specs of a dataset's parts, from its `element_spec`: no batch is read, none is lost.

    Raises:
        ValueError: for labels, an empty dataset, parts that are ragged or sparse, or of unknown
            rank.
        TypeError: for parts that hold something other than real numbers.
    """
    if dataset.cardinality() == 0:
        raise ValueError(f"{name} is an empty dataset. Give at least one batch.")
    batch = unpack(dataset.element_spec)
    for part, spec in batch.present().items():
        for leaf in tf.nest.flatten(spec):
            _check_spec(leaf, name if part == "x" else part)
    return bool_to_int(batch)


def _check_spec(spec: Any, name: str) -> None:
    if not isinstance(spec, tf.TensorSpec):
        kind = type(spec).__name__.removesuffix("Spec")
        raise ValueError(
            f"{name} must stream in as tensors, but the tf.data.Dataset holds {kind}s. Pad "
            'sequences, dataset.padded_batch(…), and pass their lengths: {"x": …, "length": …}.'
        )
    if spec.shape.rank is None:
        raise ValueError(
            f"{name} must stream in with a known rank, but the tf.data.Dataset does not say its "
            "shape. Set it: dataset.map(lambda x: tf.ensure_shape(x, …)), or output_signature in "
            "from_generator."
        )
    if not (spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype.is_bool):
        raise TypeError(f"{name} must hold real numbers, but its dtype is {spec.dtype.name}.")


def bool_to_int(batch: Batch) -> Batch:
    """Tensors (or specs) that hold False and True, as 0 and 1: as arrays are taken."""
    x = batch.x
    if x.dtype != tf.bool:
        return batch
    spec = isinstance(x, tf.TensorSpec)
    return batch._replace(x=tf.TensorSpec(x.shape, tf.uint8) if spec else tf.cast(x, tf.uint8))


def guard_room(batch: Batch, shape: Shape) -> tuple[Batch, int]:
    """Specs of one example without open sizes, and the number of rows: room for any usual batch."""
    rows = batch.x.shape[0]
    x = tf.TensorSpec(batch.x.shape.merge_with((None, *shape)), batch.x.dtype)

    def closed(spec: tf.TensorSpec) -> tf.TensorSpec:
        return tf.TensorSpec((1, *(size or _STEPS for size in spec.shape[1:])), spec.dtype)

    example = tf.nest.map_structure(closed, batch._replace(x=x).present())
    elements = sum(math.prod(spec.shape) for spec in tf.nest.flatten(example))
    return Batch(**example), rows or max(_ELEMENTS // max(elements, 1), _LEAST_ROWS)


def value_assertions(
    x: Tensor, levels: int | None, missing: bool = False, name: str = "x"
) -> list[Any]:
    """Graph assertions that fail where data hold something that the model cannot take.

    Args:
        x: the data.
        levels: of the model.
        missing: whether NaN is a value that is missing.
        name: of the data, for the messages.
    """
    some = tf.shape(x)[0] > 0
    found = [tf.debugging.Assert(some, [f"{name} must hold at least one example"])]
    if levels is not None:
        low, high = tf.reduce_min(x), tf.reduce_max(x)
        inside = (low >= tf.cast(0, x.dtype)) & (tf.cast(high, tf.float64) <= levels - 1)
        words = [f"{name} must lie in [0, {levels}), but its smallest and largest values are"]
        found.append(tf.debugging.Assert(inside, [*words, low, high]))
    if x.dtype.is_floating and levels is not None:
        whole = tf.reduce_all(tf.equal(x, tf.round(x)))
        found.append(tf.debugging.Assert(whole, [f"{name} must hold whole numbers"]))
    elif x.dtype.is_floating:
        good = ~tf.math.is_inf(x) if missing else tf.math.is_finite(x)
        found.append(tf.debugging.Assert(tf.reduce_all(good), [f"{name} must be finite"]))
    return found


def resolution_assertions(x: Tensor, dtype: str) -> list[Any]:
    """Graph assertions that fail where a batch of real values is rounded to a few by `dtype`."""
    if dtype != "float32" or x.dtype not in (tf.float64, tf.int32, tf.int64, tf.uint32, tf.uint64):
        return []
    exact = tf.reshape(tf.cast(x, tf.float64), (-1, tf.shape(x)[-1] if x.shape.rank > 1 else 1))
    largest = tf.reduce_max(tf.abs(exact), axis=0)
    deviation = tf.math.reduce_std(exact, axis=0)
    # Half of float32's resolution near the largest value; few examples may be alike by chance.
    rounds = (largest * 2.0**-24 > 0.1 * deviation) & (deviation > 1e-14 * largest)
    found = tf.reduce_any(rounds) & (tf.shape(exact)[0] >= 8)
    holds = ~found & tf.reduce_all(largest <= tf.float32.max)
    words = "x must be what float32 can hold, but its largest values and deviations are"
    return [tf.debugging.Assert(holds, [words, largest, deviation])]


def shape_assertions(x: Tensor, shape: Shape) -> list[Any]:
    """Graph assertions that fail where sizes that a dataset leaves open are not the model's."""
    return [
        tf.debugging.Assert(
            tf.equal(tf.shape(x)[axis], size),
            [f"x must have the size {size} along axis {axis}, but its shape is", tf.shape(x)],
        )
        for axis, size in enumerate(shape, 1)
        if size is not None and x.shape[axis] is None
    ]


@contextlib.contextmanager
def assertions_as_value_errors() -> Iterator[None]:
    """Turns a failed assertion of the data pipeline into the ValueError that it means.

    One that a reader has raised within the pipeline is raised with its own words.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        raised = re.findall(r"^ValueError: (.+)$", str(error), re.MULTILINE)
        if raised:
            raise ValueError(raised[-1]) from error
        found = re.search(r"(x|length) must[^\n]*", str(error))
        if found is None:
            raise
        text = (
            found.group().split("[[")[0].strip().replace("] [", " ").rstrip("]").replace("\\'", "'")
        )
        raise ValueError(f"A batch of the dataset does not fit the model: {text}.") from error
