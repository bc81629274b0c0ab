"""From examples to bytes and back, by the probabilities of a model.

References:
    Martin. Range encoding: an algorithm for removing redundancy from a digitised message. 1979.
    Bamler. Understanding Entropy Coding With Asymmetric Numeral Systems (ANS): a Statistician's
    Perspective. 2022 (the library constriction). https://arxiv.org/abs/2201.01741
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasar.compression.coders import Decoder, Encoder
from kerasar.compression.coding_loop import CodingLoop
from kerasar.compression.file_format import (
    LARGEST_BATCH,
    Header,
    NotReadable,
    check_room,
    content_checksum,
    read,
    write,
)
from kerasar.compression.fingerprint import machine_fingerprint, model_fingerprint
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.progress import Progress


def compress(
    model: SampledAutoregressive,
    values: np.ndarray,
    lengths: np.ndarray | None,
    condition: Any,
    verbose: bool | int | str,
) -> bytes:
    """Examples as bytes; see `AutoregressiveModel.compress`.

    Args:
        model: an `AutoregressiveModel` of discrete data.
        values: examples, checked, at least one, in the order of the network.
        lengths: of sequences, `(examples,)`; None: all have the same.
        condition: arrays by input name, one row for each example, or None.
        verbose: as for `Progress`.
    """
    _check_discrete(model)
    count, shape = len(values), values.shape[1:]
    if lengths is not None:
        values = np.where(_is_inside(lengths, values), values, 0)
    power = min((count - 1).bit_length(), LARGEST_BATCH)
    encoder = Encoder()
    loop, own = _loop(model, shape), model_fingerprint(model)
    machine = machine_fingerprint(loop, own, 1 << power, _rows(condition, 0, 1 << power))
    with Progress(f"Compressing {count} examples", count, verbose) as progress:
        for start, batch, given in _batches(values, condition, 1 << power):
            examples = min(count - start, 1 << power)
            encoder.begin(examples, _part(lengths, start, examples), _values_of_step(shape))
            loop.run(batch, given, encoder)
            progress.advance(examples)
    known = None if lengths is None else tuple(int(length) for length in lengths)
    header = Header(count, shape, power, own, machine, content_checksum(values), known)
    return write(header, encoder.stream())


def decompress(
    model: SampledAutoregressive,
    data: bytes,
    condition: Any,
    verbose: bool | int | str,
    force: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The examples in what `compress` made; see `AutoregressiveModel.decompress`.

    Args:
        model: as for `compress`.
        data: what `compress` returned.
        condition: a function of the number and the shape of the examples, which gives the checked
            conditions, or None.
        verbose: as for `Progress`.
        force: whether another model or machine is no reason to stop.

    Returns:
        The examples, and the lengths of sequences, if they have their own.
    """
    _check_discrete(model)
    header, stream = read(data)
    check_room(header)
    _check_shape(model, header.shape)
    own = model_fingerprint(model)
    if header.model != own and not force:
        raise NotReadable(
            "The file was written by another model, or by this one with other weights. Load the "
            "one that wrote it; force=True tries all the same."
        )
    given = condition(header.count, header.shape)
    loop, size = _loop(model, header.shape), header.batch_size
    if header.count and not force:
        if header.machine != machine_fingerprint(loop, own, size, _rows(given, 0, size)):
            raise NotReadable(
                "The model's probabilities differ in their last bits from those where the file was "
                "written: by another processor, version of TensorFlow, setting of oneDNN, or "
                "condition. Decompress it there; force=True tries all the same."
            )
    values = np.zeros((header.count, *header.shape), "int32")
    lengths = None if header.lengths is None else np.array(header.lengths, "int32")
    decoder = Decoder(stream)
    with Progress(f"Decompressing {header.count} examples", header.count, verbose) as progress:
        for start, batch, rows in _batches(values, given, size):
            examples = min(header.count - start, size)
            decoder.begin(examples, _part(lengths, start, examples), _values_of_step(header.shape))
            values[start : start + size] = loop.run(batch, rows, decoder)[:examples]
            progress.advance(examples)
    if content_checksum(values) != header.content:
        raise NotReadable(
            "The examples that were read are not those that were written: their checksum differs. "
            + ("This model or machine does not fit." if force else "The file may be damaged.")
        )
    return values, lengths


def _is_inside(lengths: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which values belong to sequences of such lengths."""
    inside = np.arange(values.shape[1]) < lengths[:, None]
    return inside.reshape(*inside.shape, *[1] * (values.ndim - 2))


def _part(lengths: np.ndarray | None, start: int, count: int) -> np.ndarray | None:
    return None if lengths is None else lengths[start : start + count]


def _values_of_step(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:], dtype=int))


def _loop(model: SampledAutoregressive, shape: tuple[int, ...]) -> CodingLoop:
    """The loop for examples of a shape, traced once."""
    return model.function_cache.get((CodingLoop, shape), lambda: CodingLoop(model, shape))


def _batches(values: np.ndarray, condition: Any, size: int) -> Iterator[tuple[int, Any, Any]]:
    """Batches of one size, the last one filled up with zeros."""
    for start in range(0, len(values), size):
        batch = values[start : start + size]
        missing = size - len(batch)
        padded = np.pad(batch, [(0, missing), *[(0, 0)] * (batch.ndim - 1)])
        yield start, padded, _rows(condition, start, size)


def _rows(condition: Any, start: int, size: int) -> Any:
    """Some rows of the conditions, the last of them repeated where there are no more."""
    if not condition:
        return None
    numbers = range(start, start + size)
    return {n: part[np.minimum(numbers, len(part) - 1)] for n, part in condition.items()}


def _check_discrete(model: SampledAutoregressive) -> None:
    if not model.likelihood.discrete:
        raise ValueError(
            f"Model '{model.name}' is one of real numbers, of which a code would need infinitely "
            "many digits: only discrete data can be compressed. Round them to levels first "
            "(kerasar.data.mu_law_encode for audio) and train a model of those."
        )


def _check_shape(model: SampledAutoregressive, shape: tuple[int, ...]) -> None:
    own = model.data_shape
    fits = len(own) == len(shape) and all(a in (None, b) for a, b in zip(own, shape, strict=True))
    if not fits:
        raise NotReadable(
            f"The file holds examples of shape {tuple(shape)}, but the model's have shape "
            f"{tuple(own)}: another model wrote it."
        )
