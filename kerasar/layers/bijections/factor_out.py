"""Half of the elements leave the flow early: the multi-scale architecture.

A factor-out contains the rest of the flow, so that a flow remains a chain of maps from one tensor
to one tensor.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.layers.bijections.base import Bijection, known_sizes
from kerasar.layers.bijections.chain import Chain, check_bijections, deserialized, serialized
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class FactorOut(Bijection):
    """Passes the first half of the last axis to the latent, the rest through more bijections.

    The latent is one flat vector: first the elements that leave here, then those that leave later;
    `latent_sizes` gives the sizes of these parts. With no bijections all elements leave here: that
    closes the last stage.

    Args:
        bijections: sequence of bijections, the rest of the flow; may be empty, and may hold
            another `FactorOut` at its end.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, channels)`, all sizes known, at least 2 channels (if there are bijections).

    Output shape:
        A pair: `(batch, elements of an event)`, and `(batch,)`.

    Raises:
        TypeError: if one of `bijections` is not a `Bijection`.
        ValueError: when built, if there is a single channel or a size is open.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 3.6.
        https://arxiv.org/abs/1605.08803
    """

    def __init__(self, bijections: Sequence[Bijection] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        bijections = check_bijections(self.name, bijections)
        self.rest = Chain(bijections, name="rest", dtype=self.dtype_policy) if bijections else None

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        if self.rest is not None and not self.rest.built:
            self.rest.build(self._staying(tuple(x_shape)), condition_shape)

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        if self.rest is None:
            return _flat(x, self.event_size), self.constant_log_det(x)
        sizes = self.latent_sizes((None, *self.event_shape))
        cut = self.event_shape[-1] // 2  # type: ignore[operator]
        z, log_det = self.rest(x[..., cut:], condition=condition)
        leaving = _flat(x[..., :cut], sizes[0])
        return ops.concatenate([leaving, _flat(z, sum(sizes[1:]))], axis=-1), log_det

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        if self.rest is None:
            return ops.reshape(z, (-1, *self.event_shape)), self.constant_log_det(z)
        cut = self.event_shape[-1] // 2  # type: ignore[operator]
        size = self.latent_sizes((None, *self.event_shape))[0]
        leaving = ops.reshape(z[:, :size], (-1, *self.event_shape[:-1], cut))
        rest = ops.reshape(z[:, size:], (-1, *self.rest.latent_event_shape))
        x, log_det = self.rest.inverse(rest, condition=condition)
        return ops.concatenate([leaving, x], axis=-1), log_det

    def forward_shape(self, x_shape: Shape) -> Shape:
        return (x_shape[0], sum(self.latent_sizes(x_shape)))

    def inverse_shape(self, z_shape: Shape) -> Shape:
        if not self.built:
            raise ValueError(
                f"Layer '{self.name}' cannot infer the shape of the data from flat latents, "
                f"{tuple(z_shape)}. Build it first: build((None, height, width, channels))."
            )
        return (z_shape[0], *self.event_shape)

    def latent_sizes(self, x_shape: Shape) -> tuple[int, ...]:
        known = known_sizes(self.name, x_shape[1:])
        if self.rest is None:
            return (math.prod(known),)
        staying = self._staying(x_shape)
        leaving = math.prod(known) // known[-1] * (known[-1] // 2)
        return (leaving, *self.rest.latent_sizes(staying))

    def steps(self) -> list[Bijection]:
        return [self] if self.rest is None else self.rest.steps()

    def _staying(self, x_shape: Shape) -> Shape:
        """The shape of the input of the rest of the flow."""
        channels = x_shape[-1]
        if channels is None or channels < 2:
            raise ValueError(
                "FactorOut passes half of the last axis to the latent, so it needs at least 2 "
                f"elements there, but layer '{self.name}' got input shape {tuple(x_shape)}. Put a "
                "Squeeze2D in front, or give it no bijections."
            )
        return (*x_shape[:-1], channels - channels // 2)

    def get_config(self) -> Config:
        rest = [] if self.rest is None else self.rest.bijections
        return {**super().get_config(), "bijections": serialized(rest)}

    @classmethod
    def from_config(cls, config: Config) -> "FactorOut":
        return cls(**{**config, "bijections": deserialized(config["bijections"])})


def _flat(x: Tensor, size: int) -> Tensor:
    return ops.reshape(x, (-1, size))
