"""The logit, from a bounded interval to the real line, which pixels need before a flow."""

import math
from typing import Any

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.layers.bijections.base import Bijection, sum_event
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Logit(Bijection):
    """z = log(p) - log(1 - p), with p = alpha + (1 - 2 alpha) (x - low) / (high - low).

    Alpha keeps p away from 0 and 1, so that the ends of [low, high] have finite latents. The map
    extends a little further, by alpha / (1 - 2 alpha) of the interval's width on either side, to
    where p reaches 0 and 1: samples can be there, and a density has some of its mass there. That is
    the `domain`; `FlowModel` refuses data outside of it, for which the map gives NaN, never a wrong
    value.

    Args:
        low, high: floats. The ends of the interval of the data.
        alpha: float in (0, ½). Distance of p from 0 and 1 at the ends of the interval.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        Any; values in [low, high], or a little outside.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        ValueError: if `low` is not below `high`, or `alpha` is not in (0, ½).

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 4.1
        (who have alpha at the lower end only). https://arxiv.org/abs/1605.08803
    """

    @checks_arguments
    def __init__(
        self, low: float = 0.0, high: float = 1.0, alpha: float = 0.05, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not float("-inf") < low < high < float("inf"):
            raise ValueError(
                f"Layer '{self.name}' needs an interval, low < high, but got low={low!r}, "
                f"high={high!r}."
            )
        if not 0 < alpha < 0.5:
            raise ValueError(
                f"Layer '{self.name}' needs an alpha between 0 and ½, or else the ends of the "
                f"interval would have infinite latents, but got {alpha!r}. Take 0.05, or 1e-6 to "
                "stay close to the plain logit."
            )
        self.low = low
        self.high = high
        self.alpha = alpha

    @property
    def domain(self) -> tuple[float, float]:  # type: ignore[override]
        beyond = self.alpha / self._slope * (1 - 1e-6)  # its very end has no finite latent
        return self.low - beyond, self.high + beyond

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        # Both p and 1 - p from the nearer end: neither is a difference of close numbers.
        p = self.alpha + (x - self.low) * self._slope
        q = self.alpha + (self.high - x) * self._slope
        log_p, log_q = ops.log(p), ops.log(q)
        return log_p - log_q, sum_event(math.log(self._slope) - log_p - log_q)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        x = self.low + (ops.sigmoid(z) - self.alpha) / self._slope
        log_slope = -ops.softplus(z) - ops.softplus(-z) - math.log(self._slope)
        return x, sum_event(log_slope)

    @property
    def _slope(self) -> float:
        return (1 - 2 * self.alpha) / (self.high - self.low)

    def get_config(self) -> Config:
        return {**super().get_config(), "low": self.low, "high": self.high, "alpha": self.alpha}
