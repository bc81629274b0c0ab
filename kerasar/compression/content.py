"""What a file holds, and what must be given to read it."""

from typing import Any, NamedTuple

import numpy as np


class Content(NamedTuple):
    """Examples, and what belongs to each of them."""

    values: np.ndarray
    """`(examples, *shape)`, int32, in the order of the network."""
    lengths: np.ndarray | None = None
    """Of sequences, `(examples,)`; None: all are as long as their shape. They are kept."""
    classes: dict[str, np.ndarray] | None = None
    """Conditions that are kept, by input name: a class for each example, `(examples,)`."""
    condition: dict[str, np.ndarray] | None = None
    """Conditions that are not kept: reading needs them again."""

    @property
    def kept(self) -> list[np.ndarray]:
        """All arrays that come back."""
        return [
            self.values,
            *([] if self.lengths is None else [self.lengths]),
            *(self.classes or {}).values(),
        ]


def values_of_step(shape: tuple[int, ...]) -> int:
    """How many values a step of a sequence of that shape has."""
    return int(np.prod(shape[1:], dtype=int))


def rows_of(condition: Any, start: int, size: int) -> Any:
    """Some rows of the conditions, the last of them repeated where there are no more."""
    if not condition:
        return None
    numbers = range(start, start + size)
    return {n: part[np.minimum(numbers, len(part) - 1)] for n, part in condition.items()}


def padded(values: np.ndarray, start: int, size: int) -> np.ndarray:
    """Some examples, zeros where there are no more."""
    part = values[start : start + size]
    return np.pad(part, [(0, size - len(part)), *[(0, 0)] * (part.ndim - 1)])
