"""Real NVP for vectors, as the lecture builds it: affine couplings with random masks."""

from collections.abc import Sequence
from typing import Any

from kerasar.checks import check_count, check_seed, check_sizes
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import AffineCoupling, Bijection, Permute
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_dim
from kerasar.models.parts.flows import vector_flow


@builder
def RealNVP(
    dim: int,
    *,
    hidden_units: int = 64,
    depth: int = 8,
    activation: Any = "tanh",
    separate_networks: bool = True,
    scale_bound: float | None = 3.0,
    seed: int = 0,
    standardize: bool = False,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "real_nvp",
) -> FlowModel:
    """Real NVP for vectors, ready to compile and fit.

    Couplings come in pairs: the first transforms a random half of the elements, conditioned on the
    other half, and the second transforms the other half. Each has two networks, one for the scales
    and one for the shifts, with one hidden layer each.

    Args:
        dim: int, at least 2. Size of a vector.
        hidden_units: int. Width of the hidden layers.
        depth: int. Number of couplings.
        activation: of the hidden layers, as for `keras.layers.Dense`; tanh as in the lecture by
            default.
        separate_networks: bool. Whether scales and shifts have their own networks; one network for
            both is faster.
        scale_bound: float, the largest log scale. None leaves scales unbounded, as in the lecture:
            they may then overflow.
        seed: int. Seed of the random halves, which are saved with the model.
        standardize: bool. Whether the data are standardized first (`StandardizeBijection`).
        base: distribution of the latents; `StandardNormal()` if None.
        condition_shape: `(features,)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of real vectors, `(batch, dim)`.

    Raises:
        ValueError, TypeError: if a size is not an integer, or too small.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017.
        https://arxiv.org/abs/1605.08803
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """
    check_dim(dim)
    check_sizes(hidden_units=hidden_units)
    check_count(depth, "depth")
    check_seed(seed)
    flow: list[Bijection] = []
    for i in range(depth):
        if i % 2 == 0:
            # A shuffle and halves are a random mask whose networks see no zeros.
            flow.append(Permute("random", seed=seed + i // 2, name=f"shuffle_{i // 2}"))
        coupling = AffineCoupling(
            "half",
            invert=i % 2 == 1,
            hidden_units=(hidden_units,),
            activation=activation,
            scale_bound=scale_bound,
            separate_networks=separate_networks,
            name=f"coupling_{i}",
        )
        flow.append(coupling)
    return vector_flow(
        flow, dim, standardize, base=base, condition_shape=condition_shape, name=name
    )
