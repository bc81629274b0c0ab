"""Real NVP for vectors, as the lecture builds it: affine couplings with random masks."""

from collections.abc import Sequence
from typing import Any

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.layers import AffineCoupling, Bijection, Permute, StandardizeBijection
from kerasar.models.parts.checks import check_dim


def RealNVP(
    dim: int,
    hidden_units: int = 64,
    depth: int = 8,
    activation: Any = "tanh",
    separate_networks: bool = True,
    scale_bound: float | None = 3.0,
    standardize: bool = False,
    seed: int = 0,
    condition_shape: Sequence[int] | None = None,
    name: str = "real_nvp",
) -> FlowModel:
    """Real NVP for vectors, ready to compile and fit.

    Couplings come in pairs: the first of a pair keeps a random half of the numbers, the second
    the other half. Each has two networks, one for the scales and one for the shifts, with one
    hidden layer each.

    Args:
        dim: int, at least 2. Numbers in a vector.
        hidden_units: int. Width of the hidden layers.
        depth: int. How many couplings.
        activation: of the hidden layers, as for `keras.layers.Dense`; tanh, as in the lecture, if
            not given.
        separate_networks: bool. Two networks in each coupling; False computes both in one, which is
            faster.
        scale_bound: float, the largest log scale. None leaves scales unbounded, as in the lecture:
            they may then overflow.
        standardize: bool. Whether the model keeps the data's mean and deviation
            (`StandardizeBijection`).
        seed: int. Of the random halves, which are saved with the model.
        condition_shape: `(features,)`; None without condition.
        name: the model's name.

    Returns:
        A `FlowModel`.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017.
        https://arxiv.org/abs/1605.08803
        Fleuret. Deep Learning course, lecture on normalizing flows. https://fleuret.org/dlc/
    """
    check_dim(dim)
    check_count(depth, "depth")
    flow: list[Bijection] = [StandardizeBijection(name="standardize")] if standardize else []
    for i in range(depth):
        if i % 2 == 0:
            # A shuffle and halves are a random mask whose networks see no zeros.
            flow.append(Permute("random", seed=seed + i // 2, name=f"shuffle_{i // 2}"))
        both: dict[str, Any] = dict(
            hidden_units=(hidden_units,), activation=activation, separate_networks=separate_networks
        )
        coupling = AffineCoupling(
            "half", invert=i % 2 == 1, scale_bound=scale_bound, name=f"coupling_{i}", **both
        )
        flow.append(coupling)
    return FlowModel(flow, (dim,), condition_shape=condition_shape, name=name)
