"""What every bijection of a flow promises, and what all of them need.

A flow is a chain of invertible maps from data to latents; the density of the data is the density
of the latents times the volume change |det ∂z/∂x| (Dinh et al. 2017, section 3.1).
"""

import math
import random
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kerasar.arguments import shorten
from kerasar.checks import check_count, check_seed
from kerasar.replicas import is_shared, summed
from kerasar.typing import Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Bijection(keras.layers.Layer):
    """An invertible map, data → latent, with the log determinant of its Jacobian.

    A subclass defines `call(x, condition=None)` and `inverse(z, condition=None)`. Both return the
    mapped tensor and the log determinant, in nats, of the map *just applied*. They start with
    `self.check_data(x)` and `self.check_latent(z)`, which cast and check. Values stay in float32
    or better under every dtype policy; only the networks inside run in low precision, because the
    rounding of bfloat16 would make the inverse wrong in the third digit.

    The direction is independent of `training`.

    Args:
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, *event)`: vectors `(batch, dim)` or images `(batch, height, width, channels)`.
        `condition`, if there is one: `(batch, features)`, or a map for images.

    Output shape:
        A pair: `(batch, *latent event)`, and the log determinant, `(batch,)`. Both are float32,
        or float64 with `dtype="float64"`.

    Example:

        class Double(Bijection):
            def call(self, x, condition=None):
                x = self.check_data(x)
                return 2 * x, self.constant_log_det(x, self.event_size * math.log(2))

            def inverse(self, z, condition=None):
                z = self.check_latent(z)
                return z / 2, self.constant_log_det(z, -self.event_size * math.log(2))

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017.
        https://arxiv.org/abs/1605.08803
    """

    #: The smallest and largest value that `call` takes; checked where data enter a flow.
    domain: tuple[float, float] = (-math.inf, math.inf)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        if len(x_shape) < 2:
            raise ValueError(
                f"A bijection maps events of at least one axis, (batch, *event), but layer "
                f"'{self.name}' got input shape {tuple(x_shape)}. For scalars pass "
                "(batch, 1)."
            )
        self.event_shape = tuple(x_shape[1:])
        self.latent_event_shape = tuple(self.forward_shape(tuple(x_shape))[1:])
        self.condition_shape = None if condition_shape is None else tuple(condition_shape[1:])

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The inverse map, latent → data.

        Args:
            z: latents, `(batch, *latent event)`.
            condition: as for `call`.

        Returns:
            The data, `(batch, *event)`, and the log determinant of the inverse, `(batch,)`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define inverse()")

    # Shapes. A subclass that changes the shape overrides the next two.

    def forward_shape(self, x_shape: Shape) -> Shape:
        """The shape of the latents for data of a shape, both with the batch axis."""
        return x_shape

    def inverse_shape(self, z_shape: Shape) -> Shape:
        """The shape of the data for latents of a shape, both with the batch axis."""
        return z_shape

    def latent_sizes(self, x_shape: Shape) -> tuple[int, ...]:
        """The number of latent elements of each scale, finest first; one scale by default."""
        sizes = self.forward_shape(x_shape)[1:]
        return (math.prod(known_sizes(self.name, sizes)),)

    # Depth. Layers that hold others override `steps`.

    def steps(self) -> list["Bijection"]:
        """This bijection, or those that it consists of."""
        return [self]

    def choose_gain(self, depth: int) -> None:
        """Sets the gain, once, of a step in a `Chain` in which `depth` steps have one."""

    def compute_output_shape(
        self, x_shape: Shape, condition_shape: Shape | None = None
    ) -> tuple[Shape, Shape]:
        return self.forward_shape(tuple(x_shape)), tuple(x_shape[:1])

    def compute_output_spec(
        self, x: Tensor, condition: Tensor | None = None, **kwargs: Any
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        z_shape, log_det_shape = self.compute_output_shape(x.shape)
        return (
            keras.KerasTensor(z_shape, dtype=self.flow_dtype),
            keras.KerasTensor(log_det_shape, dtype=self.flow_dtype),
        )

    # What subclasses call.

    @property
    def flow_dtype(self) -> str:
        """The dtype of data, latents and log determinants: float64 if the layer's, else float32."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    @property
    def event_size(self) -> int:
        """The number of elements of an event."""
        return math.prod(known_sizes(self.name, self.event_shape))

    def known_channels(self) -> int:
        """The size of an event's last axis; raises a ValueError if it is open."""
        channels = self.event_shape[-1]
        if channels is None:
            raise ValueError(
                f"Layer '{self.name}' must know the number of channels, the size of the last axis, "
                f"but got events of shape {self.event_shape}."
            )
        return channels

    def check_data(self, x: Tensor) -> Tensor:
        """`x` in the flow's dtype; raises a ValueError for another shape than the layer's."""
        return self._checked(x, "event_shape", "data")

    def check_latent(self, z: Tensor) -> Tensor:
        """`z` in the flow's dtype; raises a ValueError for another shape than the layer's."""
        return self._checked(z, "latent_event_shape", "latents")

    def add_flow_weight(
        self,
        name: str,
        shape: Shape,
        initializer: Any = "zeros",
        trainable: bool = True,
        dtype: str | None = None,
    ) -> Any:
        """A weight in the flow's dtype; otherwise Keras would read it in bfloat16 under mixed
        precision, despite the layer's `autocast=False`."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=trainable,
            dtype=dtype or self.flow_dtype,
            autocast=False,
        )

    def in_flow_dtype(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The tensors in the flow's dtype: bijections inside may have another."""
        return tuple(ops.cast(tensor, self.flow_dtype) for tensor in tensors)

    def constant_log_det(self, x: Tensor, value: Tensor = 0.0) -> Tensor:
        """A log determinant that is the same for each example of the batch, `(batch,)`."""
        return ops.zeros(ops.shape(x)[:1], self.flow_dtype) + ops.cast(value, self.flow_dtype)

    def channelwise_log_det(self, x: Tensor, log_scale: Tensor) -> Tensor:
        """The log determinant of a map that scales each channel by exp(log_scale), `(batch,)`."""
        positions = ops.cast(ops.prod(ops.shape(x)[1:-1]), self.flow_dtype)
        return self.constant_log_det(x, positions * ops.sum(log_scale))

    def _checked(self, x: Tensor, attribute: str, kind: str) -> Tensor:
        event = getattr(self, attribute, None)
        if event is None:
            raise ValueError(
                f"Layer '{self.name}' does not know the shape of its data yet. Call it on data, or "
                "build((None, *event)), before its inverse."
            )
        x = ops.convert_to_tensor(x, self.flow_dtype)
        found = tuple(x.shape[1:])
        if len(found) != len(event) or any(
            have is not None and want is not None and have != want
            for have, want in zip(found, event, strict=True)
        ):
            raise ValueError(
                f"Layer '{self.name}' was built for {kind} of shape {('batch', *event)}, but got "
                f"{tuple(x.shape)}. Pass that shape, or build another layer."
            )
        return x


def sum_event(values: Tensor) -> Tensor:
    """Sums over all axes but the batch."""
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def batch_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over all axes but the last, of all replicas; each `(channels,)`."""
    axes = list(range(len(x.shape) - 1))
    if not is_shared():
        return tf.nn.moments(x, axes=axes)
    count = tf.cast(summed(tf.size(x[..., 0])), x.dtype)
    mean = summed(tf.reduce_sum(x, axis=axes)) / count
    return mean, summed(tf.reduce_sum(tf.square(x - mean), axis=axes)) / count


def seed_or_drawn(seed: int | None) -> int:
    """The seed, or one drawn from Python's generator (`keras.utils.set_random_seed` sets it)."""
    return random.randrange(2**31) if seed is None else check_seed(seed)


def check_activation(name: str, activation: Any) -> Any:
    """The activation function of a layer, from whatever Keras takes for one.

    Raises:
        ValueError: if it is none, with the layer's name in the message.
    """
    try:
        return keras.activations.get(activation)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"activation of layer '{name}' must be a function or the name of one, such as 'relu', "
            f"but got {shorten(activation)}."
        ) from error


def check_hidden_units(name: str, hidden_units: Any) -> tuple[int, ...]:
    """The widths of a network's hidden layers.

    Raises:
        TypeError: if they are not a sequence of integers, with the layer's name in the message.
        ValueError: if one is below 1, with the layer's name in the message.
    """
    if not isinstance(hidden_units, Iterable):
        raise TypeError(
            f"hidden_units of layer '{name}' must hold a width for each hidden layer, as (64, 64), "
            f"but got {hidden_units!r}."
        )
    return tuple(
        check_count(units, f"each of hidden_units of layer '{name}'") for units in hidden_units
    )


def known_sizes(name: str, sizes: Shape) -> tuple[int, ...]:
    """The sizes of an event, all of them.

    Raises:
        ValueError: if one is open, with the layer's name in the message.
    """
    if None in sizes:
        raise ValueError(
            f"Layer '{name}' must know the whole shape of an event, but got {tuple(sizes)}. Give "
            "every size but the batch's."
        )
    return tuple(size for size in sizes if size is not None)
