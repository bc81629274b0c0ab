"""Files of compressed examples, `.ksr`: a header of at most 64 bytes, then one stream.

4   "KSR" and the version of the format
4   checksum of all that follows
4   checksum of the examples, which has the last word
8   fingerprint of the model: weights, graph, likelihood
4   fingerprint of its tables on this machine
1   power of two that is the number of examples in a batch
1   axes of an example, and what else is kept; then each size, and the number of examples, in 7
    bits a byte
"""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kerasar.checks import check_memory
from kerasar.varint import varint

VERSION = 2
_MAGIC = b"KSR"
#: The largest number of examples in a batch, as a power of two.
LARGEST_BATCH = 8
#: What starting a step costs, in examples that it could run through instead.
_COST_OF_A_STEP = 64
_MOST_AXES, _HAS_LENGTHS, _HAS_CLASSES = 8, 64, 128


class NotReadable(ValueError):
    """What was to be decompressed is no such file, is damaged, or belongs to another model."""


@dataclass(frozen=True)
class Header:
    """What a file says of its content.

    Attributes:
        count: number of examples.
        shape: of an example.
        batch_power: the number of examples in a batch is 2 to this power.
        model: fingerprint of the model.
        machine: fingerprint of its tables on the machine that wrote the file.
        content: checksum of all that is kept.
        has_lengths: whether examples are sequences with lengths of their own.
        has_classes: whether the conditions are classes that are kept.
    """

    count: int
    shape: tuple[int, ...]
    batch_power: int
    model: bytes
    machine: bytes
    content: bytes
    has_lengths: bool = False
    has_classes: bool = False

    @property
    def batch_size(self) -> int:
        """How many examples are coded at once."""
        return 1 << self.batch_power


def best_batch_power(count: int) -> int:
    """The power of two by which so many examples are coded soonest: few batches, little padding."""
    return min(
        range(LARGEST_BATCH + 1),
        key=lambda power: -(-count // (1 << power)) * ((1 << power) + _COST_OF_A_STEP),
    )


def content_checksum(kept: Iterable[np.ndarray]) -> bytes:
    """Of examples and what belongs to them, as integers of 32 bits."""
    checksum = 0
    for part in kept:
        checksum = zlib.crc32(np.ascontiguousarray(part, "<i4").data, checksum)
    return checksum.to_bytes(4, "little")


def write(header: Header, stream: bytes) -> bytes:
    """A file."""
    sizes = b"".join(map(varint, (*header.shape, header.count)))
    kind = len(header.shape)
    kind += _HAS_LENGTHS * header.has_lengths + _HAS_CLASSES * header.has_classes
    body = (
        header.content
        + header.model
        + header.machine
        + bytes([header.batch_power, kind])
        + sizes
        + stream
    )
    checksum = zlib.crc32(body).to_bytes(4, "little")
    return _MAGIC + bytes([VERSION]) + checksum + body


def read(data: bytes) -> tuple[Header, bytes]:
    """The header and the stream of a file.

    Raises:
        NotReadable: if it is none, is damaged, or says what cannot be.
    """
    if data[:3] != _MAGIC:
        raise NotReadable(
            f"This is no file of compress(): it begins with {data[:4]!r} and not with {_MAGIC!r}."
        )
    if len(data) < 4 or data[3] != VERSION:
        version = data[3] if len(data) > 3 else "none"
        raise NotReadable(
            f"The file has version {version} of the format, but this kerasar reads version "
            f"{VERSION}. Read it with the kerasar that wrote it."
        )
    body = data[8:]
    if len(body) < 19 or zlib.crc32(body).to_bytes(4, "little") != data[4:8]:
        raise NotReadable("The file is damaged: its checksum does not fit. Copy it again.")
    batch_power, axes = body[16], body[17] % _HAS_LENGTHS
    (*shape, count), place = _read_varints(body, 18, axes + 1)
    if not 1 <= axes <= _MOST_AXES or batch_power > LARGEST_BATCH or not all(shape):
        raise NotReadable("The file is damaged: its header says what cannot be.")
    stream = body[place:]
    if len(stream) % 4:
        raise NotReadable("The file is damaged: its stream ends within a word.")
    header = Header(
        count,
        tuple(shape),
        batch_power,
        model=body[4:12],
        machine=body[12:16],
        content=body[:4],
        has_lengths=bool(body[17] & _HAS_LENGTHS),
        has_classes=bool(body[17] & _HAS_CLASSES),
    )
    return header, stream


def check_room(header: Header) -> None:
    """Raises NotReadable for a file of more examples than memory holds."""
    try:
        check_memory("count", header.count, (header.count, *header.shape))
    except ValueError as error:
        size = 4 * header.count * math.prod(header.shape)
        raise NotReadable(
            f"The file says that it holds {header.count:,} examples of shape {header.shape}, which "
            f"take {size / 1e9:,.1f} GB, more than there is."
        ) from error


def _read_varints(data: bytes, place: int, count: int) -> tuple[list[int], int]:
    """So many numbers, and where they end."""
    found = []
    for _ in range(count):
        number, place = _read_varint(data, place)
        found.append(number)
    return found, place


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    number, shift = 0, 0
    while place < len(data) and shift < 63:
        byte = data[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise NotReadable("The file is damaged: its header has no end.")
