"""Which elements of an event a coupling transforms (Dinh et al. 2017, section 3.4)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.layers.bijections.base import known_sizes
from kerasar.typing import Shape

#: Masks that split the last axis in two: both parts are slices, and networks see no zeros.
SPLITS = ("half", "channelwise")
#: Masks that leave both parts in place, with zeros for the other part.
PATTERNS = ("alternating", "checkerboard", "random")


def check_mask(name: str, mask: Any) -> Any:
    """A mask's name, or its values as nested lists of 0 and 1.

    Args:
        name: the layer's name, for the message.
        mask: a name, or an array of 0 and 1 (or booleans).

    Raises:
        ValueError: for another name or other values, and for a mask of ones or of zeros only.
    """
    if isinstance(mask, str):
        if mask not in (*SPLITS, *PATTERNS):
            raise ValueError(
                f"Layer '{name}' knows the masks {', '.join((*SPLITS, *PATTERNS))}, but got "
                f"mask='{mask}'. Take one of them, or give an array of 0 (transformed) and 1 "
                "(identity)."
            )
        return mask
    values = np.asarray(mask)
    if values.dtype.kind not in "biuf" or values.ndim == 0 or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"Layer '{name}' needs a mask of 0 (transformed) and 1 (identity), but got {mask!r}."
        )
    _check_both_parts(name, values)
    return values.astype(int).tolist()


def mask_values(name: str, mask: Any, event: Shape, seed: int) -> NDArray[Any]:
    """The values of a pattern, or of a given mask, for events of a shape.

    Args:
        name: the layer's name, for messages.
        mask: one of `PATTERNS`, or nested lists of 0 and 1.
        event: shape of an event, without the batch.
        seed: for `"random"`.

    Returns:
        Integers that broadcast to `event`, 1 for the identity part and 0 for the transformed one.

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
                f"events of shape {event}. Give one value for each element of an event."
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
    """Raises a ValueError if one part of this event is empty."""
    if values.min() == values.max():
        raise ValueError(
            f"Layer '{name}' transforms one part of an event conditioned on the other, so it needs "
            f"at least 2 elements to split, but got events of shape {event}. For scalars take an "
            "elementwise map such as PiecewiseLinear; for images with one channel "
            "mask='checkerboard'."
        )


def _check_both_parts(name: str, values: NDArray[Any]) -> None:
    if values.all():
        raise ValueError(
            f"Layer '{name}' got a mask of ones only, which is the identity. Put 0 for the "
            "elements to transform."
        )
    if not values.any():
        raise ValueError(
            f"Layer '{name}' got a mask of zeros only: there is nothing to condition on. Put 1 for "
            "the elements to leave unchanged."
        )
