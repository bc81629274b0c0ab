"""The inputs of a masked-input network, named as `kerasar.MaskedInputModel` wants them."""

import keras

from kerasar.typing import Shape, Tensor


def masked_inputs(shape: Shape, with_position: bool) -> dict[str, Tensor]:
    """`x`, `known` and, if it is to be told which value is asked for, `position`."""
    inputs = {
        "x": keras.Input(shape, dtype="int32", name="x"),
        "known": keras.Input(shape, dtype="bool", name="known"),
    }
    if with_position:
        inputs["position"] = keras.Input((), dtype="int32", name="position")
    return inputs
