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
    from kerasar import density_models as density_models
    from kerasar import distributions as distributions
    from kerasar import layers as layers
    from kerasar import models as models
    from kerasar import pictures as pictures
    from kerasar import sampling as sampling
    from kerasar import serving as serving
    from kerasar import testing as testing
    from kerasar import training as training
    from kerasar.causality import check_causal as check_causal
    from kerasar.causality import receptive_field as receptive_field
    from kerasar.convolutionalize import convolution_report as convolution_report
    from kerasar.convolutionalize import convolutionalize as convolutionalize
    from kerasar.convolutionalize import to_window_model as to_window_model
    from kerasar.density_models.autoencoder import AutoencoderModel as AutoencoderModel
    from kerasar.density_models.autoregressive import AutoregressiveModel as AutoregressiveModel
    from kerasar.density_models.flow import FlowModel as FlowModel
    from kerasar.density_models.masked_input import MaskedInputModel as MaskedInputModel
    from kerasar.density_models.vae import VAEModel as VAEModel
    from kerasar.forecasting import forecast as forecast
    from kerasar.loading import load as load

_ROOMS = (
    "causality",
    "data",
    "density_models",
    "distributions",
    "layers",
    "models",
    "pictures",
    "sampling",
    "serving",
    "testing",
    "training",
)
_NAMES = {
    "AutoencoderModel": "kerasar.density_models.autoencoder",
    "AutoregressiveModel": "kerasar.density_models.autoregressive",
    "MaskedInputModel": "kerasar.density_models.masked_input",
    "FlowModel": "kerasar.density_models.flow",
    "check_causal": "kerasar.causality",
    "forecast": "kerasar.forecasting",
    "convolution_report": "kerasar.convolutionalize",
    "convolutionalize": "kerasar.convolutionalize",
    "load": "kerasar.loading",
    "receptive_field": "kerasar.causality",
    "VAEModel": "kerasar.density_models.vae",
    "to_window_model": "kerasar.convolutionalize",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"kerasar.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'kerasar' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS, *_NAMES])
