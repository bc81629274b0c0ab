"""One hold-out for all data whose examples are independent: a tenth, the same each time."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def hold_out(
    count: int,
    noun: str,
    source: str,
    advice: str = "",
    purpose: str = "testing",
    most: int | None = None,
) -> tuple[Indices, Indices]:
    """Divides the indices 0 … count - 1 at random into those that are kept and those held out.

    Both are in ascending order, so each part keeps the order of the data.

    Args:
        count: how many examples there are.
        noun: the word for examples, such as "images", for the message.
        source: the word for what holds them, such as "'faces.npz'".
        advice: what the user can do instead of adding examples, such as ", or save a test set".
        purpose: what the held-out examples are for.
        most: the largest number of examples to hold out; None for a tenth of any data.

    Raises:
        ValueError: if there are fewer than 2 examples.
    """
    if count < 2:
        raise ValueError(
            f"One tenth of the {noun}, and at least 1, is held out for {purpose}, so there must be "
            f"at least 2, but {source} holds {count}. Add {noun}{advice}."
        )
    held_out = max(1, count // 10) if most is None else min(max(1, count // 10), most)
    # NumPy guarantees that this stream of random values never changes; not so for default_rng.
    order = np.random.RandomState(0).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])
