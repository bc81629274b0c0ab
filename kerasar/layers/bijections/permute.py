"""Permutes the last axis, so that the next step transforms what the last one left unchanged."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.layers.bijections.base import Bijection, seed_or_drawn
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Permute(Bijection):
    """Permutes the elements of the last axis.

    Args:
        order: `"reverse"`, `"random"`, or a permutation of 0, 1, …: the index that each output
            element is taken from.
        seed: int for `"random"`; drawn if `None`. The order itself is saved in the config.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, …, features)`.

    Output shape:
        A pair: the input shape, and `(batch,)` zeros.

    Raises:
        ValueError: if `order` is not a permutation, or (when built) is one of another size.
    """

    @checks_arguments
    def __init__(
        self, order: str | Sequence[int] = "reverse", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(order, str):
            order = [int(index) for index in order]
            if sorted(order) != list(range(len(order))):
                raise ValueError(
                    f"Layer '{self.name}' needs a permutation of 0 … {len(order) - 1} as order, "
                    f"but got {order}."
                )
        elif order not in ("reverse", "random"):
            raise ValueError(
                f"Layer '{self.name}' knows the orders 'reverse' and 'random', but got "
                f"order='{order}'. Take one of them, or give a permutation."
            )
        self.order = order
        self.seed = seed_or_drawn(seed) if order == "random" or seed is not None else None

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        size = self.event_shape[-1]
        if self.order == "reverse":
            return
        if size is None or (self.order != "random" and size != len(self.order)):
            raise ValueError(
                f"Layer '{self.name}' reorders the last axis by order={self.order}, but got input "
                f"shape {tuple(x_shape)}. Give an order of that size."
            )
        if self.order == "random":
            self.order = np.random.RandomState(self.seed).permutation(size).tolist()

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.check_data(x)
        return self._take(x, self.order), self.constant_log_det(x)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.check_latent(z)
        back = self.order if self.order == "reverse" else np.argsort(self.order).tolist()
        return self._take(z, back), self.constant_log_det(z)

    def _take(self, x: Tensor, order: Any) -> Tensor:
        # A reversal needs no gather, which XLA on CPU does one element after the other.
        return ops.flip(x, axis=-1) if order == "reverse" else ops.take(x, order, axis=-1)

    def get_config(self) -> Config:
        return {**super().get_config(), "order": self.order, "seed": self.seed}
