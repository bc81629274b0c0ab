"""What samplers need of a model: protocols, for the model classes are a floor above."""

from typing import Any, Protocol

import keras

from kerasar.causality.analysis import Analysis
from kerasar.causality.condition_limits import ConditionLimits
from kerasar.distributions.base_distributions import BaseDistribution
from kerasar.distributions.dequantization import Dequantization
from kerasar.distributions.likelihoods import Likelihood
from kerasar.function_cache import FunctionCache
from kerasar.layers import Bijection
from kerasar.typing import Shape, Tensor


class SampledConditions(Protocol):
    """The conditions of a model, `kerasar.density_models.conditions.Conditions`."""

    @property
    def limits(self) -> dict[str, ConditionLimits]: ...
    @property
    def shapes(self) -> dict[str, Shape]: ...
    @property
    def dtypes(self) -> dict[str, str]: ...
    def check(self, condition: Any, examples: int, sizes: Shape | None = None) -> Any: ...
    def tensors(self, condition: Any) -> list[Tensor]: ...
    def random(self, generator: Any, examples: int, sizes: tuple[int, ...]) -> Any: ...


class SampledModel(Protocol):
    """A network, the likelihood of its output, and its conditions."""

    name: str
    network: keras.Model
    likelihood: Likelihood
    conditions: SampledConditions
    data_shape: Shape
    data_levels: int | None
    takes_missing: bool
    function_cache: FunctionCache
    weights: list[Any]

    @property
    def data_dtype(self) -> str: ...


class SampledAutoregressive(SampledModel, Protocol):
    """An `AutoregressiveDensity`: one pass gives the parameters of all events."""

    analysis: Analysis

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]: ...

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor: ...


class SampledMaskedInput(SampledModel, Protocol):
    """A `MaskedInputDensity`: a pass gives the logits of one value."""

    def compute_conditional(
        self,
        x: Tensor,
        known: Tensor,
        position: Tensor,
        condition: Any = None,
        training: bool | None = None,
    ) -> Tensor: ...


class SampledFlow(Protocol):
    """A `FlowDensity`."""

    bijection: Bijection
    base: BaseDistribution
    dequantization: Dequantization | None
    data_shape: Shape
    latent_shape: Shape
    condition_shape: Shape | None
    function_cache: FunctionCache
    weights: list[Any]

    @property
    def dim(self) -> int: ...
