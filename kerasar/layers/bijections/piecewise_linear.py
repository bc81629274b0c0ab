"""The lecture's first flow: an increasing, piecewise linear map of scalars."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.bijections.base import Bijection, sum_event
from kerasar.layers.bijections.bins import bin_of, pick
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class PiecewiseLinear(Bijection):
    """Maps each element by an increasing, piecewise linear function, one for each feature.

    The knots are evenly spaced on [xmin, xmax]; at the q-th of them the value is alpha + exp(xi_1)
    + … + exp(xi_q). Outside, the first and the last piece continue as straight lines: so this is a
    bijection of the real line, and no density is ever zero. (The lecture has one more xi, added to
    all values, which alpha makes superfluous, and is constant outside.) A new layer is the
    identity.

    Args:
        pieces: int. Number of linear pieces.
        xmin, xmax: floats. The first and the last knot.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, features)`; `(batch, 1)` for scalars.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        TypeError: if `pieces` is not an integer.
        ValueError: if `pieces` is below 1, or `xmin` is not below `xmax`.

    References:
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """

    @checks_arguments
    def __init__(
        self, pieces: int = 32, xmin: float = -4.0, xmax: float = 4.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pieces = check_count(pieces, f"pieces of layer '{self.name}'")
        if not float("-inf") < xmin < xmax < float("inf"):
            raise ValueError(
                f"Layer '{self.name}' needs an interval, xmin < xmax, but got xmin={xmin!r}, "
                f"xmax={xmax!r}."
            )
        self.xmin = xmin
        self.xmax = xmax

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        features = self.event_shape[-1]
        even, constant = math.log(self._width), keras.initializers.Constant
        self.alpha = self.add_flow_weight("alpha", (features,), constant(self.xmin))
        self.xi = self.add_flow_weight("xi", (features, self.pieces), constant(even))

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        left = self._left_knots()
        chosen = bin_of(x, left[1:])
        rises, low = self._pieces()
        fraction = (x - pick(chosen, left)) / self._width
        z = pick(chosen, low) + fraction * pick(chosen, rises)
        return z, sum_event(pick(chosen, self.xi) - math.log(self._width))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        rises, low = self._pieces()
        chosen = bin_of(z, low[..., 1:])
        fraction = (z - pick(chosen, low)) / pick(chosen, rises)
        x = pick(chosen, self._left_knots()) + fraction * self._width
        return x, sum_event(math.log(self._width) - pick(chosen, self.xi))

    @property
    def _width(self) -> float:
        return (self.xmax - self.xmin) / self.pieces

    def _left_knots(self) -> Tensor:
        knots = np.linspace(self.xmin, self.xmax, self.pieces, endpoint=False)
        return ops.convert_to_tensor(knots, self.flow_dtype)

    def _pieces(self) -> tuple[Tensor, Tensor]:
        """The rise and the lowest value of each piece, both `(features, pieces)`."""
        rises = ops.exp(self.xi)
        below = ops.cumsum(rises, axis=-1) - rises
        return rises, self.alpha[:, None] + below

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pieces": self.pieces,
            "xmin": self.xmin,
            "xmax": self.xmax,
        }
