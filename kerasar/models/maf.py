"""Masked autoregressive flow for vectors: fast densities, samples one number at a time."""

from collections.abc import Sequence

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.layers import (
    BatchNormBijection,
    Bijection,
    MaskedAutoregressive,
    Permute,
    StandardizeBijection,
)


def MAF(
    dim: int,
    hidden_units: Sequence[int] = (64, 64),
    depth: int = 5,
    batch_norm: bool = True,
    standardize: bool = False,
    condition_shape: Sequence[int] | None = None,
    name: str = "maf",
) -> FlowModel:
    """A masked autoregressive flow, ready to compile and fit.

    Args:
        dim: int. Numbers in a vector.
        hidden_units: widths of the hidden layers of each step's network.
        depth: int. How many autoregressive steps; the order is reversed between two of them.
        batch_norm: bool. Whether a batch normalisation stands between two steps.
        standardize: bool. Whether the model keeps the data's mean and deviation
            (`StandardizeBijection`).
        condition_shape: `(features,)`; None without condition.
        name: the model's name.

    Returns:
        A `FlowModel`.

    References:
        Papamakarios, Pavlakou & Murray. Masked Autoregressive Flow for Density Estimation. NeurIPS
        2017. https://arxiv.org/abs/1705.07057
    """
    check_count(dim, "dim")
    check_count(depth, "depth")
    flow: list[Bijection] = [StandardizeBijection(name="standardize")] if standardize else []
    for i in range(depth):
        if i > 0:
            if batch_norm:
                flow.append(BatchNormBijection(name=f"batch_norm_{i}"))
            flow.append(Permute("reverse", name=f"reverse_{i}"))
        flow.append(MaskedAutoregressive(hidden_units, name=f"autoregressive_{i}"))
    return FlowModel(flow, (dim,), condition_shape=condition_shape, name=name)
