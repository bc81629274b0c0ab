"""The lecture's first flow: one rising, piecewise linear map of the line onto itself."""

from kerasar.density_models.flow import FlowModel
from kerasar.layers import Bijection, PiecewiseLinear, StandardizeBijection


def PiecewiseLinearFlow(
    pieces: int = 100,
    xmin: float = -4.0,
    xmax: float = 4.0,
    standardize: bool = False,
    name: str = "piecewise_linear_flow",
) -> FlowModel:
    """A flow on the line, of one piecewise linear map, ready to compile and fit.

    Its density is a normal one, stretched piece by piece. Outside of `[xmin, xmax]` the first and
    last pieces go on.

    Args:
        pieces: int. How many straight pieces. (The lecture has 1001.)
        xmin, xmax: floats. The interval that they divide, in the data's units, or with
            `standardize` in standard deviations from their mean.
        standardize: bool. Whether the model keeps the data's mean and deviation
            (`StandardizeBijection`). The map starts as the identity, so data of another scale than
            a standard normal's need it.
        name: the model's name.

    Returns:
        A `FlowModel` of numbers, `(batch, 1)`.

    References:
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """
    flow: list[Bijection] = [StandardizeBijection(name="standardize")] if standardize else []
    flow.append(PiecewiseLinear(pieces, xmin, xmax, name="piecewise_linear"))
    return FlowModel(flow, (1,), name=name)
