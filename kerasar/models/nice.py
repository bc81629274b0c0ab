"""NICE: additive couplings, one scaling at the end, and a logistic base."""

from collections.abc import Sequence
from typing import Any

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution, Logistic
from kerasar.layers import ActNorm, AdditiveCoupling, Bijection, Permute, StandardizeBijection
from kerasar.models.parts.checks import check_dim


def NICE(
    dim: int,
    hidden_units: Sequence[int] = (1000, 1000, 1000, 1000, 1000),
    depth: int = 4,
    levels: int | None = None,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "nice",
) -> FlowModel:
    """NICE for vectors, ready to compile and fit.

    Even and odd places of the vector move in turn, each as told by the other. At the end every
    number is scaled; here the scaling also shifts, and starts from the first batch (`ActNorm`).

    Args:
        dim: int, at least 2. Numbers in a vector; images are flattened.
        hidden_units: widths of the hidden layers of each coupling's network.
        depth: int. How many couplings.
        levels: int for vectors of integers in `[0, levels)`; None for real numbers.
        standardize: bool. Whether the model keeps the data's mean and deviation
            (`StandardizeBijection`).
        base: a base distribution; `Logistic()` if None.
        condition_shape: `(features,)`; None without condition.
        name: the model's name.

    Returns:
        A `FlowModel`.

    References:
        Dinh, Krueger & Bengio. NICE: Non-linear Independent Components Estimation. 2014.
        https://arxiv.org/abs/1410.8516
    """
    check_dim(dim)
    check_count(depth, "depth")
    flow: list[Bijection] = [StandardizeBijection(name="standardize")] if standardize else []
    # Even places first: then halves are slices.
    flow.append(Permute([*range(0, dim, 2), *range(1, dim, 2)], name="even_first"))
    for i in range(depth):
        both: dict[str, Any] = dict(hidden_units=hidden_units, name=f"coupling_{i}")
        flow.append(AdditiveCoupling("half", invert=i % 2 == 1, **both))
    flow.append(ActNorm(name="scale"))
    base = Logistic() if base is None else base
    return FlowModel(
        flow, (dim,), base, dequantize=levels, condition_shape=condition_shape, name=name
    )
