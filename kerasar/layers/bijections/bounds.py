"""What keeps deep flows from overflowing: bounds of scales, gains of networks."""

from keras import ops

from kerasar.typing import Tensor


def bounded(log_scale: Tensor, bound: float | None) -> Tensor:
    """A log scale limited smoothly to (-bound, bound); unchanged if `bound` is `None`.

    a / (1 + |a| / bound) has slope 1 at 0 and, unlike tanh, gradients that decay slowly.
    """
    return log_scale if bound is None else log_scale / (1 + ops.abs(log_scale) / bound)


def gain_for(depth: int) -> float:
    """The gain of each of `depth` steps in a chain.

    The change of a chain in one step of an optimizer is the sum of the changes of its steps. Common
    learning rates suit eight of them; from there on each gain is reduced, so that the sum stays.
    """
    return min(1.0, 8 / depth)


def check_gain(name: str, gain: float | None) -> float | None:
    """`gain`, if it is `None` or positive.

    Raises:
        ValueError: otherwise, with the layer's name in the message.
    """
    _check_positive(name, gain, "gain, the factor of its network's outputs", "to have it chosen")
    return gain


def check_bound(name: str, bound: float | None) -> float | None:
    """`bound`, if it is `None` or positive.

    Raises:
        ValueError: otherwise, with the layer's name in the message.
    """
    _check_positive(name, bound, "scale_bound, the largest log scale", "for unbounded scales")
    return bound


def _check_positive(name: str, value: float | None, what: str, purpose_of_none: str) -> None:
    if value is not None and not 0 < value < float("inf"):
        raise ValueError(
            f"Layer '{name}' needs a positive {what}, but got {value!r}. Pass None "
            f"{purpose_of_none}."
        )
