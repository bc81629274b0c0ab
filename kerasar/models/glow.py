"""Glow: activation normalization, a learned mixing of channels, affine couplings."""

from collections.abc import Sequence

from kerasar.checks import check_count, check_seed, check_sizes
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import (
    ActNorm,
    AffineCoupling,
    Bijection,
    FactorOut,
    Invertible1x1Conv,
    Squeeze2D,
)
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_image_shape
from kerasar.models.parts.flows import image_flow


@builder
def Glow(
    image_shape: Sequence[int],
    levels: int | None = 256,
    *,
    stages: int = 2,
    depth: int = 8,
    filters: int = 64,
    alpha: float = 0.05,
    dequantization: str = "uniform",
    seed: int = 0,
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "glow",
) -> FlowModel:
    """Glow for images, ready to compile and fit.

    A stage is a squeeze, `depth` steps and a factor-out; a step is `ActNorm`, an
    `Invertible1x1Conv` and an affine coupling of half the channels with a network of three
    convolutions. (The paper has a learned prior at each factor-out, and no logit before the flow.)

    Args:
        image_shape: `(height, width, channels)`. Each stage halves height and width.
        levels: int. The images hold integers in `[0, levels)`. None for real numbers in [0, 1].
        stages: int, at least 1. 28×28 images take 2.
        depth: int. Number of steps in each stage.
        filters: int. Channels of the two hidden convolutions. (The paper has 512.)
        alpha: float in (0, ½). Distance that the logit keeps from black and white.
        dequantization: the noise that is added to integers: "uniform" on each one's cell, or
            "variational", learned with the flow (`kerasar.distributions.VariationalDequantization`
            of two small couplings). Likelihoods are closer to those of the model then, for it need
            not fit the cells' edges.
        seed: int. Seed of the rotations that initialize the mixings.
        base: distribution of the latents; `StandardNormal()` if None.
        condition_shape: `(features,)`, or `(height, width, channels)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of images, `(batch, height, width, channels)`.

    Raises:
        ValueError, TypeError: if a size is not an integer, or too small, or if height or width
            cannot be halved `stages` times.

    References:
        Kingma & Dhariwal. Glow: Generative Flow with Invertible 1x1 Convolutions. NeurIPS 2018.
        https://arxiv.org/abs/1807.03039
    """
    check_sizes(filters=filters)
    check_count(stages, "stages")
    check_count(depth, "depth")
    check_seed(seed)
    shape = check_image_shape(image_shape, stages)
    rest: list[Bijection] = []
    for stage in reversed(range(stages)):
        flow: list[Bijection] = [Squeeze2D(name=f"squeeze_{stage}")]
        for i in range(depth):
            step = f"{stage}_{i}"
            coupling = AffineCoupling(
                "channelwise", hidden_units=(filters, filters), name=f"coupling_{step}"
            )
            mixing = Invertible1x1Conv(seed + stage * depth + i, name=f"mix_{step}")
            flow += [ActNorm(name=f"act_norm_{step}"), mixing, coupling]
        rest = [*flow, FactorOut(rest, name=f"factor_out_{stage}")]
    return image_flow(
        rest,
        shape,
        levels,
        alpha,
        dequantization,
        base=base,
        condition_shape=condition_shape,
        name=name,
    )
