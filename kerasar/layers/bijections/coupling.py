"""What all couplings share: one part of an event is transformed, conditioned on the other part.

The Jacobian is then triangular, so its log determinant is a sum, and the inverse needs no inverse
of the network inside (Dinh et al. 2017, section 3.2).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.layers.bijections.base import (
    Bijection,
    check_activation,
    check_hidden_units,
    seed_or_drawn,
    sum_event,
)
from kerasar.layers.bijections.bounds import check_gain, gain_for
from kerasar.layers.bijections.condition import join, joined_shape
from kerasar.layers.bijections.coupling_network import CouplingNetwork
from kerasar.layers.bijections.masks import SPLITS, check_mask, check_parts, mask_values
from kerasar.typing import Config, Shape, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class Coupling(Bijection):
    """Base of the couplings; a subclass defines an elementwise map with given parameters.

    It defines `params_per_element`, `transform(values, outputs)` and `inverse_transform(values,
    outputs)`.

    Args:
        mask: which elements are the identity part, that is, pass unchanged. `"half"` (also called
            `"channelwise"`): the first half of the last axis; `"alternating"`: the even indices of
            the last axis; `"checkerboard"` (images): the pixels whose row + column is even;
            `"random"`: a random half of all elements. Or an array of 1 (identity) and 0
            (transformed) that broadcasts to an event.
        invert: bool. Swaps the two parts; two couplings in a row then transform all elements.
        network: a Keras layer or model, or `None` for a `CouplingNetwork`. With a mask of halves it
            maps the identity part, `(…, identity)`, to `(…, transformed * params_per_element)`.
            With all other masks it maps the event, with zeros for the transformed part, to
            `(…, channels * params_per_element)`. A condition is joined to its input.
        hidden_units: sequence of ints. Widths of the hidden layers of the `CouplingNetwork`.
        activation: of these hidden layers, as for `keras.layers.Dense`.
        gain: float. Factor of the network's outputs. `None`: 1, or, for networks created here,
            the gain that a `Chain` of more than 8 steps chooses.
        seed: int for `mask="random"`; drawn if `None`. The mask itself is saved in the config.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Raises:
        TypeError: if `network` is not a Keras layer, or `hidden_units` are not integers.
        ValueError: if one part of the mask is empty, or the network's output has another size.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 3.
        https://arxiv.org/abs/1605.08803
    """

    #: Number of outputs of the network for each transformed element.
    params_per_element = 1

    @checks_arguments
    def __init__(
        self,
        mask: Any = "half",
        invert: bool = False,
        network: Any = None,
        hidden_units: Sequence[int] = (64, 64),
        activation: Any = "relu",
        seed: int | None = None,
        gain: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gain = check_gain(self.name, gain)
        self.mask = check_mask(self.name, mask)
        self.invert = bool(invert)
        self.network = self._check_network(network)
        self.makes_network = network is None
        self.hidden_units = check_hidden_units(self.name, hidden_units)
        self.activation = check_activation(self.name, activation)
        is_drawn = seed is not None or self.mask == "random"
        self.seed = seed_or_drawn(seed) if is_drawn else None

    def build(self, x_shape: Shape, condition_shape: Shape | None = None) -> None:
        super().build(x_shape, condition_shape)
        channels = self.known_channels()
        seen, transformed = channels, channels
        #: 1 for the identity part and 0 for the transformed one; None if the two are slices.
        self.identity_mask = None
        if isinstance(self.mask, str) and self.mask in SPLITS:
            if channels < 2:
                raise ValueError(
                    f"Layer '{self.name}' splits the last axis in two, so it needs at least 2 "
                    f"elements there, but got input shape {tuple(x_shape)}. For scalars take "
                    "an elementwise map such as PiecewiseLinear; for images with one channel "
                    "mask='checkerboard', or a Squeeze2D in front."
                )
            self.cut = channels // 2
            seen, transformed = self.cut, channels - self.cut
            if self.invert:
                seen, transformed = transformed, seen
        else:
            values = mask_values(self.name, self.mask, self.event_shape, self.seed or 0)
            check_parts(self.name, values, self.event_shape)
            if self.mask == "random":
                self.mask = values.tolist()  # from here on the config holds the mask itself
            self.identity_mask = 1 - values if self.invert else values
        shape = joined_shape(self.name, (*self.event_shape[:-1], seen), self.condition_shape)
        self._build_networks((None, *shape), transformed)

    def call(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._couple(self.check_data(x), condition, self.transform)

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self._couple(self.check_latent(z), condition, self.inverse_transform)

    def choose_gain(self, depth: int) -> None:
        if self.gain is None and self.makes_network and not self.built:
            self.gain = gain_for(depth)

    def transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The elementwise map, data → latent.

        Args:
            values: the elements to transform, `(…, transformed)`.
            outputs: outputs of the networks, each `(…, transformed * params_per_element)`.

        Returns:
            The transformed elements, and the log of the slope at each; `None` if that is 0
            everywhere.
        """
        raise NotImplementedError(f"{type(self).__name__} must define transform()")

    def inverse_transform(
        self, values: Tensor, outputs: list[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """The inverse of `transform`, latent → data, with its own log slopes."""
        raise NotImplementedError(f"{type(self).__name__} must define inverse_transform()")

    def _couple(self, x: Tensor, condition: Tensor | None, transform: Any) -> tuple[Tensor, Tensor]:
        if self.identity_mask is None:
            first, second = x[..., : self.cut], x[..., self.cut :]
            identity, old = (second, first) if self.invert else (first, second)
            new, log_slope = transform(old, self._outputs(identity, condition))
            parts = [new, identity] if self.invert else [identity, new]
            z = ops.concatenate(parts, axis=-1)
        else:
            mask = ops.convert_to_tensor(self.identity_mask, self.flow_dtype)
            identity = x * mask
            new, log_slope = transform(x, self._outputs(identity, condition))
            # The identity part is unchanged to the last bit: the inverse conditions on it again.
            z = identity + new * (1 - mask)
            log_slope = None if log_slope is None else log_slope * (1 - mask)
        if log_slope is None:
            return z, self.constant_log_det(x)
        return z, sum_event(log_slope)

    def _outputs(self, identity: Tensor, condition: Tensor | None) -> list[Tensor]:
        inputs = join(self.name, identity, condition, self.condition_shape)
        outputs = [ops.cast(network(inputs), self.flow_dtype) for network in self._networks()]
        return outputs if self.gain in (None, 1) else [self.gain * part for part in outputs]

    # The networks. A subclass with several overrides the next three.

    def _check_network(self, network: Any) -> Any:
        if network is not None and not isinstance(network, keras.layers.Layer):
            raise TypeError(
                f"Layer '{self.name}' takes a Keras layer or model as network, but got "
                f"{type(network).__name__}: {network!r}."
            )
        return network

    def _networks(self) -> list[keras.layers.Layer]:
        return [self.network]

    def _build_networks(self, shape: Shape, transformed: int) -> None:
        outputs = transformed * self.params_per_element
        self.network = self._built_network(self.network, "network", shape, outputs)

    def _built_network(
        self, network: keras.layers.Layer | None, name: str, shape: Shape, outputs: int
    ) -> keras.layers.Layer:
        """The network, built; raises a ValueError unless its last axis has size `outputs`."""
        if network is None:
            network = CouplingNetwork(
                outputs, self.hidden_units, self.activation, name=name, dtype=self.dtype_policy
            )
        if not network.built:
            network.build(shape)
        # Symbolic: a functional model then looks at its input's shape too.
        try:
            found = network(keras.KerasTensor(shape, dtype=self.flow_dtype))
        except ValueError as error:
            raise ValueError(
                f"The network '{network.name}' of layer '{self.name}' must take {shape}, the "
                f"identity part and the condition, but refuses it: {error} Change the shape of "
                "its input."
            ) from error
        if not hasattr(found, "shape") or tuple(found.shape[1:]) != (*shape[1:-1], outputs):
            raise ValueError(
                f"The network '{network.name}' of layer '{self.name}' gets {shape} and must give "
                f"{(*shape[:-1], outputs)}: {self.params_per_element} parameters for each "
                f"transformed element. It gives {getattr(found, 'shape', found)}. Change the "
                "units of its last layer."
            )
        return network

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "mask": self.mask,
            "invert": self.invert,
            "network": None if self.makes_network else _serialized(self.network),
            "hidden_units": list(self.hidden_units),
            "activation": keras.activations.serialize(self.activation),
            "seed": self.seed,
            "gain": self.gain,
        }

    @classmethod
    def from_config(cls, config: Config) -> "Coupling":
        network = config.get("network")
        return cls(**{**config, "network": _deserialized(network)})


def _serialized(network: Any) -> Any:
    if isinstance(network, (list, tuple)):
        return [keras.saving.serialize_keras_object(part) for part in network]
    return keras.saving.serialize_keras_object(network)


def _deserialized(network: Any) -> Any:
    if isinstance(network, (list, tuple)):
        return [keras.saving.deserialize_keras_object(part) for part in network]
    return None if network is None else keras.saving.deserialize_keras_object(network)
