"""How `kerasar train` chooses its settings: by the kind, size and number of the data.

Each model has a few choices, tried in their order; the first that fits the data is taken. Nothing
is chosen by the name of a data set.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Images of at most so many pixels are small: a convolution of 7×7 sees most of them.
SMALL = 256
#: Of at most so many, a training is compiled within seconds, which so many steps gain back.
MEDIUM = 48 * 48
_MANY_STEPS, _MANY_MINUTES = 2_000, 2.0


@dataclass(frozen=True)
class Facts:
    """What the settings follow from.

    Attributes:
        kind: of the data (`kerasar.cli.kinds`).
        examples: number of training examples.
        shape: of one of them; open sizes are None.
        levels: number of values; None for real ones.
    """

    kind: str
    examples: int
    shape: tuple[int | None, ...] = ()
    levels: int | None = None

    @property
    def pixels(self) -> int:
        """Height times width of an image."""
        return math.prod(size or 1 for size in self.shape[:2])

    @property
    def colors(self) -> int:
        """The values of a pixel."""
        return self.shape[-1] or 1

    def shared_out(self, channels: int) -> int:
        """So many channels or a few more, of which each color gets the same share."""
        return self.colors * math.ceil(channels / self.colors)


@dataclass(frozen=True)
class Choice:
    """Settings for data of some kind and size.

    Attributes:
        batch_size: examples in a step.
        learning_rate: the optimizer's, at its highest.
        steps: so many at the most.
        passes: over the training examples, so many at the most.
        settings: arguments of the model's builder, or a function that makes them of the facts.
        why: the reason, as the end of a sentence.
        kind: only for data of that kind.
        most_pixels: only for images of at most so many pixels.
        most_levels: only for values of at most so many levels.
        optimizer: "adam" or "muon".
        compiled_pixels: XLA compiles a long training of images of at most so many pixels, even
            where `compile` would not: steps of few examples and many kernels gain by it. Of larger
            images compiling takes minutes.
    """

    batch_size: int
    learning_rate: float
    steps: int
    passes: int = 40
    settings: Mapping[str, Any] | Callable[[Facts], Mapping[str, Any]] = field(default_factory=dict)
    why: str = ""
    kind: str | None = None
    most_pixels: int | None = None
    most_levels: int | None = None
    optimizer: str = "adam"
    compiled_pixels: int = 0

    @property
    def what(self) -> str:
        """The data that it is for, in words."""
        words = [self.kind] if self.kind else []
        if self.most_pixels is not None:
            words.append(f"images of up to {self.most_pixels} pixels")
        if self.most_levels is not None:
            words.append(f"up to {self.most_levels} levels")
        return ", ".join(words) or "other data"

    def fits(self, facts: Facts) -> bool:
        """Whether the choice is for such data."""
        return (
            self.kind in (None, facts.kind)
            and (self.most_pixels is None or facts.pixels <= self.most_pixels)
            and (self.most_levels is None or (facts.levels or math.inf) <= self.most_levels)
        )

    def epochs(self, examples: int, batch_size: int | None = None) -> int:
        """Whole passes over so many examples."""
        steps_of_a_pass = math.ceil(examples / (batch_size or self.batch_size))
        return max(1, min(self.passes, round(self.steps / steps_of_a_pass)))

    def compilation(self, facts: Facts, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of `compile` besides the optimizer.

        Args:
            facts: of the data.
            settings: of the training: "minutes" or "epochs", and "batch_size".
        """
        batch_size, minutes = settings["batch_size"], settings["minutes"]
        if minutes is None:
            steps = settings["epochs"] * math.ceil(facts.examples / batch_size)
            is_long = steps >= _MANY_STEPS
        else:
            is_long = minutes >= _MANY_MINUTES
        small = facts.pixels <= self.compiled_pixels and batch_size <= 2 * self.batch_size
        return {"jit_compile": True} if is_long and small else {}

    def arguments(self, facts: Facts) -> dict[str, Any]:
        """Arguments of the model's builder."""
        return dict(self.settings(facts) if callable(self.settings) else self.settings)


def wide_gated(facts: Facts) -> dict[str, Any]:
    """A Gated PixelCNN that sees objects whole, by dilations, and remembers by recurrences."""
    dilations = _dilations(facts, 2)
    return {
        "filters": _channels(facts),
        "blocks": len(dilations) + 1,
        "first_kernel_size": 5,
        "dilations": dilations,
        "skip_filters": facts.shared_out(64),
        "head_filters": facts.shared_out(64),
        "vertical_residuals": True,
        "recurrences": True,
    }


def wide_pixelcnn(facts: Facts) -> dict[str, Any]:
    """A PixelCNN that sees objects whole: a first convolution of 7×7, then dilations."""
    dilations = (1, *_dilations(facts, 3))
    return {
        "filters": _channels(facts),
        "blocks": 2 * len(dilations) - 1,
        "dilations": dilations,
        "head_filters": facts.shared_out(64),
    }


def _channels(facts: Facts) -> int:
    """Channels of each convolution, of which a color gets its share."""
    return facts.shared_out(32 if facts.colors == 1 else 48)


def _dilations(facts: Facts, seen: int) -> tuple[int, ...]:
    """Powers of two that together see half of the image upwards, where `seen` rows are seen.

    An object fills most of an image, and what is higher up than half of it is seen by parts that
    are seen. A block sees as many rows up as its dilation.
    """
    height, found = facts.shape[0] or 32, [2]
    while seen + sum(found) < height / 2:
        found.append(2 * found[-1])
    return tuple(found)
