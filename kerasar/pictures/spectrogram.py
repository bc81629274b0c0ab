"""Spectrograms of recordings, several on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments, shorten
from kerasar.checks import check_count, check_values
from kerasar.pictures.palette import BLUE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The range of power shown, in decibels below the loudest of all pictures.
RANGE = 70.0
#: What a WAV file can state, in samples per second, is far below.
_HIGHEST_RATE = 2**24


@checks_arguments
def spectrogram(sound: Any, sample_rate: int) -> NDArray[Any]:
    """The power of each frequency over time, by windows of 32 ms every 4 ms.

    Args:
        sound: real numbers, `(samples,)`.
        sample_rate: int, in samples per second.

    Returns:
        float64 `(frequencies, windows)`, in decibels; row k belongs to the frequency
        `k * sample_rate / window`, with a window of `2 * (frequencies - 1)` samples.

    Raises:
        ValueError: if `sound` is not a single recording.
    """
    sound = check_values(sound, "sound").astype("float64")
    if sound.ndim != 1:
        raise ValueError(
            f"A recording must have shape (samples,), but sound has shape {sound.shape}. Pass one "
            "at a time, without padding."
        )
    check_count(sample_rate, "sample_rate", most=_HIGHEST_RATE)
    size = max(2 * round(0.016 * sample_rate), 2)
    hop = max(round(0.004 * sample_rate), 1)
    # Half a window of silence at each end: the picture begins and ends with the sound.
    padded = np.pad(sound, size // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    shape = np.hanning(size + 1)[:-1]
    power = np.abs(np.fft.rfft(windows * shape, axis=1)) ** 2
    return 10 * np.log10(power.T + 1e-12)


@checks_arguments
def spectrogram_figure(
    sounds: Sequence[Any],
    sample_rate: int,
    titles: Sequence[str] = (),
    heading: str | None = None,
    columns: int = 2,
) -> Figure:
    """Draws the spectrogram of each recording, black to yellow over 70 dB, with its wave above.

    Args:
        sounds: recordings, real numbers of shape `(samples,)` each, of any length.
        sample_rate: int, in samples per second.
        titles: a text for each.
        heading: text above the spectrograms.
        columns: int. Number of spectrograms in a row.

    Returns:
        A figure, for `save` or a notebook.

    Raises:
        ValueError: if there are no recordings, or one is not a single recording.
    """
    from matplotlib.figure import Figure

    if not isinstance(sounds, (list, tuple, np.ndarray)) or np.shape(sounds[:1])[:1] != (1,):
        raise ValueError(
            f"sounds must be recordings to draw, at least one, but got {shorten(sounds)}."
        )
    check_count(columns, "columns")
    names = [f"recording sounds[{i}]" for i in range(len(sounds))]
    parts = [
        check_values(sound, name, 1).astype("float64")
        for sound, name in zip(sounds, names, strict=True)
    ]
    pictures = [spectrogram(part, sample_rate) for part in parts]
    top = max(picture.max() for picture in pictures)
    loudest = max(np.abs(part).max() for part in parts) or 1.0
    rows = -(-len(parts) // columns)
    figure = Figure(figsize=(4.2 * min(columns, len(parts)), 2.9 * rows), layout="constrained")
    heights = [1, 3] * rows
    grid = figure.add_gridspec(2 * rows, min(columns, len(parts)), height_ratios=heights)
    for i, (part, picture) in enumerate(zip(parts, pictures, strict=True)):
        row, column = divmod(i, columns)
        seconds = len(part) / sample_rate
        wave = figure.add_subplot(grid[2 * row, column])
        wave.plot(np.arange(len(part)) / sample_rate, part, linewidth=0.4, color=BLUE)
        wave.set(xlim=(0, seconds), ylim=(-loudest, loudest), xticks=[], yticks=[0])
        wave.set_ylabel("" if column else "wave")
        if i < len(titles):
            wave.set_title(titles[i], fontsize=10)
        axes = figure.add_subplot(grid[2 * row + 1, column])
        shown = axes.imshow(
            picture - top,
            origin="lower",
            aspect="auto",
            cmap="inferno",
            vmin=-RANGE,
            vmax=0.0,
            extent=(0, seconds, 0, sample_rate / 2000),
        )
        last = i + columns >= len(parts)
        axes.set(xlabel="seconds" if last else "", ylabel="" if column else "kHz")
    bar = figure.colorbar(shown, ax=figure.axes, aspect=40, pad=0.01)
    bar.set_label("dB relative to the loudest")
    if heading:
        figure.suptitle(heading, fontsize=11)
    return figure
