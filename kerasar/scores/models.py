"""What scores need of a model: a protocol, for the model classes are a room beside."""

from typing import Any, Protocol

from kerasar.distributions import Surprise
from kerasar.function_cache import FunctionCache
from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.models import ServedConditions
from kerasar.training.batches import Batch
from kerasar.typing import Shape


class ScoredModel(Protocol):
    """A density model."""

    name: str
    data_shape: Shape
    data_levels: int | None
    takes_missing: bool
    conditions: ServedConditions
    function_cache: FunctionCache

    def check_batch(self, batch: Batch, name: str = "x") -> Batch: ...
    def compute_surprise(self, batch: Batch) -> Surprise: ...
    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]: ...
