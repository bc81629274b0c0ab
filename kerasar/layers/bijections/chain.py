"""Bijections one after the other: a flow."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from kerasar.layers.bijections.base import Bijection
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Chain(Bijection):
    """Applies bijections in turn, data → latent, and adds up their log determinants.

    A condition is passed to all of them; those without a network ignore it.

    A chain of more than 8 couplings or autoregressive steps reduces their `gain`, unless they have
    one: the changes of all of them add up, and the first steps of an optimizer that suits a shallow
    chain would make a deep one overflow.

    Args:
        bijections: sequence of bijections, at least one; the first one is applied to the data.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`. The bijections keep
            their own dtypes.

    Input shape:
        That of the first bijection.

    Output shape:
        A pair: that of the last bijection, and `(batch,)`.

    Raises:
        TypeError: if one of them is not a `Bijection`.
        ValueError: if there are none.
    """

    def __init__(self, bijections: Sequence[Bijection], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bijections = check_bijections(self.name, bijections)
        if not self.bijections:
            raise ValueError(f"Layer '{self.name}' needs at least one bijection, but got none.")
        with_gain = [step for step in self.steps() if hasattr(step, "gain")]
        for step in with_gain:
            step.choose_gain(len(with_gain))

    @property
    def domain(self) -> tuple[float, float]:  # type: ignore[override]
        return self.bijections[0].domain

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        shape = tuple(x_shape)
        for bijection in self.bijections:
            if not bijection.built:
                bijection.build(shape, condition_shape)
            shape = bijection.forward_shape(shape)
        super().build(x_shape, condition_shape)

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._in_turn(self.check_data(x), condition, self.bijections)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        inverses = [bijection.inverse for bijection in reversed(self.bijections)]
        return self._in_turn(self.check_latent(z), condition, inverses)

    def _in_turn(
        self, values: Tensor, condition: Tensor | None, maps: Sequence[Callable[..., Any]]
    ) -> tuple[Tensor, Tensor]:
        total = self.constant_log_det(values)
        for apply in maps:
            values, log_det = apply(values, condition=condition)
            total += ops.cast(log_det, self.flow_dtype)
        return self.in_flow_dtype(values, total)

    def forward_shape(self, x_shape: Shape) -> Shape:
        for bijection in self.bijections:
            x_shape = bijection.forward_shape(x_shape)
        return x_shape

    def inverse_shape(self, z_shape: Shape) -> Shape:
        for bijection in reversed(self.bijections):
            z_shape = bijection.inverse_shape(z_shape)
        return z_shape

    def steps(self) -> list[Bijection]:
        return [step for bijection in self.bijections for step in bijection.steps()]

    def latent_sizes(self, x_shape: Shape) -> tuple[int, ...]:
        for bijection in self.bijections[:-1]:
            x_shape = bijection.forward_shape(x_shape)
        return self.bijections[-1].latent_sizes(x_shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "bijections": serialized(self.bijections)}

    @classmethod
    def from_config(cls, config: Config) -> "Chain":
        return cls(**{**config, "bijections": deserialized(config["bijections"])})


def check_bijections(name: str, bijections: Sequence[Bijection]) -> list[Bijection]:
    """The bijections as a list.

    Raises:
        TypeError: if they are not a list, or one of them is not a `Bijection`.
    """
    if isinstance(bijections, Bijection) or not isinstance(bijections, (list, tuple)):
        raise TypeError(
            f"Layer '{name}' takes a list of bijections, but got {type(bijections).__name__}. Put "
            "a single one in a list."
        )
    for bijection in bijections:
        if not isinstance(bijection, Bijection):
            raise TypeError(
                f"Layer '{name}' takes a list of bijections, but one of them is a "
                f"{type(bijection).__name__}: {bijection!r}. Other layers belong into the networks "
                "of couplings."
            )
    return list(bijections)


def serialized(bijections: Sequence[Bijection]) -> list[Config]:
    return [keras.saving.serialize_keras_object(bijection) for bijection in bijections]


def deserialized(configs: Sequence[Config]) -> list[Bijection]:
    return [keras.saving.deserialize_keras_object(config) for config in configs]
