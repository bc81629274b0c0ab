"""The inverse of a bijection, as a bijection."""

from typing import Any

import keras

from kerasar.layers.bijections.base import Bijection
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Inverse(Bijection):
    """Exchanges the directions of a bijection: its `inverse` maps data to latents.

    `Inverse(MaskedAutoregressive(...))` is the inverse autoregressive flow: sampling takes one
    pass, densities one pass for each dimension (Kingma et al. 2016).

    Bijections update batch statistics (`ActNorm`, `BatchNormBijection`) only in `call`, hence never
    inside an `Inverse`.

    Args:
        bijection: a `Bijection`. One that flattens, such as `FactorOut`, must be built before.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        That of the bijection's latents.

    Output shape:
        A pair: that of the bijection's data, and `(batch,)`.

    Raises:
        TypeError: if `bijection` is not a `Bijection`.

    References:
        Kingma et al. Improving Variational Inference with Inverse Autoregressive Flow. NeurIPS
        2016. https://arxiv.org/abs/1606.04934
    """

    def __init__(self, bijection: Bijection, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(bijection, Bijection):
            raise TypeError(
                f"Layer '{self.name}' inverts a bijection, but got "
                f"{type(bijection).__name__}: {bijection!r}."
            )
        self.bijection = bijection

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        if not self.bijection.built:
            self.bijection.build(self.bijection.inverse_shape(tuple(x_shape)), condition_shape)
        super().build(x_shape, condition_shape)

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.in_flow_dtype(*self.bijection.inverse(self.check_data(x), condition=condition))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.in_flow_dtype(*self.bijection(self.check_latent(z), condition=condition))

    def forward_shape(self, x_shape: Shape) -> Shape:
        return self.bijection.inverse_shape(x_shape)

    def inverse_shape(self, z_shape: Shape) -> Shape:
        return self.bijection.forward_shape(z_shape)

    def steps(self) -> list[Bijection]:
        return self.bijection.steps()

    def get_config(self) -> Config:
        bijection = keras.saving.serialize_keras_object(self.bijection)
        return {**super().get_config(), "bijection": bijection}

    @classmethod
    def from_config(cls, config: Config) -> "Inverse":
        bijection = keras.saving.deserialize_keras_object(config["bijection"])
        return cls(**{**config, "bijection": bijection})
