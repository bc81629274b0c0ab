"""Reads a folder of WAV and FLAC recordings as µ-law codes, and writes samples as WAV."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, new_file, user_path
from kerasar.data.audio_data import AudioData
from kerasar.data.audio_file import read_audio_file
from kerasar.data.folder_files import find_files
from kerasar.data.mu_law import mu_law_decode, mu_law_encode
from kerasar.data.read_ahead import read_ahead
from kerasar.data.recordings import Recordings
from kerasar.data.row_file import Spool

_HIGHEST_RATE = 1_000_000
#: Recordings that are in memory at once while all are read.
_READ_TOGETHER = 16
_LABELS = ("auto", "folder", "name", None)


@checks_arguments
def load_audio(
    folder: str | os.PathLike[str],
    sample_rate: int | None = None,
    levels: int = 256,
    trim_db: float | None = 40.0,
    labels: str | None = "auto",
    mix_channels: bool = False,
    *,
    stream_above: int | None = None,
    skip_corrupt: bool = False,
) -> AudioData:
    """Loads all recordings of a folder or, if it holds none, those of its subfolders.

    Files are taken in the order of their names; hidden files and files of other kinds are left
    alone. Nothing is cut off or scaled except by the arguments below.

    Args:
        folder: holds files that end in .wav or .flac, or subfolders that hold them.
        sample_rate: samples per second, at most 1,000,000, that the recordings are resampled to
            (by soxr, high quality), from a 64th of it at least. None keeps their own
            rate, which must then be the same for all.
        levels: int. Number of µ-law codes, from 2 to 65,536.
        trim_db: silence at both ends is cut off: what stays that many decibels below the loudest
            10 ms of the recording. None cuts off nothing.
        labels: where classes come from: "folder", the names of subfolders; "name", the part
            before the first "_" of each file's name (`3_theo_12.wav` is a "3"); None, no labels;
            "auto", subfolders if there are any, else names if all of them have a "_", else none.
            Classes are numbered in the order of their names.
        mix_channels: whether several channels are averaged to one. False refuses them.
        stream_above: int. Codes that take more bytes than this are kept in a temporary file (in
            `$TMPDIR`), and read from it when they are indexed: `x` is then `Recordings`, for
            `kerasar.data.pipeline`. None keeps all in memory.
        skip_corrupt: bool. Whether files that cannot be read are left out; the result's `skipped`
            says what is wrong with them.

    Returns:
        An `AudioData`, with `x` `(n, longest)` padded with silence, and `length` `(n,)`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: for a folder without recordings, and for a recording that is empty, cut short,
            damaged, all silence, holds NaN or values outside of [-1, 1], or has another rate or
            more channels than asked for. The message names the file.

    Example:
        >>> data = kerasar.data.load_audio("recordings", sample_rate=8000)  # doctest: +SKIP
        >>> model = kerasar.models.WaveNet(None, data.levels, num_classes=10)  # doctest: +SKIP
        >>> model.compile()  # doctest: +SKIP
        >>> model.fit(data.batch())  # doctest: +SKIP
    """
    folder = user_path(folder, "folder")
    if labels not in _LABELS:
        raise ValueError(
            f"labels must be one of {', '.join(map(repr, _LABELS))}, but got labels={labels!r}."
        )
    if sample_rate is not None:
        check_sample_rate(sample_rate)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder '{folder}'. Pass one that holds recordings.")
    files, in_subfolders = find_files(folder, "recordings", (".wav", ".flac"))
    names = [file.relative_to(folder).as_posix() for file in files]
    kind = _label_source(folder, names, in_subfolders, labels)
    kept = _Kept(stream_above)
    skipped, good = [], []
    rate, first = sample_rate, None
    found = read_ahead(files, lambda file: read_audio_file(file, mix_channels), _READ_TOGETHER)
    for i, (file, result) in enumerate(zip(files, found, strict=True)):
        if isinstance(result, ValueError):
            if not skip_corrupt:
                raise result
            skipped.append(str(result))
            continue
        sound, own_rate = result
        if rate is None:
            rate, first = own_rate, file
        elif own_rate != rate and sample_rate is None:
            raise ValueError(
                f"All recordings must have the same sample rate, but '{first}' has {rate} Hz "
                f"and '{file}' has {own_rate} Hz. Pass sample_rate={rate} to resample them."
            )
        if own_rate > _HIGHEST_RATE or rate > 64 * own_rate:
            raise ValueError(
                f"'{file}' states a rate of {own_rate} Hz, but recordings of at most "
                f"{_HIGHEST_RATE} Hz are read, and resampled to at most 64 times theirs."
            )
        if own_rate != rate:
            sound = _resampled(sound, own_rate, rate)
        if trim_db is not None:
            sound = _trimmed(sound, rate, trim_db, file)
        kept.add(mu_law_encode(sound, levels))
        good.append(i)
    if not good:
        raise ValueError(f"None of {len(files):,} recordings can be read: {skipped[0]}")
    names = [names[i] for i in good]
    classes, label_of = _classes(names, kind)
    return AudioData(
        folder.resolve().name,
        kept.rows(levels // 2),
        np.array(kept.length, "int32"),
        int(rate or 0),
        levels,
        label_of,
        classes,
        tuple(names),
        tuple(skipped),
    )


class _Kept:
    """Recordings as codes: in memory, or from so many bytes on in a temporary file."""

    def __init__(self, stream_above: int | None) -> None:
        self.length: list[int] = []
        self._most, self._size = stream_above, 0
        self._codes: list[NDArray[Any]] = []
        self._spool: Spool | None = None

    def add(self, codes: NDArray[Any]) -> None:
        self.length.append(len(codes))
        self._codes.append(codes)
        self._size += codes.nbytes
        if self._most is None or self._size <= self._most:
            return
        if self._spool is None:
            self._spool, self._dtype = Spool(), codes.dtype
        for part in self._codes:
            self._spool.add(part)
        self._codes.clear()

    def rows(self, silence: int) -> Any:
        """All of them, padded with silence."""
        length = np.array(self.length, "int64")
        if self._spool is not None:
            file = self._spool.rows((int(length.sum()),), self._dtype)
            return Recordings(file, np.cumsum(length) - length, length, silence)
        x = np.full((len(length), length.max()), silence, self._codes[0].dtype)
        for row, codes in zip(x, self._codes, strict=True):
            row[: len(codes)] = codes
        return x


@checks_arguments
def write_wav(
    path: str | os.PathLike[str], codes: Any, sample_rate: int, levels: int = 256
) -> None:
    """Writes one recording, given as µ-law codes, as a 16-bit WAV file.

    The file is written under another name and then moved, so a reader never sees half of it. A
    file of that name is replaced.

    Args:
        path: of the file, which ends in .wav.
        codes: integers in `[0, levels)`, `(samples,)`, such as one row of `model.sample(...)`.
        sample_rate: int, in samples per second.
        levels: int. Number of µ-law codes.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: for another ending, and for codes that are not a single recording.
    """
    import soundfile

    path, codes = user_path(path), np.asarray(codes)
    check_sample_rate(sample_rate)
    if path.suffix.lower() != ".wav":
        raise ValueError(f"Audio is written as WAV, so a name must end in .wav, but got '{path}'.")
    if codes.ndim != 1 or codes.size == 0:
        raise ValueError(
            f"A WAV file holds one recording, codes of shape (samples,), but got {codes.shape}. "
            "Write one file for each row."
        )
    path = new_file(path)
    sound = mu_law_decode(codes, levels)
    with tempfile.TemporaryDirectory(prefix=".audio-", dir=path.parent) as staging:
        staged = Path(staging, "sound.wav")
        soundfile.write(staged, sound, sample_rate, subtype="PCM_16")
        os.replace(staged, path)


def check_sample_rate(sample_rate: Any) -> int:
    """A rate in samples per second, which no recorder exceeds."""
    return check_count(sample_rate, "sample_rate", most=_HIGHEST_RATE)


def _label_source(
    folder: Path, names: list[str], in_subfolders: bool, labels: str | None
) -> str | None:
    unnamed = next((name for name in names if "_" not in Path(name).name), None)
    if labels == "auto":
        return "folder" if in_subfolders else "name" if unnamed is None else None
    if labels == "folder" and not in_subfolders:
        raise ValueError(
            f"labels='folder' takes the names of subfolders, but the recordings are in '{folder}' "
            "itself. Make a subfolder for each class, or pass labels='name' or None."
        )
    if labels == "name" and unnamed is not None:
        raise ValueError(
            "labels='name' takes the part before the first '_' of a file's name, but "
            f"'{unnamed}' in '{folder}' has none. Rename it, or pass labels='folder' or None."
        )
    return labels


def _classes(names: list[str], kind: str | None) -> tuple[tuple[str, ...], NDArray[Any] | None]:
    if kind is None:
        return (), None
    paths = [Path(name) for name in names]
    found = [p.parent.name if kind == "folder" else p.name.split("_")[0] for p in paths]
    classes = sorted(set(found))
    return tuple(classes), np.array([classes.index(name) for name in found], "int32")


def _resampled(sound: NDArray[Any], old: int, new: int) -> NDArray[Any]:
    import soxr

    # The filter may overshoot at full loudness, by a little.
    return np.clip(soxr.resample(sound, old, new, quality="HQ"), -1.0, 1.0)


def _trimmed(sound: NDArray[Any], rate: int, decibels: float, file: Path) -> NDArray[Any]:
    frame = max(rate // 100, 1)
    starts = np.arange(0, len(sound), frame)
    counts = np.diff(np.append(starts, len(sound)))
    power = np.add.reduceat(np.square(sound, dtype="float64"), starts) / counts
    if power.max() == 0:
        raise ValueError(
            f"'{file}' is all silence. Move it out of the folder, or pass trim_db=None to keep it."
        )
    loud = np.flatnonzero(power >= power.max() * 10 ** (-decibels / 10))
    return sound[starts[loud[0]] : starts[loud[-1]] + frame]
