"""The lecture's first flow: one increasing, piecewise linear map of the line onto itself."""

from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import PiecewiseLinear
from kerasar.models.parts.builder import builder
from kerasar.models.parts.flows import vector_flow


@builder
def PiecewiseLinearFlow(
    pieces: int = 100,
    *,
    xmin: float = -4.0,
    xmax: float = 4.0,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    name: str = "piecewise_linear_flow",
) -> FlowModel:
    """A flow of scalars, of one piecewise linear map, ready to compile and fit.

    With the default base its density is a normal one, stretched piece by piece. Outside of
    `[xmin, xmax]` the first and last pieces go on.

    Args:
        pieces: int. Number of linear pieces. (The lecture has 1001.)
        xmin, xmax: floats. The interval that they divide, in the data's units, or with
            `standardize` in standard deviations from their mean.
        standardize: bool. Whether the data are standardized first (`StandardizeBijection`). The
            map is initialized to the identity, so data of another scale than the base's need it.
        base: distribution of the latents; `StandardNormal()` if None.
        name: name of the model.

    Returns:
        A `FlowModel` of scalars, `(batch, 1)`.

    Raises:
        ValueError: if `pieces` is below 1, or `xmin` is not below `xmax`.

    References:
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """
    flow = [PiecewiseLinear(pieces, xmin, xmax, name="piecewise_linear")]
    return vector_flow(flow, 1, standardize, base=base, name=name)
