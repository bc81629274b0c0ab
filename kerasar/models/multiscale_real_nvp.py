"""Multi-scale Real NVP: couplings on pixels, then on channels, and half is factored out early."""

from collections.abc import Sequence

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.distributions import BaseDistribution
from kerasar.layers import (
    ActNorm,
    AffineCoupling,
    Bijection,
    FactorOut,
    ResidualConvNet,
    Squeeze2D,
)
from kerasar.models.parts.builder import builder
from kerasar.models.parts.checks import check_image_shape
from kerasar.models.parts.flows import image_flow
from kerasar.models.parts.strides import checkerboard_stride


@builder
def MultiscaleRealNVP(
    image_shape: Sequence[int],
    levels: int | None = 256,
    *,
    stages: int = 2,
    filters: int | Sequence[int] = 32,
    blocks: int = 2,
    alpha: float = 0.05,
    dequantization: str = "uniform",
    base: BaseDistribution | None = None,
    condition_shape: Sequence[int] | None = None,
    name: str = "multiscale_real_nvp",
) -> FlowModel:
    """Real NVP for images, ready to compile and fit.

    A stage is three couplings with checkerboard masks, a squeeze, three couplings with channel
    masks, and a factor-out. A last stage of four checkerboard couplings follows. A factor-out
    closes each stage, the last too, so the latent is one flat vector.

    Differs from the paper in two ways. An `ActNorm` precedes each coupling, where the paper has
    batch normalization: it does the same for training, and does not depend on the batch.
    Checkerboard networks work at half the resolution where the size is even (`ResidualConvNet`).

    Args:
        image_shape: `(height, width, channels)`. Each stage halves height and width.
        levels: int. The images hold integers in `[0, levels)`. None for real numbers in [0, 1].
        stages: int. Number of stages before the last: 28×28 images take 2.
        filters: int. Channels of the networks in the first stage; each stage doubles them. Or a
            sequence, one int for each stage and one for the last, which costs less: doubling
            spends most of the time on the smallest images.
        blocks: int. Number of residual blocks of each network.
        alpha: float in (0, ½). Distance that the logit keeps from black and white.
        dequantization: the noise that is added to integers: "uniform" on each one's cell, or
            "variational", learned with the flow (`kerasar.distributions.VariationalDequantization`
            of two small couplings). Likelihoods are closer to those of the model then, for it need
            not fit the cells' edges.
        base: distribution of the latents; `StandardNormal()` if None.
        condition_shape: `(features,)`, or `(height, width, channels)`; None without condition.
        name: name of the model.

    Returns:
        A `FlowModel` of images, `(batch, height, width, channels)`.

    Raises:
        ValueError, TypeError: if a size is not an integer, or too small, if height or width cannot
            be halved `stages` times, or if `filters` has another length.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 4.1.
        https://arxiv.org/abs/1605.08803
    """
    check_count(stages, "stages", least=0)
    shape = check_image_shape(image_shape, stages)
    check_count(blocks, "blocks", least=0)
    flow = _flow(*shape, _filters_of_stages(filters, stages), blocks)
    return image_flow(
        flow,
        shape,
        levels,
        alpha,
        dequantization,
        base=base,
        condition_shape=condition_shape,
        name=name,
    )


def _flow(
    height: int, width: int, channels: int, filters: list[int], blocks: int, stage: int = 0
) -> list[Bijection]:
    """The bijections from one stage on."""

    def couplings(kind: str, count: int, channels: int) -> list[Bijection]:
        stride = checkerboard_stride(height, width) if kind == "checkerboard" else 1
        steps: list[Bijection] = []
        for i in range(count):
            name = f"{kind}_{stage}_{i}"
            network = ResidualConvNet(2 * channels, filters[stage], blocks, stride, name="network")
            coupling = AffineCoupling(kind, invert=i % 2 == 1, network=network, name=name)
            steps += [ActNorm(name=f"norm_{name}"), coupling]
        return steps

    if stage == len(filters) - 1:
        return [*couplings("checkerboard", 4, channels), FactorOut(name=f"factor_out_{stage}")]
    on_pixels = couplings("checkerboard", 3, channels)
    # A squeeze has four times the channels; a coupling transforms half of them.
    on_channels = couplings("channelwise", 3, 2 * channels)
    rest = _flow(height // 2, width // 2, 2 * channels, filters, blocks, stage + 1)
    return [
        *on_pixels,
        Squeeze2D(name=f"squeeze_{stage}"),
        *on_channels,
        FactorOut(rest, name=f"factor_out_{stage}"),
    ]


def _filters_of_stages(filters: int | Sequence[int], stages: int) -> list[int]:
    """Channels of the networks in each stage, and in the last."""
    if not isinstance(filters, Sequence):
        return [check_count(filters, "filters") * 2**stage for stage in range(stages + 1)]
    if len(filters) != stages + 1:
        raise ValueError(
            f"filters needs an integer for each of the {stages} stages and one for the last, "
            f"{stages + 1} in all, but got {tuple(filters)}."
        )
    return [check_count(count, "each of filters") for count in filters]
