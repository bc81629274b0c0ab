"""The two sides of an autoencoder of images: from pixels to a latent, and from it to a map."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers as L

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import ScaleLevels
from kerasar.models.gated_pixel_cnn import GatedPixelCNN
from kerasar.typing import Tensor

#: How often the image's size is halved for the map that a latent vector is spread over.
_HALVINGS = 2


class LatentCoder:
    """Builds an encoder and a decoder that fit each other.

    Args:
        builder: name of the model, for messages.
        image_shape: `(height, width, channels)`, all known.
        levels: number of values of a channel.
        latent_shape: `(size,)` for a vector; `(height, width, channels)` for a map of the image's
            size, halved any number of times (and rounded up).
        filters: channels of the convolutions.

    Raises:
        ValueError, TypeError: if these do not fit together.
    """

    def __init__(
        self,
        builder: str,
        image_shape: tuple[int, int, int],
        levels: int,
        latent_shape: tuple[int, ...],
        filters: int,
    ) -> None:
        if len(image_shape) != 3 or None in image_shape:
            raise ValueError(
                f"{builder} needs image_shape=(height, width, channels), all of them known, but "
                f"got {tuple(image_shape)}."
            )
        if not isinstance(latent_shape, Sequence):
            raise TypeError(
                f"latent_shape of {builder} must be a shape such as (32,) or (7, 7, 4), but got "
                f"{latent_shape!r}."
            )
        check_sizes(image_shape=image_shape, latent_shape=latent_shape)
        check_count(levels, "levels", least=2)
        check_count(filters, "encoder_filters")
        self.image_shape, self.latent_shape = image_shape, tuple(latent_shape)
        self._levels, self._filters = levels, filters
        self._sizes = self._map_sizes(builder)

    def _map_sizes(self, builder: str) -> list[tuple[int, int]]:
        """Sizes of the maps between the image and the latent, the image's first."""
        height, width, _ = self.image_shape
        sizes = [
            (math.ceil(height / 2**i), math.ceil(width / 2**i))
            for i in range(1 + max(height - 1, width - 1).bit_length())
        ]
        if len(self.latent_shape) == 1:
            return sizes[: 1 + _HALVINGS]
        if len(self.latent_shape) != 3 or self.latent_shape[:2] not in sizes:
            raise ValueError(
                f"{builder} takes latent_shape=(size,) or a map whose height and width are one of "
                f"{sizes}, as latent_shape=(*{sizes[min(2, len(sizes) - 1)]}, 4), but got "
                f"{self.latent_shape}."
            )
        return sizes[: 1 + sizes.index(self.latent_shape[:2])]

    def encoder(self, params_per_element: int = 1) -> keras.Model:
        """The network from images to the parameters of each element of a latent."""
        x = keras.Input(self.image_shape, dtype="int32", name="x")
        h = ScaleLevels(self._levels, name="scale")(x)
        h = self._conv(h, "encode0")
        for i, _ in enumerate(self._sizes[1:], 1):
            h = self._conv(h, f"encode{i}", strides=2)
        if len(self.latent_shape) == 1:
            h = L.Flatten("channels_last", name="flatten")(h)
            h = L.Dense(8 * self._filters, activation="relu", name="hidden")(h)
        code = L.Dense(params_per_element * self.latent_shape[-1], name="code")(h)
        return keras.Model(x, code, name="encoder")

    def decoder(
        self, *, likelihood: Likelihood | None, filters: int, **sizes: Any
    ) -> AutoregressiveModel:
        """A Gated PixelCNN that is conditioned on the latent at each pixel.

        Args:
            likelihood: of a value or a pixel; `Categorical()` if None.
            filters: channels of its stacks, skip outputs and head.
            **sizes: further arguments of `GatedPixelCNN`.
        """
        latent = keras.Input(self.latent_shape, name="latent")
        x = keras.Input(self.image_shape, dtype="int32", name="x")
        pixels = GatedPixelCNN(
            self.image_shape,
            self._levels,
            filters=filters,
            skip_filters=filters,
            head_filters=filters,
            local_features=self._filters,
            likelihood=likelihood,
            **sizes,
        ).network
        network = keras.Model([x, latent], pixels([x, self._spread(latent)]), name="decoder")
        return AutoregressiveModel(network, likelihood, name="decoder")

    def _spread(self, latent: Tensor) -> Tensor:
        """The latent as a map of the image's size."""
        height, width = self._sizes[-1]
        h = latent
        if len(self.latent_shape) == 1:
            h = L.Dense(height * width * self._filters, activation="relu", name="spread")(h)
            h = L.Reshape((height, width, self._filters), name="as_map")(h)
        for i in reversed(range(len(self._sizes) - 1)):
            below, right = (
                2 * small - large
                for small, large in zip(self._sizes[i + 1], self._sizes[i], strict=True)
            )
            h = L.UpSampling2D(data_format="channels_last", name=f"double{i}")(h)
            h = L.Cropping2D(
                ((0, below), (0, right)), data_format="channels_last", name=f"crop{i}"
            )(h)
            h = self._conv(h, f"refine{i}")
        return self._conv(h, "map")

    def _conv(self, h: Tensor, name: str, strides: int = 1) -> Tensor:
        conv = L.Conv2D(
            self._filters,
            3,
            strides,
            "same",
            data_format="channels_last",
            activation="relu",
            name=name,
        )
        return conv(h)
