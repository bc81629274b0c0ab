"""Affine coupling, the step from which Real NVP is built."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.layers.bijections.bounds import bounded, check_bound
from kerasar.layers.bijections.coupling import Coupling
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class AffineCoupling(Coupling):
    """Scales and shifts one part of an event, conditioned on the other: z = x · exp(s) + t.

    One network computes s and t, all s first. By default a new layer is the identity.

    The lecture's coupling has two separate networks of one hidden layer and unbounded scales:

        AffineCoupling("random", hidden_units=(64,), activation="tanh", separate_networks=True,
                       scale_bound=None)

    Args:
        mask, invert, hidden_units, activation, seed, gain: as for `Coupling`.
        network: as for `Coupling`, with 2 outputs for each transformed element; or a pair of
            networks (s, t) with 1 output each.
        separate_networks: bool. Whether the layer creates two networks, one for s and one for t.
        scale_bound: float, the largest |s|; s is bounded by a / (1 + |a| / scale_bound). `None`
            leaves scales unbounded: they may then overflow.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, features)` or `(batch, height, width, channels)`; also `condition`.

    Output shape:
        A pair: the input shape, and `(batch,)`.

    Raises:
        TypeError, ValueError: as `Coupling`, and if `scale_bound` is not positive or the networks
            are not one or two.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 3.2.
        https://arxiv.org/abs/1605.08803
        Fleuret. Deep Learning course, lecture on normalizing flows.
        https://fleuret.org/dlc/
    """

    @checks_arguments
    def __init__(
        self,
        mask: Any = "half",
        invert: bool = False,
        network: Any = None,
        hidden_units: Sequence[int] = (64, 64),
        activation: Any = "relu",
        separate_networks: bool = False,
        scale_bound: float | None = 3.0,
        seed: int | None = None,
        gain: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mask, invert, network, hidden_units, activation, seed, gain, **kwargs)
        self.separate_networks = bool(separate_networks) or isinstance(network, (list, tuple))
        if self.separate_networks and isinstance(network, keras.layers.Layer):
            raise ValueError(
                f"Layer '{self.name}' got separate_networks=True, but one network, "
                f"'{network.name}'. Give the pair (s, t)."
            )
        self.scale_bound = check_bound(self.name, scale_bound)

    @property
    def params_per_element(self) -> int:  # type: ignore[override]
        return 1 if self.separate_networks else 2

    def transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._scale_and_shift(outputs)
        return values * ops.exp(log_scale) + shift, log_scale

    def inverse_transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._scale_and_shift(outputs)
        return (values - shift) * ops.exp(-log_scale), -log_scale

    def _scale_and_shift(self, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        log_scale, shift = outputs if self.separate_networks else ops.split(outputs[0], 2, axis=-1)
        return bounded(log_scale, self.scale_bound), shift

    def _check_network(self, network: Any) -> Any:
        if not isinstance(network, (list, tuple)):
            return super()._check_network(network)
        if len(network) != 2:
            raise ValueError(
                f"Layer '{self.name}' takes one network for scale and shift, or the pair (s, t), "
                f"but got {len(network)} networks."
            )
        return [super(AffineCoupling, self)._check_network(part) for part in network]

    def _networks(self) -> list[keras.layers.Layer]:
        return list(self.network) if self.separate_networks else [self.network]

    def _build_networks(self, shape: Shape, transformed: int) -> None:
        if not self.separate_networks:
            return super()._build_networks(shape, transformed)
        scale, shift = self.network or (None, None)
        self.network = [
            self._built_network(scale, "scale", shape, transformed),
            self._built_network(shift, "shift", shape, transformed),
        ]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "separate_networks": self.separate_networks,
            "scale_bound": self.scale_bound,
        }
