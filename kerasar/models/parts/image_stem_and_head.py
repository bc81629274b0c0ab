"""The two ends that networks over images share: how pixels enter, and what parameters leave."""

from typing import Any

import keras

from kerasar.checks import check_count
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import EmbedLevels, MaskedConv2D, ScaleLevels, SplitChannels
from kerasar.typing import Tensor

ImageShape = tuple[int | None, int | None, int]


#: From how many levels on they are embedded unless the user says otherwise, and in how many
#: numbers (measured: benchmarks/NOTEBOOK.md). Few levels gain nothing, and few images overfit.
_MANY, _EMBEDDING = 64, 15


class ImageStemAndHead:
    """The data of an image model: their input, their encoding, and the parameters of a pixel.

    Where the likelihood draws single values, the channels of a pixel are drawn in turn (R; G
    given R; B given both), and feature maps stand in as many groups of colours. Where it draws
    whole pixels, all of a pixel is one event and there is one group.

    Args:
        builder: name of the model, for messages.
        image_shape: `(height, width, channels)`; height and width may be None.
        levels: number of values of a channel.
        likelihood: of a value or a pixel.

    Raises:
        ValueError, TypeError: if these do not fit together.
    """

    def __init__(
        self, builder: str, image_shape: ImageShape, levels: int, likelihood: Likelihood
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
        if not isinstance(likelihood, Likelihood):
            raise TypeError(
                f"{builder} takes a likelihood of kerasar.training, such as Bernoulli(), but got "
                f"{likelihood!r}."
            )
        self.builder, self.channels = builder, int(image_shape[-1])
        if likelihood.event_size not in (None, self.channels):
            raise ValueError(
                f"{builder} got image_shape={tuple(image_shape)}, but its likelihood "
                f"{type(likelihood).__name__} is for pixels of {likelihood.event_size} channels."
            )
        self._by_value = likelihood.event_rank == 0
        #: Groups of channels in a feature map, one for each value that is drawn by itself.
        self.color_groups = self.channels if self._by_value else 1
        #: How many numbers the network must put out for each event.
        self.parameters = likelihood.num_parameters(levels)
        #: The input of the network, `(batch, height, width, channels)`.
        self.x = keras.Input(tuple(image_shape), dtype="int32", name="x")
        self._levels = levels

    def check_widths(self, **widths: int) -> None:
        """Raises a ValueError or TypeError unless these numbers of channels suit all colours."""
        for name, width in widths.items():
            if check_count(width, name) % self.color_groups:
                raise ValueError(
                    f"{self.builder} draws the {self.color_groups} colours of a pixel in turn and "
                    f"gives each the same share of its channels, but got {name}={width}. Take a "
                    f"multiple of {self.color_groups}, for example "
                    f"{width + -width % self.color_groups}."
                )

    def encoded(self, embedding: int | None) -> Tensor:
        """The pixels, not shifted yet: in [-1, 1], and `embedding` numbers learned for a level."""
        if embedding is None:
            embedding = _EMBEDDING if self._levels >= _MANY else 0
        if check_count(embedding, "embedding", least=0):
            return EmbedLevels(self._levels, embedding, name="embed")(self.x)
        return ScaleLevels(self._levels, name="scale")(self.x)

    def pointwise(self, filters: int, name: str, **kwargs: Any) -> MaskedConv2D:
        """A 1×1 layer that keeps the colours in order."""
        return MaskedConv2D(filters, 1, color_groups=self.color_groups, name=name, **kwargs)

    def head(self, h: Tensor, filters: int) -> Tensor:
        """Two 1×1 layers and the parameters of each event."""
        h = keras.layers.ReLU(name="head_relu1")(h)
        h = self.pointwise(filters, "head1", activation="relu")(h)
        if not self._by_value:
            return self.pointwise(self.parameters, "parameters")(h)
        h = self.pointwise(self.channels * self.parameters, "head2")(h)
        return SplitChannels(self.channels, name="parameters")(h)
