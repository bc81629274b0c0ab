"""Additive coupling, the step from which NICE is built."""

import keras

from kerasar.layers.bijections.coupling import Coupling
from kerasar.typing import Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class AdditiveCoupling(Coupling):
    """Shifts one part of an event, conditioned on the other: z = x + t. Volumes do not change.

    Args:
        mask, invert, network, hidden_units, activation, seed, gain, **kwargs: as for `Coupling`;
            the network has 1 output for each transformed element.

    Input shape:
        `(batch, features)` or `(batch, height, width, channels)`; also `condition`.

    Output shape:
        A pair: the input shape, and `(batch,)` zeros.

    Raises:
        TypeError, ValueError: as `Coupling`.

    References:
        Dinh, Krueger & Bengio. NICE: Non-linear Independent Components Estimation. 2014,
        section 3.2. https://arxiv.org/abs/1410.8516
    """

    def transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, None]:
        return values + outputs[0], None

    def inverse_transform(self, values: Tensor, outputs: list[Tensor]) -> tuple[Tensor, None]:
        return values - outputs[0], None
