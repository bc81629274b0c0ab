"""A few numbers of each example that say in which way it is unusual, from one pass of the model.

Everything here is on tensors, so that training scripts and servers compute the same.
"""

from typing import NamedTuple

import tensorflow as tf

from kerasar.distributions import Surprise
from kerasar.scores.adaptive_code import adaptive_code_nats
from kerasar.typing import Tensor

#: How many of the most surprising events of an example are looked at together.
_WORST = 5
#: Nats beyond which a difference says nothing more; they are infinite outside of a bounded base.
_MOST_NATS = 1e6
_TINY = 1e-6


class Example(NamedTuple):
    """A batch as the statistics see it: everything `(batch, height, width)` or `(batch, time)`."""

    surprise: Surprise
    """of each position, colors added up"""
    x: Tensor
    """float64, `(batch, *positions, values)`"""
    real: Tensor
    """Boolean, of `surprise`: False for padding, and for events of which nothing is known"""
    known: Tensor
    """Boolean, of `x`: False for padding, and for values that are missing"""


def as_example(surprise: Surprise, x: Tensor, length: Tensor | None, is_map: bool) -> Example:
    """Arranges what a model computed, in float64.

    Args:
        surprise: `(batch, *positions)`, with a further axis for colors that are drawn in turn.
        x: the data, `(batch, *positions, …)`; NaN is a value that is missing.
        length: int, `(batch,)`: of sequences that are padded.
        is_map: whether the surprise has the positions of the data, not those of a latent.
    """
    parts = [
        tf.clip_by_value(tf.cast(part, tf.float64), -_MOST_NATS, _MOST_NATS) for part in surprise
    ]
    if parts[0].shape.rank == 4:
        parts = [tf.reduce_sum(part, axis=-1) for part in parts]
    x = tf.cast(x, tf.float64)
    if x.shape.rank == 2:
        x = x[..., None]
    known = ~tf.math.is_nan(x)
    x = tf.where(known, x, tf.zeros_like(x))
    real = tf.ones_like(parts[0], tf.bool)
    if x.shape.rank == 3 and is_map:
        real = tf.reduce_any(known, axis=-1)
    if length is not None:
        inside = tf.sequence_mask(length, tf.shape(x)[1])
        real, known = real & inside, known & inside[..., None]
    parts = [tf.where(real, part, tf.zeros_like(part)) for part in parts]
    return Example(Surprise(*parts), x, real, known)


def totals(example: Example) -> dict[str, Tensor]:
    """Sums over each example, `(batch,)`, by name, and the number of events."""
    nats, expected, variance = example.surprise
    return {
        "events": tf.maximum(_total(tf.cast(example.real, tf.float64)), 1.0),
        "nats": _total(nats),
        "expected": _total(expected),
        "variance": _total(tf.maximum(variance, 0.0)),
        "squares": _total(tf.square(nats - expected)),
    }


def worst_events(values: Tensor, count: int = 1) -> Tensor:
    """The sum of the largest values of each example, `(batch,)`."""
    flat = tf.reshape(values, (tf.shape(values)[0], -1))
    largest = tf.math.top_k(flat, tf.minimum(count, tf.shape(flat)[1])).values
    return tf.reduce_sum(largest, axis=-1)


def patch_sums(values: Tensor, size: int) -> Tensor:
    """The sum over the patch around each position, of the shape of `values`; zeros around it."""
    for axis in range(1, values.shape.rank):
        before = (size - 1) // 2
        paddings = [[0, 0] for _ in range(values.shape.rank)]
        paddings[axis] = [before + 1, size - 1 - before]
        sums = tf.cumsum(tf.pad(values, paddings), axis=axis)
        count = tf.shape(values)[axis]
        index = tf.range(count)
        values = tf.gather(sums, index + size, axis=axis) - tf.gather(sums, index, axis=axis)
    return values


def patch_size(shape: tuple[int | None, ...]) -> int:
    """The side of a patch: five positions, or a thirtieth of the longest axis if that is more."""
    return max(5, *(round((size or 0) / 30) for size in shape))


def contrast(example: Example) -> Tensor:
    """How far each position is from the mean of its example, added up over the values there."""
    known = tf.cast(example.known, tf.float64)
    axes = list(range(1, example.x.shape.rank - 1))
    count = tf.maximum(tf.reduce_sum(known, axis=axes, keepdims=True), 1.0)
    mean = tf.reduce_sum(example.x * known, axis=axes, keepdims=True) / count
    return tf.reduce_sum(tf.abs(example.x - mean) * known, axis=-1)


class Layout(NamedTuple):
    """Where a mass lies: along each axis in shares of its length, 0 in the middle, `(batch,)`."""

    centers: list[Tensor]
    spreads: list[Tensor]

    @classmethod
    def of(cls, mass: Tensor, real: Tensor) -> "Layout":
        """The layout of a mass of at least 0, `(batch, *positions)`."""
        mass += 1e-9 * tf.cast(real, tf.float64)
        axes = list(range(1, mass.shape.rank))
        mass /= tf.maximum(tf.reduce_sum(mass, axis=axes, keepdims=True), 1e-30)
        centers, apart = [], []
        for axis in axes:
            others = [other for other in axes if other != axis]
            steps = tf.range(tf.shape(mass)[axis], dtype=tf.float64)
            filled = tf.cast(tf.reduce_any(real, axis=others), tf.float64)
            # A padded sequence has a length of its own: that of what is real.
            size = tf.maximum(tf.reduce_max(filled * (steps + 1), axis=-1, keepdims=True), 1.0)
            steps = (steps + 0.5) / size - 0.5
            along = tf.reduce_sum(mass, axis=others)
            center = tf.reduce_sum(along * steps, axis=-1)
            centers.append(center)
            shape = [-1] + [tf.shape(mass)[other] if other == axis else 1 for other in axes]
            apart.append(tf.reshape(steps - center[:, None], shape))
        spreads = [tf.math.log(tf.reduce_sum(mass * d * d, axis=axes) + _TINY) for d in apart]
        return cls(centers, spreads)


def statistics(
    example: Example, levels: int | None, patch: int, is_map: bool
) -> dict[str, dict[str, Tensor]]:
    """The statistics of each example, in three groups; each a float64 tensor, `(batch,)`.

    Args:
        example: from `as_example`.
        levels: number of values of discrete data, None for real values, which have no complexity.
        patch: side of the patches.
        is_map: whether the surprise has the positions of the data, not those of a latent.
    """
    t = totals(example)
    nats, expected, _ = example.surprise
    excess = nats - expected
    typical = {
        "surprise": t["nats"] / t["events"],
        "expected_surprise": t["expected"] / t["events"],
        "uncertainty": tf.math.log(t["variance"] / t["events"] + _TINY),
    }
    if levels is not None:
        rank = 2 if example.x.shape.rank == 4 else 1
        length = adaptive_code_nats(example.x, levels, rank, example.known[..., 0])
        typical["complexity"] = length / t["events"]
        if is_map:
            layout = Layout.of(tf.maximum(expected, 0.0), example.real)
            for name, spread in zip(_axis_names(layout), layout.spreads, strict=True):
                typical[f"spread{name}"] = spread
    local = {
        "dispersion": tf.math.log((t["squares"] + 1.0) / (t["variance"] + 1.0)),
        "worst_events": tf.math.log1p(tf.maximum(worst_events(excess, _WORST), 0.0)),
        "worst_patch": tf.math.log1p(tf.maximum(worst_events(patch_sums(excess, patch)), 0.0)),
    }
    layout = Layout.of(contrast(example), tf.reduce_any(example.known, axis=-1))
    place = {
        f"center{name}": center
        for name, center in zip(_axis_names(layout), layout.centers, strict=True)
    }
    return {"typicality": typical, "local": local, "place": place}


def _axis_names(layout: Layout) -> list[str]:
    return ["_of_rows", "_of_columns"] if len(layout.centers) == 2 else [""]


def _total(values: Tensor) -> Tensor:
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))
