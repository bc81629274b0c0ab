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

#: The largest number of examples in a batch, as a power of two.
_BATCH_POWER = 6


def compress(
    model: SampledAutoregressive, values: np.ndarray, condition: Any, verbose: bool | int | str
) -> bytes:
    """Examples as bytes; see `AutoregressiveModel.compress`.

    Args:
        model: an `AutoregressiveModel` of discrete data.
        values: examples, checked, in the order of the network.
        condition: arrays by input name, one row for each example, or None.
        verbose: as for `Progress`.
    """
    _check_discrete(model)
    count, shape = len(values), values.shape[1:]
    power = min(max(count - 1, 0).bit_length(), _BATCH_POWER)
    encoder = Encoder()
    loop, own = _loop(model, shape), model_fingerprint(model)
    machine = b"\0" * 4
    if count:
        machine = machine_fingerprint(loop, own, 1 << power, _rows(condition, 0, 1 << power))
    with Progress(f"Compressing {count} examples", count, verbose) as progress:
        for start, batch, given in _batches(values, condition, 1 << power):
            encoder.examples = min(count - start, 1 << power)
            loop.run(batch, given, encoder)
            progress.advance(encoder.examples)
    header = Header(count, shape, power, own, machine, content_checksum(values))
    return write(header, encoder.stream())


def decompress(
    model: SampledAutoregressive,
    data: bytes,
    condition: Any,
    verbose: bool | int | str,
    force: bool,
) -> np.ndarray:
    """The examples in what `compress` made; see `AutoregressiveModel.decompress`.

    Args:
        model: as for `compress`.
        data: what `compress` returned.
        condition: a function of the number and the shape of the examples, which gives the checked
            conditions, or None.
        verbose: as for `Progress`.
        force: whether another model or machine is no reason to stop.
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
    decoder = Decoder(stream)
    with Progress(f"Decompressing {header.count} examples", header.count, verbose) as progress:
        for start, batch, rows in _batches(values, given, size):
            decoder.examples = min(header.count - start, size)
            values[start : start + size] = loop.run(batch, rows, decoder)[: decoder.examples]
            progress.advance(decoder.examples)
    if content_checksum(values) != header.content:
        raise NotReadable(
            "The examples that were read are not those that were written: their checksum differs. "
            + ("This model or machine does not fit." if force else "The file may be damaged.")
        )
    return values


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
