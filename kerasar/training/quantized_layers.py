"""Keeps the quantization of layers inside layers, which Keras' configurations of layers leave out.

The configuration of a layer states its own policy, and those of the layers that it makes follow
from it. `network.quantize("int8")` changes these one by one, so that a saved attention or coupling
network would come back unquantized, and could not take its weights.
"""

import keras

from kerasar.keras_internals import nested_layers
from kerasar.typing import Config


def quantization_of(model: keras.Model) -> list[Config]:
    """What `quantize_again` needs, as JSON: an entry for each quantized layer inside a model."""
    serialize = keras.saving.serialize_keras_object
    return [
        {
            "layer": i,
            "mode": layer.quantization_mode,
            "quantizers": serialize(getattr(layer, "quantization_config", None)),
        }
        for i, layer in enumerate(nested_layers(model, include_self=False))
        if layer.quantization_mode is not None
    ]


def quantize_again(model: keras.Model, entries: list[Config]) -> None:
    """Quantizes the layers of a model that were, unless their own configuration has done so."""
    layers = nested_layers(model, include_self=False)
    for entry in entries:
        layer = layers[entry["layer"]]
        if layer.quantization_mode is None:
            quantizers = keras.saving.deserialize_keras_object(entry["quantizers"])
            layer.quantize(entry["mode"], config=quantizers)
