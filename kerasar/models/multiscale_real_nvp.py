"""Multi-scale Real NVP: couplings on pixels, then on channels, and half leaves early."""

from collections.abc import Iterable, Sequence

from kerasar.checks import check_count
from kerasar.density_models.flow import FlowModel
from kerasar.layers import (
    ActNorm,
    AffineCoupling,
    Bijection,
    FactorOut,
    Logit,
    ResidualConvNet,
    Squeeze2D,
)


def MultiscaleRealNVP(
    image_shape: Sequence[int],
    levels: int | None = 256,
    stages: int = 2,
    filters: int | Sequence[int] = 32,
    blocks: int = 2,
    alpha: float = 0.05,
    condition_shape: Sequence[int] | None = None,
    name: str = "multiscale_real_nvp",
) -> FlowModel:
    """Real NVP for images, ready to compile and fit.

    A stage is three couplings with checkerboard masks, a squeeze, three couplings with channel
    masks, and a factor-out. A last stage of four checkerboard couplings follows. A factor-out
    closes each stage, the last too, so the latent is one flat vector.

    Differs from the paper in two ways. Before each coupling stands an `ActNorm`, where the paper
    has batch normalisation: it does the same for training, and does not depend on the batch.
    Checkerboard networks work at half the resolution where the size is even (`ResidualConvNet`).

    Args:
        image_shape: `(height, width, channels)`. Each stage halves height and width.
        levels: int. The images hold integers in `[0, levels)`. None for real numbers in [0, 1].
        stages: int. How many stages come before the last: 28×28 images take 2.
        filters: int. Channels of the networks in the first stage; doubled by each stage. Or a
            sequence, one number for each stage and one for the last, which costs less: doubling
            spends most of the time on the smallest images.
        blocks: int. Residual blocks of each network.
        alpha: float in (0, ½). How far the logit keeps pixels off black and white.
        condition_shape: `(features,)`, or `(height, width, channels)`; None without condition.
        name: the model's name.

    Returns:
        A `FlowModel`.

    Raises:
        ValueError: if height or width cannot be halved `stages` times, or if `filters` has
            another number of them.

    References:
        Dinh, Sohl-Dickstein & Bengio. Density estimation using Real NVP. ICLR 2017, section 4.1.
        https://arxiv.org/abs/1605.08803
    """
    check_count(stages, "stages", least=0)
    height, width, channels = check_image_shape(image_shape, stages)
    check_count(blocks, "blocks", least=0)
    flow = _flow(height, width, channels, stages, _each_stage(filters, stages), blocks)
    return FlowModel(
        [Logit(alpha=alpha, name="logit"), *flow],
        (height, width, channels),
        dequantize=levels,
        condition_shape=condition_shape,
        name=name,
    )


def check_image_shape(image_shape: Sequence[int], halvings: int) -> tuple[int, int, int]:
    """Height, width and channels, refused if they cannot be halved so many times."""
    sizes = tuple(image_shape) if isinstance(image_shape, Iterable) else ()
    if len(sizes) != 3:
        raise ValueError(f"image_shape must be (height, width, channels), but got {image_shape!r}.")
    height, width, channels = (check_count(size, "each size of image_shape") for size in sizes)
    if height % 2**halvings or width % 2**halvings:
        raise ValueError(
            f"Each stage halves the image, so height and width must be multiples of {2**halvings}, "
            f"but image_shape is {tuple(image_shape)}. Take fewer stages, or pad the images."
        )
    return height, width, channels


def _each_stage(filters: int | Sequence[int], stages: int) -> list[int]:
    """Channels of the networks in each stage, and in the last."""
    if not isinstance(filters, Sequence):
        return [check_count(filters, "filters") * 2**stage for stage in range(stages + 1)]
    if len(filters) != stages + 1:
        raise ValueError(
            f"filters needs a number for each of the {stages} stages and one for the last, "
            f"{stages + 1} in all, but got {tuple(filters)}."
        )
    return [check_count(count, "each of filters") for count in filters]


def _flow(
    height: int,
    width: int,
    channels: int,
    stages: int,
    filters: list[int],
    blocks: int,
    stage: int = 0,
) -> list[Bijection]:
    """The bijections from one stage on."""

    def couplings(kind: str, count: int, moved: int) -> list[Bijection]:
        even = kind == "checkerboard" and height % 2 == 0 and width % 2 == 0
        steps: list[Bijection] = []
        for i in range(count):
            name = f"{kind}_{stage}_{i}"
            network = ResidualConvNet(
                2 * moved, filters[stage], blocks, 2 if even else 1, name="network"
            )
            coupling = AffineCoupling(kind, invert=i % 2 == 1, network=network, name=name)
            steps += [ActNorm(name=f"norm_{name}"), coupling]
        return steps

    if stages == 0:
        return [*couplings("checkerboard", 4, channels), FactorOut(name=f"factor_out_{stage}")]
    on_pixels = couplings("checkerboard", 3, channels)
    on_channels = couplings("channelwise", 3, 2 * channels)
    rest = _flow(height // 2, width // 2, 2 * channels, stages - 1, filters, blocks, stage + 1)
    return [
        *on_pixels,
        Squeeze2D(name=f"squeeze_{stage}"),
        *on_channels,
        FactorOut(rest, name=f"factor_out_{stage}"),
    ]
