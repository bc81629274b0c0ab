"""Trades space for channels, so that channel-wise steps see neighboring pixels."""

from typing import Any

import keras
import tensorflow as tf

from kerasar.checks import check_count
from kerasar.layers.bijections.base import Bijection
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Squeeze2D(Bijection):
    """Turns each block of `factor` × `factor` pixels into one pixel with `factor`² × the channels.

    Channels of the result are ordered by row in the block, column in the block, channel.

    Args:
        factor: int. Side of a block, in pixels.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`; height and width are multiples of `factor`.

    Output shape:
        A pair: `(batch, height / factor, width / factor, channels * factor²)`, and `(batch,)`
        zeros.

    Raises:
        TypeError: if `factor` is not an integer.
        ValueError: if `factor` is below 1; when built, if height or width is not a multiple of it.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 3.6.
        https://arxiv.org/abs/1605.08803
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = check_count(factor, f"factor of layer '{self.name}'")

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        z = x if self.factor == 1 else tf.nn.space_to_depth(x, self.factor)
        return z, self.constant_log_det(x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        x = z if self.factor == 1 else tf.nn.depth_to_space(z, self.factor)
        return x, self.constant_log_det(z)

    def forward_shape(self, x_shape: Shape) -> Shape:
        if len(x_shape) != 4 or any(n is not None and n % self.factor for n in x_shape[1:3]):
            raise ValueError(
                f"Squeeze2D cuts images (batch, height, width, channels) into blocks of "
                f"{self.factor}×{self.factor} pixels, but layer '{self.name}' got input shape "
                f"{tuple(x_shape)}. Pad or crop the images to multiples of {self.factor}."
            )
        batch, height, width, channels = x_shape
        return (
            batch,
            None if height is None else height // self.factor,
            None if width is None else width // self.factor,
            None if channels is None else channels * self.factor**2,
        )

    def inverse_shape(self, z_shape: Shape) -> Shape:
        if len(z_shape) != 4 or (z_shape[3] or 0) % self.factor**2:
            raise ValueError(
                f"The inverse of Squeeze2D needs images with a multiple of {self.factor**2} "
                f"channels, but layer '{self.name}' got {tuple(z_shape)}."
            )
        batch, height, width, channels = z_shape
        return (
            batch,
            None if height is None else height * self.factor,
            None if width is None else width * self.factor,
            None if channels is None else channels // self.factor**2,
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "factor": self.factor}
