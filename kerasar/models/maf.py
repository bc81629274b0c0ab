"""Masked autoregressive flow for vectors: fast densities, samples one element at a time."""

from collections.abc import Sequence

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import BatchNormBijection, Bijection, MaskedAutoregressive, Permute
from kerasar.models.parts.builder import builder
from kerasar.models.parts.flows import vector_flow


@builder
def MAF(
    dim: int,
    *,
    hidden_units: Sequence[int] = (64, 64),
    depth: int = 5,
    batch_norm: bool = True,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "maf",
) -> FlowModel:
    """A masked autoregressive flow, ready to compile and fit.

    Args:
        dim: int. Size of a vector.
        hidden_units: widths of the hidden layers of each step's network.
        depth: int. Number of autoregressive steps; the order is reversed between two of them.
        batch_norm: bool. Whether there is a batch normalization between two steps.
        standardize: bool. Whether the data are standardized first (`StandardizeBijection`).
        base: distribution of the latents; `StandardNormal()` if None.
        condition_shape: `(features,)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of real vectors, `(batch, dim)`.

    Raises:
        ValueError, TypeError: if a size is not an integer of at least 1.

    References:
        Papamakarios, Pavlakou & Murray. Masked Autoregressive Flow for Density Estimation. NeurIPS
        2017. https://arxiv.org/abs/1705.07057
    """
    check_count(dim, "dim")
    check_sizes(hidden_units=hidden_units)
    check_count(depth, "depth")
    flow: list[Bijection] = []
    for i in range(depth):
        if i > 0:
            if batch_norm:
                flow.append(BatchNormBijection(name=f"batch_norm_{i}"))
            flow.append(Permute("reverse", name=f"reverse_{i}"))
        flow.append(MaskedAutoregressive(hidden_units, name=f"autoregressive_{i}"))
    return vector_flow(
        flow, dim, standardize, base=base, condition_shape=condition_shape, name=name
    )
