"""What `fit`, `evaluate` and `log_prob` take: `x`, or `{"x": …, "condition": …, "length": …}`."""

from typing import Any, NamedTuple

from kerasar.typing import Tensor

_KEYS = ("x", "condition", "length")


class Batch(NamedTuple):
    """The parts of a batch. Parts that were not given are None."""

    x: Tensor
    condition: Any = None
    length: Tensor | None = None

    def present(self) -> dict[str, Any]:
        """The given parts by name."""
        return {key: value for key, value in self._asdict().items() if value is not None}


def unpack(data: Any) -> Batch:
    """The parts of what Keras passes to a training step, or of what a user passes as `x`.

    Raises:
        ValueError: if labels were passed, or a dict with other names.
    """
    if isinstance(data, tuple):
        if len(data) != 1 and any(part is not None for part in data[1:]):
            raise ValueError(
                "A density model learns from x alone, but the data are a tuple of "
                f"{len(data)} parts, as (x, y). Pass x, or a dict "
                '{"x": x, "condition": y} if the model is conditional.'
            )
        data = data[0]
    if isinstance(data, dict):
        unknown = sorted(set(data) - set(_KEYS))
        if unknown or "x" not in data:
            raise ValueError(
                'The data are a dict, which must have the key "x" and may have "condition" and '
                f'"length", but its keys are {sorted(data)}.'
            )
        return Batch(**data)
    return Batch(data)
