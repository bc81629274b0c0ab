"""From examples to bytes and back, by the probabilities of a model.

References:
    Bamler. Understanding Entropy Coding With Asymmetric Numeral Systems (ANS): a Statistician's
    Perspective. 2022 (the library constriction). https://arxiv.org/abs/2201.01741
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from kerasar.compression.content import Content
from kerasar.compression.file_format import (
    Header,
    NotReadable,
    check_room,
    content_checksum,
    read,
    write,
)
from kerasar.function_cache import check_eager
from kerasar.keras_internals import nested_layers
from kerasar.sampling.progress import Progress


class CodedModel(Protocol):
    """What a codec says of its model."""

    name: str

    @property
    def data_shape(self) -> tuple[int | None, ...]: ...


class Codec(Protocol):
    """A way to code the data of a model: `ChainRule`, or `BitsBack`."""

    discrete: bool

    @property
    def model(self) -> Any: ...
    def batch_power(self, count: int, shape: tuple[int, ...]) -> int: ...
    def fingerprint(self) -> bytes: ...
    def machine(self, header: Header, condition: Any) -> bytes: ...
    def write(self, content: Content, size: int, progress: Progress) -> bytes: ...
    def read(
        self, stream: bytes, header: Header, condition: Any, progress: Progress
    ) -> Content: ...


def compress(codec: Codec, content: Content, verbose: bool | int | str) -> bytes:
    """Examples as bytes; see `AutoregressiveModel.compress`.

    Args:
        codec: of the model.
        content: examples, checked, at least one.
        verbose: as for `Progress`.
    """
    check_eager("This method")
    _check_discrete(codec)
    _check_settled(codec.model)
    count, shape = len(content.values), content.values.shape[1:]
    if content.lengths is not None:
        inside = _is_inside(content.lengths, content.values)
        content = content._replace(values=np.where(inside, content.values, 0))
    header = Header(
        count,
        shape,
        codec.batch_power(count, shape),
        codec.fingerprint(),
        machine=bytes(4),
        content=content_checksum(content.kept),
        has_lengths=content.lengths is not None,
        has_classes=content.classes is not None,
    )
    header = replace(header, machine=codec.machine(header, content.condition))
    with Progress(f"Compressing {count} examples", count, verbose) as progress:
        return write(header, codec.write(content, header.batch_size, progress))


def decompress(
    codec: Codec,
    data: bytes,
    condition: Callable[[Header], Any],
    verbose: bool | int | str,
    force: bool,
) -> Content:
    """The examples in what `compress` made; see `AutoregressiveModel.decompress`.

    Args:
        codec: as for `compress`.
        data: what `compress` returned.
        condition: a function of the header, which gives the checked conditions, or None.
        verbose: as for `Progress`.
        force: whether another model or machine is no reason to stop.
    """
    check_eager("This method")
    _check_discrete(codec)
    header, stream = read(data)
    check_room(header)
    _check_shape(codec.model, header.shape)
    if header.model != codec.fingerprint() and not force:
        raise NotReadable(
            "The file was written by another model, or by this one with other weights. Load the "
            "one that wrote it; force=True tries all the same."
        )
    given = condition(header)
    if header.count and not force and header.machine != codec.machine(header, given):
        raise NotReadable(
            "The model's probabilities differ in their last bits from those where the file was "
            "written: by another processor, version of TensorFlow, setting of oneDNN, or "
            "condition. Decompress it there; force=True tries all the same."
        )
    with Progress(f"Decompressing {header.count} examples", header.count, verbose) as progress:
        found = codec.read(stream, header, given, progress)
    if content_checksum(found.kept) != header.content:
        raise NotReadable(
            "The examples that were read are not those that were written: their checksum differs. "
            + ("This model or machine does not fit." if force else "The file may be damaged.")
        )
    return found


def _is_inside(lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which values belong to sequences of such lengths."""
    inside = np.arange(values.shape[1]) < lengths[:, None]
    return inside.reshape(*inside.shape, *[1] * (values.ndim - 2))


def _check_discrete(codec: Codec) -> None:
    if not codec.discrete:
        refuse_real_numbers(codec.model.name)


def refuse_real_numbers(name: str) -> None:
    """Raises the ValueError for a model of real numbers, whose name is `name`."""
    raise ValueError(
        f"Model '{name}' is one of real numbers, of which a code would need infinitely many "
        "digits: only discrete data can be compressed. Round them to levels first "
        "(kerasar.data.mu_law_encode for audio) and train a model of those, as PixelCNN or WaveNet."
    )


def _check_settled(model: Any) -> None:
    """Raises a ValueError for weights that a saved model does not have: its file would be lost."""
    for layer in nested_layers(model):
        if getattr(layer, "lora_enabled", False):
            raise ValueError(
                f"Layer '{layer.name}' has LoRA weights, which saving adds to its others: a saved "
                "model could not read the file. Save the model, load it with kerasar.load, and "
                "compress by that."
            )


def _check_shape(model: CodedModel, shape: tuple[int, ...]) -> None:
    own = model.data_shape
    fits = len(own) == len(shape) and all(a in (None, b) for a, b in zip(own, shape, strict=True))
    if not fits:
        raise NotReadable(
            f"The file holds examples of shape {tuple(shape)}, but the model's have shape "
            f"{tuple(own)}: another model wrote it."
        )
