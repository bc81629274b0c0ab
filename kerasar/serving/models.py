"""What an export needs of a model: protocols, for the model classes are a floor above."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kerasar.sampling.models import (
    SampledAutoregressive,
    SampledConditions,
    SampledFlow,
    SampledModel,
)
from kerasar.sampling.sampler import Sampler
from kerasar.training.batches import Batch
from kerasar.typing import Shape, Tensor


class ServedConditions(SampledConditions, Protocol):
    """The conditions of a model, as inputs of its signatures."""

    def __iter__(self) -> Iterator[Any]: ...
    def specs(self) -> list[tf.TensorSpec]: ...
    def from_signature(self, tensors: Sequence[Tensor], examples: Tensor, sizes: Any) -> Any: ...


class ServedNetwork(SampledModel, Protocol):
    """An `AutoregressiveModel` or a `MaskedInputModel`."""

    discrete: bool
    conditions: ServedConditions

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor: ...
    def sampler(self, method: str | None = None) -> Sampler: ...


class ServedAutoregressive(ServedNetwork, SampledAutoregressive, Protocol):
    """An `AutoregressiveModel`."""

    conditions: ServedConditions
    trained_length: int | None

    def sample(self, num_samples: int = 1, seed: int = 0, **options: Any) -> np.ndarray: ...
    def get_weights(self) -> list[Any]: ...
    def set_weights(self, weights: list[Any]) -> None: ...


class ServedInOrder(ServedNetwork, Protocol):
    """An `OrderedModel`."""

    def to_model_order(self, x: Tensor) -> Tensor: ...
    def to_data_order(self, x: Tensor) -> Tensor: ...


class ServedEncoder(Protocol):
    """An `EncodedModel`."""

    decoder: ServedNetwork
    latent_shape: tuple[int, ...]
    data_levels: int | None
    #: A function from a seed and the indices of samples to latents, or None.
    prior: Any

    def served_log_prob(self, x: Tensor) -> Tensor: ...
    def compute_latent(self, x: Tensor) -> Tensor: ...


class ServedFlow(SampledFlow, Protocol):
    """A `FlowModel`."""

    data_shape: Shape
    data_levels: int | None
    conditions: ServedConditions

    def uniforms(self, seed: Any, examples: Tensor, draw: Any, size: int) -> Tensor: ...
    def compute_log_prob(
        self, batch: Batch, uniforms: Tensor | None = None, training: bool | None = None
    ) -> Tensor: ...
    def compute_latent(
        self, y: Tensor, condition: Tensor | None = None, training: bool | None = None
    ) -> tuple[Tensor, Tensor]: ...
    def dequantize_midpoint(self, x: Tensor) -> Tensor: ...
    def domain_assertions(self, x: Tensor) -> list[Any]: ...
