"""kerasar: Keras models with an exact likelihood.

Autoregressive networks for sequences and images, and normalizing flows. `model.fit` trains;
`log_prob`, `sample` and `inpaint` use the model; `export` writes a SavedModel for TensorFlow
Serving. TensorFlow is imported when a name is first used, not by `import kerasar`.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
    raise ImportError(
        "kerasar runs on Keras' TensorFlow backend only, but KERAS_BACKEND is "
        f"'{os.environ['KERAS_BACKEND']}'. Set KERAS_BACKEND=tensorflow before Python starts."
    )

if TYPE_CHECKING:
    from kerasar import causality as causality
    from kerasar import data as data
    from kerasar import layers as layers
    from kerasar import models as models
    from kerasar import pictures as pictures
    from kerasar import sampling as sampling
    from kerasar import serving as serving
    from kerasar import testing as testing
    from kerasar import training as training
    from kerasar.autoencoder import AutoencoderModel as AutoencoderModel
    from kerasar.autoregressive import AutoregressiveModel as AutoregressiveModel
    from kerasar.causality import check_causal as check_causal
    from kerasar.causality import receptive_field as receptive_field
    from kerasar.causality.convolutionalize import convolution_report as convolution_report
    from kerasar.causality.convolutionalize import convolutionalize as convolutionalize
    from kerasar.causality.convolutionalize import windowed as windowed
    from kerasar.flow import FlowModel as FlowModel
    from kerasar.forecasting import forecast as forecast
    from kerasar.loading import load as load
    from kerasar.masked_input import MaskedInputModel as MaskedInputModel
    from kerasar.vae import VAEModel as VAEModel

_ROOMS = (
    "causality",
    "data",
    "layers",
    "models",
    "pictures",
    "sampling",
    "serving",
    "testing",
    "training",
)
_NAMES = {
    "AutoencoderModel": "kerasar.autoencoder",
    "AutoregressiveModel": "kerasar.autoregressive",
    "MaskedInputModel": "kerasar.masked_input",
    "FlowModel": "kerasar.flow",
    "check_causal": "kerasar.causality",
    "forecast": "kerasar.forecasting",
    "convolution_report": "kerasar.causality.convolutionalize",
    "convolutionalize": "kerasar.causality.convolutionalize",
    "load": "kerasar.loading",
    "receptive_field": "kerasar.causality",
    "VAEModel": "kerasar.vae",
    "windowed": "kerasar.causality.convolutionalize",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"kerasar.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'kerasar' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS, *_NAMES])
