"""Neural spline coupling: an elementwise map by learned monotone splines instead of lines."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.layers.bijections.bins import bin_of, pick
from kerasar.layers.bijections.coupling import Coupling
from kerasar.typing import Config, Tensor

#: Smallest share of a bin in the box, and smallest slope, as in the paper's code.
_LEAST = 1e-3


@keras.saving.register_keras_serializable(package="kerasar")
class RationalQuadraticSplineCoupling(Coupling):
    """Transforms one part of an event by rational-quadratic splines, conditioned on the other.

    On [-bound, bound] an element is mapped by a smooth increasing spline with `bins` + 1 knots.
    Outside it is unchanged, with slope 1 (linear tails): this layer does not model data there, and
    nothing is clipped. Standardize the data, so that nearly all are inside. By default a new layer
    is the identity.

    Args:
        mask, invert, network, hidden_units, activation, seed, gain: as for `Coupling`; the network
            has 3 * bins - 1 outputs for each transformed element: widths, heights, inner slopes.
        bins: int, at least 2. Number of bins of a spline.
        bound: float. Half the side of the box in which the splines are defined.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, features)` or `(batch, height, width, channels)`; also `condition`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        TypeError, ValueError: as `Coupling`, and if `bins` or `bound` is out of range.

    References:
        Durkan, Bekasov, Murray & Papamakarios. Neural Spline Flows. NeurIPS 2019, section 3.1.
        https://arxiv.org/abs/1906.04032
    """

    @checks_arguments
    def __init__(
        self,
        mask: Any = "half",
        invert: bool = False,
        network: Any = None,
        hidden_units: Sequence[int] = (64, 64),
        activation: Any = "relu",
        bins: int = 8,
        bound: float = 3.0,
        seed: int | None = None,
        gain: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mask, invert, network, hidden_units, activation, seed, gain, **kwargs)
        self.bins = check_count(
            bins, f"bins of layer '{self.name}'", least=2, most=int(1 / _LEAST) - 1
        )
        if not 0 < bound < float("inf"):
            raise ValueError(
                f"Layer '{self.name}' needs a positive bound, half the side of the splines' box, "
                f"but got {bound!r}."
            )
        self.bound = bound

    @property
    def params_per_element(self) -> int:  # type: ignore[override]
        return 3 * self.bins - 1

    def transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        inside, value = self._clipped(values)
        x_knot, width, y_knot, height, left, right = self._bin(value, outputs[0], by_height=False)
        u, secant = _share((value - x_knot) / width), height / width
        bend = _bend(u, left, right, secant)
        new = y_knot + height * (secant * u**2 + left * u * (1 - u)) / bend
        log_slope = _log_slope(u, left, right, secant, bend)
        return ops.where(inside, new, values), ops.where(inside, log_slope, 0.0)

    def inverse_transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        inside, value = self._clipped(values)
        x_knot, width, y_knot, height, left, right = self._bin(value, outputs[0], by_height=True)
        secant = height / width
        # The root of a quadratic, in the form that does not cancel (the paper's equation 25).
        curve = (value - y_knot) * (left + right - 2 * secant)
        a, b = height * (secant - left) + curve, height * left - curve
        c = -secant * (value - y_knot)
        # Rounding can push the discriminant, which is positive, below zero.
        root = ops.sqrt(ops.maximum(b**2 - 4 * a * c, 1e-30))
        u = _share(2 * c / (-b - root))
        bend = _bend(u, left, right, secant)
        log_slope = _log_slope(u, left, right, secant, bend)
        new = x_knot + u * width
        return ops.where(inside, new, values), ops.where(inside, -log_slope, 0.0)

    def _bin(self, value: Tensor, outputs: Tensor, by_height: bool) -> list[Tensor]:
        """The bin of each value: left knot and width, the same for heights, slopes at both ends."""
        x_knots, widths, y_knots, heights, slopes = self._spline(outputs)
        chosen = bin_of(value, (y_knots if by_height else x_knots)[..., 1:])
        parts = (x_knots, widths, y_knots, heights, slopes[..., :-1], slopes[..., 1:])
        return [pick(chosen, part) for part in parts]

    def _spline(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Left knots and bin widths, the same for heights, `(…, bins)`; slopes, `(…, bins + 1)`."""
        shape = (*ops.shape(outputs)[:-1], -1, self.params_per_element)
        outputs = ops.reshape(outputs, shape)
        widths, heights = (
            2 * self.bound * (_LEAST + (1 - _LEAST * self.bins) * ops.softmax(part, axis=-1))
            for part in (outputs[..., : self.bins], outputs[..., self.bins : 2 * self.bins])
        )
        # Outputs of 0 are slopes of 1: the identity, which also joins the tails smoothly.
        inner = _LEAST + ops.softplus(outputs[..., 2 * self.bins :] + _SLOPE_1)
        edge = ops.ones_like(inner[..., :1])
        slopes = ops.concatenate([edge, inner, edge], axis=-1)
        x_knots, y_knots = (
            ops.cumsum(sizes, axis=-1) - sizes - self.bound for sizes in (widths, heights)
        )
        return x_knots, widths, y_knots, heights, slopes

    def _clipped(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Whether a value is in the box, and the nearest value there: `where` alone would let NaN
        from outside into gradients."""
        return ops.abs(values) < self.bound, ops.clip(values, -self.bound, self.bound)

    def get_config(self) -> Config:
        return {**super().get_config(), "bins": self.bins, "bound": self.bound}


#: softplus of this is 1 - _LEAST.
_SLOPE_1 = math.log(math.expm1(1 - _LEAST))


def _share(u: Tensor) -> Tensor:
    """The position within a bin, in [0, 1]: rounding can carry it outside, where logs are NaN."""
    return ops.clip(u, 0.0, 1.0)


def _bend(u: Tensor, left: Tensor, right: Tensor, secant: Tensor) -> Tensor:
    """The denominator of the rational function at the fraction `u` of a bin."""
    return secant + (left + right - 2 * secant) * u * (1 - u)


def _log_slope(u: Tensor, left: Tensor, right: Tensor, secant: Tensor, bend: Tensor) -> Tensor:
    """Log of the spline's slope at the fraction `u` of a bin."""
    rise = right * u**2 + 2 * secant * u * (1 - u) + left * (1 - u) ** 2
    return 2 * ops.log(secant) + ops.log(rise) - 2 * ops.log(bend)
