"""The SavedModel of a model that draws the values of a vector in an order of its own."""

from typing import Any

from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import Signatures
from kerasar.serving.models import ServedInOrder
from kerasar.typing import Tensor


def ordered_endpoints(model: ServedInOrder, **bounds: Any) -> dict[str, Endpoint]:
    """The endpoints of such a model, the default one first."""
    return _OrderedSignatures(model, Bounds(**bounds).check()).all()


class _OrderedSignatures(Signatures):
    """Puts data into the model's order, and samples into that of the data."""

    model: ServedInOrder

    def __init__(self, model: ServedInOrder, bounds: Bounds) -> None:
        super().__init__(model, bounds, continuation=False)  # a prompt need not be drawn first

    def run_sampler(self, values: Tensor, known: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        model = self.model
        made = super().run_sampler(
            model.to_model_order(values), model.to_model_order(known), *arguments
        )
        return {"samples": model.to_data_order(made["samples"])}
