"""What the masked-input networks share: their inputs and their dense layers."""

from collections.abc import Sequence

import keras

from kerasar.density_models.masked_input import MaskedInputModel
from kerasar.typing import Shape, Tensor


def masked_inputs(shape: Shape, order: str | Sequence[int]) -> dict[str, Tensor]:
    """The inputs `x` and `known`, and for random orders `position`, the index to predict."""
    inputs = {
        "x": keras.Input(shape, dtype="int32", name="x"),
        "known": keras.Input(shape, dtype="bool", name="known"),
    }
    if order == "random":
        inputs["position"] = keras.Input((), dtype="int32", name="position")
    return inputs


def masked_input_model(
    inputs: dict[str, Tensor],
    features: Tensor,
    hidden_units: int,
    levels: int,
    order: str | Sequence[int],
    name: str,
) -> MaskedInputModel:
    """Two dense layers from the features to the logits of the value, and the model of it all."""
    h = keras.layers.Flatten("channels_last", name="flatten")(features)
    h = keras.layers.Dense(hidden_units, activation="relu", name="hidden")(h)
    logits = keras.layers.Dense(levels, name="logits")(h)
    network = keras.Model(list(inputs.values()), logits, name=name)
    return MaskedInputModel(network, order, name=name)
