"""NICE: additive couplings, one scaling at the end, and a logistic base."""

from collections.abc import Sequence

from kerasar.checks import check_count, check_sizes
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution, Logistic
from kerasar.layers import ActNorm, AdditiveCoupling, Bijection, Permute
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_dim
from kerasar.models.parts.flows import vector_flow


@builder
def NICE(
    dim: int,
    levels: int | None = None,
    *,
    hidden_units: Sequence[int] = (1000, 1000, 1000, 1000, 1000),
    depth: int = 4,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "nice",
) -> FlowModel:
    """NICE for vectors, ready to compile and fit.

    The couplings transform the elements at even and at odd indices in turn, conditioned on the
    others. At the end every element is scaled; here the scaling also shifts, and is initialized
    from the first batch (`ActNorm`).

    Args:
        dim: int, at least 2. Size of a vector; images are flattened.
        levels: int. The vectors hold integers in `[0, levels)`; None for real numbers.
        hidden_units: widths of the hidden layers of each coupling's network.
        depth: int. Number of couplings.
        standardize: bool. Whether the data are standardized first (`StandardizeBijection`).
        base: distribution of the latents; `Logistic()` if None.
        condition_shape: `(features,)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of vectors, `(batch, dim)`.

    Raises:
        ValueError, TypeError: if a size is not an integer, or too small.

    References:
        Dinh, Krueger & Bengio. NICE: Non-linear Independent Components Estimation. 2014.
        https://arxiv.org/abs/1410.8516
    """
    check_dim(dim)
    check_sizes(hidden_units=hidden_units)
    check_count(depth, "depth")
    # Even indices first: then halves are slices.
    flow: list[Bijection] = [
        Permute([*range(0, dim, 2), *range(1, dim, 2)], name="even_first"),
        *(
            AdditiveCoupling(
                "half", invert=i % 2 == 1, hidden_units=hidden_units, name=f"coupling_{i}"
            )
            for i in range(depth)
        ),
        ActNorm(name="scale"),
    ]
    return vector_flow(
        flow,
        dim,
        standardize,
        dequantize=levels,
        base=Logistic() if base is None else base,
        condition_shape=condition_shape,
        name=name,
    )
