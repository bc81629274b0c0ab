"""The result of the audio reader: recordings as µ-law codes, of unequal length, with labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.data.lazy_rows import is_lazy
from kerasar.data.mu_law import mu_law_decode
from kerasar.data.split import hold_out


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class AudioData:
    """Recordings as integers in `[0, levels)`, padded to one length.

    Attributes:
        name: the name of the data.
        x: µ-law codes, `(n, longest)`, uint8 or int32; silence behind the end of each recording.
            `Recordings`, which are read when they are indexed, where they were to stay in a file.
        length: how many samples of each row are real, `(n,)`.
        sample_rate: int, in samples per second.
        levels: int. Number of codes.
        labels: class of each recording, `(n,)` integers, or None.
        classes: what the labels mean: label i is `classes[i]`. Empty without labels.
        names: file name of each recording.
        skipped: what is wrong with each file that was left out.
    """

    name: str
    x: Any
    length: NDArray[Any]
    sample_rate: int
    levels: int
    labels: NDArray[Any] | None
    classes: tuple[str, ...]
    names: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, condition: bool = True) -> dict[str, Any]:
        """The recordings as `fit`, `evaluate` and `log_prob` take them.

        Args:
            condition: whether the labels, if there are any, are the model's condition.
        """
        parts = {"x": self.x, "length": self.length}
        if condition and self.labels is not None:
            parts["condition"] = self.labels
        return parts

    def part(self, which: Sequence[int] | NDArray[Any]) -> "AudioData":
        """Some of the recordings, by index or by a Boolean mask, padded to the longest of them."""
        chosen = np.asarray(which)
        indices = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype("int64")
        if len(indices) == 0:
            raise ValueError(f"A part of '{self.name}' must hold recordings, but none were chosen.")
        length = self.length[indices]
        return AudioData(
            self.name,
            self.x.select(indices) if is_lazy(self.x) else self.x[indices, : length.max()],
            length,
            self.sample_rate,
            self.levels,
            None if self.labels is None else self.labels[indices],
            self.classes,
            tuple(self.names[i] for i in indices),
        )

    def divide(self) -> tuple["AudioData", "AudioData"]:
        """Recordings to train on, and a tenth of them (at least 1) to test on.

        The same ones are held out each time, drawn at random from all of them.

        Raises:
            ValueError: if there are fewer than 2 recordings.
        """
        kept, tested = hold_out(len(self), "recordings", f"'{self.name}'")
        return self.part(kept), self.part(tested)

    def sound(self, index: int) -> NDArray[Any]:
        """One recording as float32 in [-1, 1], without its padding."""
        return mu_law_decode(self.x[index][: self.length[index]], self.levels)
