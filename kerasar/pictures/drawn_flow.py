"""What the figures of flows ask of a model."""

from typing import Any, Protocol

from numpy.typing import NDArray

from kerasar.typing import Shape


class DrawnFlow(Protocol):
    """A `FlowModel`."""

    name: str
    data_shape: Shape
    data_levels: int | None
    exact: bool
    base: Any

    def log_prob(self, x: Any, condition: Any = None) -> NDArray[Any]: ...
    def sample(self, num_samples: int, seed: int = 0, condition: Any = None) -> NDArray[Any]: ...
    def latent(self, x: Any) -> NDArray[Any]: ...
    def from_latent(self, z: Any) -> NDArray[Any]: ...
