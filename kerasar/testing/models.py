"""What the checks need of a model: protocols, for the model classes are a floor above."""

from typing import Any, Protocol

import numpy as np

from kerasar.sampling.models import SampledAutoregressive
from kerasar.typing import Shape, Tensor


class ScoredModel(Protocol):
    """A model that scores data and draws them."""

    name: str
    data_shape: Shape
    data_levels: int | None

    def log_prob(self, x: Any, condition: Any = None) -> np.ndarray: ...
    def sample(self, num_samples: int = 1, seed: int = 0, **options: Any) -> np.ndarray: ...


class CausalModel(ScoredModel, SampledAutoregressive, Protocol):
    """An `AutoregressiveModel`."""

    def to_model_order(self, x: Tensor) -> Tensor: ...
