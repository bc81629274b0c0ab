"""Which numbers of an event a coupling keeps and which it moves (Dinh et al. 2017, section 3.4)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.layers.bijections.base import known_sizes
from kerasar.typing import Shape

#: Masks that cut the last axis in two: a slice does it, and networks see no zeros.
SPLITS = ("half", "channelwise")
#: Masks that leave both parts in place, filled up with zeros.
PATTERNS = ("alternating", "checkerboard", "random")


def check_mask(name: str, mask: Any) -> Any:
    """A mask's name, or its values as nested lists of 0 and 1.

    Args:
        name: the layer's name, for the message.
        mask: a name, or an array of 0 and 1 (or booleans).

    Raises:
        ValueError: for another name or other values, and for a mask that changes nothing or
            keeps nothing.
    """
    if isinstance(mask, str):
        if mask not in (*SPLITS, *PATTERNS):
            raise ValueError(
                f"Layer '{name}' knows the masks {', '.join((*SPLITS, *PATTERNS))}, but got "
                f"mask='{mask}'. Take one of them, or give an array of 0 (moved) and 1 (kept)."
            )
        return mask
    values = np.asarray(mask)
    if values.dtype.kind not in "biuf" or values.ndim == 0 or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"Layer '{name}' needs a mask of 0 (moved) and 1 (kept), but got {mask!r}."
        )
    _check_both_parts(name, values)
    return values.astype(int).tolist()


def mask_values(name: str, mask: Any, event: Shape, seed: int) -> NDArray[Any]:
    """The values of a pattern, or of a mask that was given, for events of a shape.

    Args:
        name: the layer's name, for messages.
        mask: one of `PATTERNS`, or nested lists of 0 and 1.
        event: shape of an event, without the batch.
        seed: for `"random"`.

    Returns:
        Integers, 1 where a number is kept, that broadcast to `event`.

    Raises:
        ValueError: if the mask does not fit the event.
    """
    if not isinstance(mask, str):
        values = np.asarray(mask)
        fits = values.ndim <= len(event) and all(
            have in (1, want) for have, want in zip(values.shape[::-1], event[::-1], strict=False)
        )
        if not fits:
            raise ValueError(
                f"Layer '{name}' got a mask of shape {values.shape}, which does not broadcast to "
                f"events of shape {event}. Give one number for each number of an event."
            )
        return values
    if mask == "alternating":
        return (np.arange(known_sizes(name, event[-1:])[0]) + 1) % 2
    if mask == "checkerboard":
        if len(event) != 3:
            raise ValueError(
                f"Layer '{name}' lays a checkerboard on images (height, width, channels), but got "
                f"events of shape {event}. Take mask='half', 'alternating' or 'random'."
            )
        height, width = known_sizes(name, event[:2])
        return ((np.indices((height, width)).sum(axis=0) + 1) % 2)[..., None]
    sizes = known_sizes(name, event)
    values = np.zeros(int(np.prod(sizes)), int)
    order = np.random.RandomState(seed).permutation(len(values))
    values[order[: len(values) // 2]] = 1
    return values.reshape(sizes)


def check_parts(name: str, values: NDArray[Any], event: Shape) -> None:
    """Refuses masks that, on this event, keep all or nothing."""
    if values.min() == values.max():
        raise ValueError(
            f"Layer '{name}' keeps one part of an event and moves the other, so it needs at least "
            f"2 numbers to divide, but got events of shape {event}. For single numbers take an "
            "elementwise map such as PiecewiseLinear; for images with one channel "
            "mask='checkerboard'."
        )


def _check_both_parts(name: str, values: NDArray[Any]) -> None:
    if values.all():
        raise ValueError(
            f"Layer '{name}' got a mask of ones only, which keeps everything and so changes "
            "nothing. Put 0 where numbers are to be moved."
        )
    if not values.any():
        raise ValueError(
            f"Layer '{name}' got a mask of zeros only: nothing is kept that could tell how to move "
            "the rest. Put 1 where numbers are to be kept."
        )
