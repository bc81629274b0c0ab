"""Neural spline flow for vectors: couplings that bend instead of scale and shift."""

from collections.abc import Sequence

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.layers import (
    Bijection,
    Invertible1x1Conv,
    RationalQuadraticSplineCoupling,
    StandardizeBijection,
)
from kerasar.models.parts.checks import check_dim


def NeuralSplineFlow(
    dim: int,
    hidden_units: Sequence[int] = (64, 64),
    depth: int = 4,
    bins: int = 8,
    bound: float = 3.0,
    linear: bool = True,
    standardize: bool = False,
    seed: int = 0,
    condition_shape: Sequence[int] | None = None,
    name: str = "neural_spline_flow",
) -> FlowModel:
    """A neural spline flow, ready to compile and fit.

    Splines reach from -bound to bound; outside, numbers pass unchanged. So standardise the data, in
    the model (`standardize=True`) or before.

    Args:
        dim: int, at least 2. Numbers in a vector.
        hidden_units: widths of the hidden layers of each coupling's network.
        depth: int. How many couplings; the halves that they move alternate.
        bins: int, at least 2. Pieces of each spline.
        bound: float. Half the width of the box that the splines live in.
        linear: bool. Whether a learned linear map (LU) stands before each coupling, as in the
            paper; without it only the halves take turns.
        standardize: bool. Whether the model keeps the data's mean and deviation
            (`StandardizeBijection`).
        seed: int. Of the rotations that the linear maps start from.
        condition_shape: `(features,)`; None without condition.
        name: the model's name.

    Returns:
        A `FlowModel`.

    References:
        Durkan, Bekasov, Murray & Papamakarios. Neural Spline Flows. NeurIPS 2019.
        https://arxiv.org/abs/1906.04032
    """
    check_dim(dim)
    check_count(depth, "depth")
    flow: list[Bijection] = [StandardizeBijection(name="standardize")] if standardize else []
    for i in range(depth):
        if linear:
            flow.append(Invertible1x1Conv(seed + i, name=f"linear_{i}"))
        coupling = RationalQuadraticSplineCoupling(
            "half",
            invert=i % 2 == 1,
            hidden_units=hidden_units,
            bins=bins,
            bound=bound,
            name=f"coupling_{i}",
        )
        flow.append(coupling)
    return FlowModel(flow, (dim,), condition_shape=condition_shape, name=name)
