"""Reads one recording and refuses what is empty, cut short, damaged or out of range."""

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: The sizes, give or take a header, that programs state which stream and cannot go back to fill in
#: the true one.
_UNKNOWN = (0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF)
_MARGIN = 4096
#: Bytes of sound that a file may unpack to, or that many times its size.
_FREE_BYTES, _TIMES = 256 << 20, 20


def read_audio_file(file: Path, mix_channels: bool = False) -> tuple[NDArray[Any], int]:
    """Reads a WAV or FLAC file.

    Args:
        file: its path.
        mix_channels: whether several channels are averaged to one. False refuses them.

    Returns:
        The sound, float32 in [-1, 1] of shape `(samples,)`, and its rate in samples per second.

    Raises:
        ValueError: if the file cannot be read in full, states more sound than 256 MB and 20 times
            its size, is empty, has several channels, or holds
            NaN or values outside of [-1, 1].
    """
    import soundfile

    source = _checked_riff(file)
    try:
        with soundfile.SoundFile(source) as opened:
            expected, rate = opened.frames, opened.samplerate
            _check_size(file, 4 * expected * opened.channels)
            sound = opened.read(dtype="float32", always_2d=True)
    # Libsndfile has one error, but a stranger's file can fail in the bindings too.
    except (soundfile.SoundFileError, RuntimeError, ValueError, OSError) as error:
        raise ValueError(
            f"'{file}' cannot be read as audio: it is damaged, cut short or of another kind "
            f"({error}). Copy it again, or move it out of the folder."
        ) from error
    if len(sound) < expected:
        raise _cut_short(file, f"{expected} samples are stated, {len(sound)} are there")
    if len(sound) == 0:
        raise ValueError(f"'{file}' is empty: it holds no sample. Move it out of the folder.")
    if not np.isfinite(sound).all():
        place = int(np.argwhere(~np.isfinite(sound))[0, 0])
        raise ValueError(
            f"'{file}' must hold finite numbers, but sample {place} is {sound[place].max()}. Fix "
            "it, or move it out of the folder."
        )
    if np.abs(sound).max() > 1:
        raise ValueError(
            f"Audio must lie in [-1, 1], but '{file}' reaches {np.abs(sound).max():.8g}. Divide it "
            "by that, or save it as 16-bit integers."
        )
    if sound.shape[1] > 1 and not mix_channels:
        raise ValueError(
            f"A recording must have one channel, but '{file}' has {sound.shape[1]}. Pass "
            "mix_channels=True to average them."
        )
    return sound[:, 0] if sound.shape[1] == 1 else sound.mean(axis=1), rate


def _checked_riff(file: Path) -> Path | io.BytesIO:
    """What libsndfile is to read; refuses a WAV file that ends before its data do.

    Libsndfile reads what is there, whatever size the header states, except for a size of 0.
    """
    size = file.stat().st_size
    if size == 0:
        raise ValueError(f"'{file}' is empty: it has 0 bytes. Move it out of the folder.")
    with file.open("rb") as opened:
        if opened.read(4) != b"RIFF":
            return file
        opened.seek(12)
        while len(header := opened.read(8)) == 8:
            kind, stated = struct.unpack("<4sI", header)
            there = size - opened.tell()
            if kind == b"data":
                unknown = any(abs(stated - mark) <= _MARGIN for mark in _UNKNOWN)
                if stated > there and not unknown:
                    raise _cut_short(file, f"{stated} bytes are stated, {there} are there")
                start = opened.tell()
                if stated > 0 or there == 0 or _are_chunks(opened, size):
                    return file
                content = bytearray(file.read_bytes())
                content[start - 4 : start] = b"\xff" * 4
                return io.BytesIO(content)
            opened.seek(stated + stated % 2, 1)  # chunks begin at even places
    raise _cut_short(file, "it ends before its data begin")


def _check_size(file: Path, stated: int) -> None:
    most = max(_FREE_BYTES, _TIMES * file.stat().st_size)
    if stated > most:
        raise ValueError(
            f"it states sound of {stated:,} bytes, but a file of its size may hold {most:,}"
        )


def _are_chunks(opened: BinaryIO, size: int) -> bool:
    """Whether the rest of a file is further chunks, to its very end, rather than sound."""
    while len(header := opened.read(8)) == 8:
        opened.seek(struct.unpack("<4xI", header)[0], 1)
        if opened.tell() < size:
            opened.seek(opened.tell() % 2, 1)
        if opened.tell() > size:
            return False
    return opened.tell() == size and not header


def _cut_short(file: Path, reason: str) -> ValueError:
    return ValueError(
        f"'{file}' is cut short: {reason}. Copy it again, or move it out of the folder."
    )
