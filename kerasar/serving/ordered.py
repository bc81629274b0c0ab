"""The SavedModel of a model that draws the values of a vector in an order of its own."""

from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import Signatures
from kerasar.serving.models import ServedInOrder
from kerasar.typing import Tensor


def ordered_endpoints(
    model: ServedInOrder, bounds: Bounds, jit_compile: bool = False
) -> dict[str, Endpoint]:
    """The endpoints of such a model, the default one first."""
    # A prompt need not be drawn first, so there is no continuation.
    return _OrderedSignatures(model, bounds, jit_compile, continuation=False).all()


class _OrderedSignatures(Signatures):
    """Puts data into the model's order, and samples into that of the data."""

    model: ServedInOrder

    def run_sampler(self, values: Tensor, known: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        model = self.model
        made = super().run_sampler(
            model.to_model_order(values), model.to_model_order(known), *arguments
        )
        return {"samples": model.to_data_order(made["samples"])}
