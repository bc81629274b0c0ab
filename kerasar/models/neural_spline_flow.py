"""Neural spline flow for vectors: couplings of rational-quadratic splines."""

from collections.abc import Sequence

from kerasar.checks import check_count, check_seed, check_sizes
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import Bijection, Invertible1x1Conv, RationalQuadraticSplineCoupling
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_dim
from kerasar.models.parts.flows import vector_flow


@builder
def NeuralSplineFlow(
    dim: int,
    *,
    hidden_units: Sequence[int] = (64, 64),
    depth: int = 4,
    bins: int = 8,
    bound: float = 3.0,
    linear: bool = True,
    seed: int = 0,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "neural_spline_flow",
) -> FlowModel:
    """A neural spline flow, ready to compile and fit.

    Splines reach from -bound to bound; outside, values pass unchanged. So standardize the data, in
    the model (`standardize=True`) or before.

    Args:
        dim: int, at least 2. Size of a vector.
        hidden_units: widths of the hidden layers of each coupling's network.
        depth: int. Number of couplings; they transform one half and the other in turn.
        bins: int, at least 2. Number of bins of each spline.
        bound: float. Half the side of the box in which the splines are defined.
        linear: bool. Whether a learned linear map (LU) precedes each coupling, as in the paper;
            without it only the halves alternate.
        seed: int. Seed of the rotations that initialize the linear maps.
        standardize: bool. Whether the data are standardized first (`StandardizeBijection`).
        base: distribution of the latents; `StandardNormal()` if None.
        condition_shape: `(features,)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of real vectors, `(batch, dim)`.

    Raises:
        ValueError, TypeError: if a size is not an integer, or too small.

    References:
        Durkan, Bekasov, Murray & Papamakarios. Neural Spline Flows. NeurIPS 2019.
        https://arxiv.org/abs/1906.04032
    """
    check_dim(dim)
    check_sizes(hidden_units=hidden_units)
    check_count(depth, "depth")
    check_seed(seed)
    flow: list[Bijection] = []
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
    return vector_flow(
        flow, dim, standardize, base=base, condition_shape=condition_shape, name=name
    )
