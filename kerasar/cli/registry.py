"""The models that the command knows. A new model is one entry here.

Builders are named, not imported: `kerasar models` must answer without TensorFlow.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Training:
    """How a model is trained unless the user says otherwise."""

    epochs: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class ModelEntry:
    """A model by its name on the command line.

    Attributes:
        builder: "module:function". It is called with `image_shape` and `levels`.
        about: one line for `kerasar models`.
        training: settings by name of the data; those of "" hold for all other data.
    """

    builder: str
    about: str
    training: Mapping[str, Training]

    def build(self, **arguments: Any) -> Any:
        """The model, made by its builder."""
        module, name = self.builder.split(":")
        builder: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return builder(**arguments)

    def training_for(self, data: str) -> Training:
        """The settings for data of that name."""
        return self.training.get(data, self.training[""])


MODELS: Mapping[str, ModelEntry] = MappingProxyType(
    {
        "shifted-pixelcnn": ModelEntry(
            builder="kerasar.models:ShiftedPixelCNN",
            about="grey images; two stacks of convolutions, shifted images (Fleuret, lecture 10.2)",
            training={
                # Chosen on a tenth of the training images (docs/results.md).
                "digits": Training(epochs=40, batch_size=32, learning_rate=2e-3),
                "": Training(epochs=10, batch_size=32, learning_rate=2e-3),
            },
        ),
    }
)


def find_model(name: str) -> ModelEntry:
    """The model of that name.

    Raises:
        ValueError: if there is none; the message names those that are near.
    """
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), MODELS, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"MODEL must be one of {', '.join(MODELS)}, but got '{name}'.{hint} "
        "'kerasar models' describes them."
    )
