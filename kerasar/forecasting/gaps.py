"""What is missing at the end of a history: it is drawn, as the steps ahead are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def missing_at_end(past: NDArray[Any]) -> int:
    """How many steps there are behind the last one of which something is observed.

    Args:
        past: `(time, …)`; nothing is missing at the end of one that has no value at all.
    """
    observed = np.isfinite(past).reshape(len(past), -1).any(axis=1)
    return len(past) - int(np.flatnonzero(observed)[-1]) - 1 if observed.any() else 0


def behind_gaps(drawn: NDArray[Any], gaps: Sequence[int], steps: int) -> NDArray[Any]:
    """The steps ahead, of paths that were drawn from gaps on.

    Args:
        drawn: `(origins, paths, time)`.
        gaps: of each origin.
        steps: ahead.

    Returns:
        `(origins, paths, steps)`.
    """
    return np.stack([paths[:, gap : gap + steps] for paths, gap in zip(drawn, gaps, strict=True)])
