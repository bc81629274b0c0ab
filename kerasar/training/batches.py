"""What `fit`, `evaluate` and `log_prob` take: `x`, or `{"x": …, "condition": …, "length": …}`.

Sequences may have a `"start"`, too: the steps before it are given, and what follows is judged.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kerasar.typing import Tensor

_KEYS = ("x", "condition", "length", "start")


class Batch(NamedTuple):
    """The parts of a batch. Parts that were not given are None."""

    x: Tensor
    condition: Any = None
    length: Tensor | None = None
    start: Tensor | None = None

    def present(self) -> dict[str, Any]:
        """The given parts by name."""
        return {key: value for key, value in self._asdict().items() if value is not None}

    def rows(self, start: int, stop: int) -> "Batch":
        """Some of the examples, as tensors."""
        return Batch(
            *keras.tree.map_structure(
                lambda part: None if part is None else tf.constant(part[start:stop]), tuple(self)
            )
        )


def unpack(data: Any) -> Batch:
    """The parts of what Keras passes to a training step, or of what a user passes as `x`.

    Raises:
        ValueError: if labels were passed, or a dict with other names.
        TypeError: for feeds that are neither arrays nor datasets, before they are read.
    """
    _refuse_feed(data)
    if isinstance(data, tuple) and data:
        if len(data) != 1 and any(part is not None for part in data[1:]):
            raise ValueError(
                "A density model learns from x alone, but the data are a tuple of "
                f"{len(data)} parts, as (x, y). Pass x, or a dict "
                '{"x": x, "condition": y} if the model is conditional.'
            )
        data = data[0]
    if isinstance(data, dict):
        unknown = sorted(set(data) - set(_KEYS))
        if unknown or "x" not in data:
            raise ValueError(
                'The data are a dict, which must have the key "x" and may have "condition", '
                f'"length" and "start", but its keys are {sorted(data)}.'
            )
        for part in data.values():
            _refuse_feed(part)
        return Batch(**data)
    return Batch(data)


def _refuse_feed(data: Any) -> None:
    kind = type(data).__name__
    if isinstance(data, (keras.utils.PyDataset, Iterator)):
        raise TypeError(
            f"The data must be arrays or a tf.data.Dataset, but are a {kind}. Wrap it: "
            "tf.data.Dataset.from_generator(lambda: …, output_signature=tf.TensorSpec(…)), with "
            "steps_per_epoch if it has no end."
        )
    if isinstance(data, (tf.RaggedTensor, tf.SparseTensor)):
        raise TypeError(
            f"The data must be arrays or a tf.data.Dataset of tensors, but are a {kind}. Pad "
            'sequences with to_tensor() and give their lengths: {"x": …, "length": …}.'
        )
    if isinstance(data, tf.data.Dataset):
        raise TypeError(
            "A tf.data.Dataset is for fit and evaluate; here the data must be arrays. Call this "
            "for each batch of the dataset."
        )
