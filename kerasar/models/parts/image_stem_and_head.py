"""What networks over images share: how pixels enter, and which parameters leave."""

from typing import Any

import keras

from kerasar.checks import check_count
from kerasar.distributions.likelihoods import Categorical, Likelihood
from kerasar.layers import (
    CausalShift,
    EmbedLevels,
    LevelCountsAbove,
    LevelCountsLeft,
    MaskedConv2D,
    RepeatedLevels,
    ScaleLevels,
    SeenLevels,
    SplitChannels,
)
from kerasar.typing import Tensor

ImageShape = tuple[int | None, int | None, int]


#: The least number of levels that are embedded, and whose repetitions are learned, by default, and
#: the size of that embedding (measured: benchmarks/NOTEBOOK.md). Few levels gain nothing, and few
#: images overfit.
_MANY_LEVELS, _EMBEDDING_SIZE = 64, 15


class ImageStemAndHead:
    """The two ends of an image network: input and encoding, and the parameters of each event.

    If the likelihood draws single values, the channels of a pixel are drawn in turn (R; G given
    R; B given both), and feature maps are divided into one group for each color. If it draws
    whole pixels, a pixel is one event and there is one group.

    Args:
        builder: name of the model, for messages.
        image_shape: `(height, width, channels)`; height and width may be None.
        levels: number of values of a channel.
        likelihood: of a value or a pixel; `Categorical()` if None.

    Raises:
        ValueError, TypeError: if these do not fit together.
    """

    def __init__(
        self, builder: str, image_shape: ImageShape, levels: int, likelihood: Likelihood | None
    ) -> None:
        if len(image_shape) != 3 or image_shape[-1] is None:
            raise ValueError(
                f"{builder} needs image_shape=(height, width, channels), with the number of "
                f"channels known, but got {tuple(image_shape)}."
            )
        for size, name in zip(image_shape, ("height", "width", "channels"), strict=True):
            if size is not None:
                check_count(size, f"image_shape's {name}")
        check_count(levels, "levels", least=2)
        likelihood = Categorical() if likelihood is None else likelihood
        if not isinstance(likelihood, Likelihood):
            raise TypeError(
                f"{builder} takes a likelihood of kerasar.distributions, such as Bernoulli(), but "
                f"got {likelihood!r}."
            )
        self.builder, self.channels = builder, int(image_shape[-1])
        if likelihood.event_size not in (None, self.channels):
            raise ValueError(
                f"{builder} got image_shape={tuple(image_shape)}, but its likelihood "
                f"{type(likelihood).__name__} is for pixels of {likelihood.event_size} channels."
            )
        self.levels, self.likelihood = levels, likelihood
        self._by_value = likelihood.event_rank == 0
        #: Number of channel groups in a feature map, one for each value of a pixel drawn in turn.
        self.color_groups = self.channels if self._by_value else 1
        #: Number of outputs of the network for each event.
        self.num_parameters = likelihood.num_parameters(levels)
        #: The input of the network, `(batch, height, width, channels)`.
        self.x = keras.Input(tuple(image_shape), dtype="int32", name="x")

    def check_widths(self, **widths: int) -> None:
        """Raises a ValueError or TypeError unless these numbers of channels suit all colors."""
        for name, width in widths.items():
            if check_count(width, name) % self.color_groups:
                raise ValueError(
                    f"{self.builder} draws the {self.color_groups} colors of a pixel in turn and "
                    f"gives each the same share of its channels, but got {name}={width}. Take a "
                    f"multiple of {self.color_groups}, for example "
                    f"{width + -width % self.color_groups}."
                )

    def encode(self, embedding: int | None) -> Tensor:
        """The pixels, not shifted yet, in [-1, 1], each with `embedding` learned values."""
        if embedding is None:
            embedding = _EMBEDDING_SIZE if self.levels >= _MANY_LEVELS else 0
        if check_count(embedding, "embedding", least=0):
            return EmbedLevels(self.levels, embedding, name="embed")(self.x)
        return ScaleLevels(self.levels, name="scale")(self.x)

    def pointwise(self, filters: int, name: str, **kwargs: Any) -> MaskedConv2D:
        """A 1×1 layer that keeps the order of the colors."""
        return MaskedConv2D(filters, 1, color_groups=self.color_groups, name=name, **kwargs)

    def head(
        self, h: Tensor, filters: int, repeats: bool | None = False, level_counts: bool = False
    ) -> Tensor:
        """Two 1×1 layers, whose output is the parameters of each event.

        Args:
            h: features of each pixel.
            filters: channels between the layers.
            repeats: whether the logits of levels nearby get a weight each (`RepeatedLevels`); None
                chooses by the image.
            level_counts: whether the layers see how often each level was drawn before, and raise
                the logits of those that were (`SeenLevels`).

        Raises:
            ValueError: for `repeats` or `level_counts` of colors, or of a likelihood without a
                logit for each level.
        """
        repeats, counts = self._repeats(repeats), None
        if level_counts:
            counts = self._counts()
            counted = self.pointwise(h.shape[-1], "counted")(keras.ops.log1p(counts))
            h = keras.layers.Add(name="with_counts")([h, counted])
        h = keras.layers.ReLU(name="head_relu1")(h)
        h = self.pointwise(filters, "head1", activation="relu")(h)
        if not self._by_value:
            return self.pointwise(self.num_parameters, "parameters")(h)
        logits = self.pointwise(self.channels * self.num_parameters, "head2")(h)
        if repeats:
            repeated = RepeatedLevels(name="repeated")
            weights = self._weights(repeated.neighbors, "repeat_weights")
            logits = repeated([logits, weights(h), self.x])
        if counts is not None:
            weights = self._weights(2, "seen_weights")
            logits = SeenLevels(name="seen")([logits, weights(h), counts])
        return SplitChannels(self.channels, name="parameters")(logits)

    def _weights(self, count: int, name: str) -> MaskedConv2D:
        """Weights of levels, which begin with none."""
        return self.pointwise(count, name, kernel_initializer="zeros")

    def _counts(self) -> Tensor:
        """How often each level was drawn before each pixel."""
        self._check_levels("counts levels", "level_counts")
        above = LevelCountsAbove(self.levels, name="counts_above")(self.x)
        above = CausalShift(axis=1, dtype="float32", name="counts_down")(above)
        left = LevelCountsLeft(self.levels, name="counts_left")(self.x)
        return keras.layers.Add(dtype="float32", name="counts")([above, left])

    def _repeats(self, repeats: bool | None) -> bool:
        """Whether there are such weights: as asked for, if that is possible, else by the image."""
        if repeats is None:
            return self._has_logits_of_levels and self.levels >= _MANY_LEVELS
        if repeats:
            self._check_levels("raises the logits of repeated levels", "repeats")
        return repeats

    @property
    def _has_logits_of_levels(self) -> bool:
        return self.channels == 1 and isinstance(self.likelihood, Categorical)

    def _check_levels(self, does: str, argument: str) -> None:
        """Raises a ValueError unless a pixel has one logit for each level."""
        if not self._has_logits_of_levels:
            raise ValueError(
                f"{self.builder} {does} of gray images under Categorical(), but got "
                f"{self.channels} channel(s) under {type(self.likelihood).__name__}(). Leave out "
                f"{argument}=True."
            )
