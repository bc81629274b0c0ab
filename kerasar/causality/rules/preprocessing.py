"""Layers that prepare data: scales, bins, categories."""

from collections.abc import Sequence

import keras

from kerasar.causality.rules.pointwise import axis_is_local
from kerasar.causality.rules.registry import Use, rule
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Taps
from kerasar.typing import Tensor

L = keras.layers


@rule(L.Normalization)
def _normalization(use: Use) -> Declaration | None:
    """Its mean and variance are constants; an axis that is kept has its own for each index."""
    kept = use.operation.axis
    if not kept or axis_is_local(kept, use.rank, use.position_rank):
        return POINTWISE
    return MixesPositions(
        f"its mean and variance differ between positions, for axis={kept}; use axis=None, or an "
        "axis behind the positions"
    )


@rule(L.Hashing)
def _hashing(use: Use) -> Declaration | None:
    return POINTWISE if use.operation.output_mode == "int" else None


@rule(L.Discretization, L.CategoryEncoding)
def _categories(use: Use) -> Declaration | None:
    """Each element by itself, as an integer or a vector, or pooled."""
    layer, shape = use.operation, use.node.inputs[0].shape
    if layer.output_mode == "int":
        return POINTWISE
    if layer.output_mode != "one_hot":
        return MixesPositions(
            f"output_mode={layer.output_mode!r} pools over axis 1, which holds positions"
        )
    if use.has_channels:
        return None if layer.sparse else POINTWISE
    if layer.sparse or shape[-1] == 1:
        return None

    def combine(values: Sequence[Tensor], position: tuple[Tensor, ...]) -> Tensor:
        return layer(values[0][..., None])  # Keras drops a last axis of size 1

    return Taps(((0,) * use.position_rank,), combine=combine)
