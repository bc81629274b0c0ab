"""The noise that makes integers of images real numbers."""

from kerasar.checks import check_choice
from kerasar.distributions import Dequantization, VariationalDequantization
from kerasar.layers import AffineCoupling, ResidualConvNet
from kerasar.models.parts.strides import checkerboard_stride

#: Channels and blocks of the networks that learn the noise: it depends on what is nearby.
_FILTERS, _BLOCKS = 16, 1


def image_noise(
    dequantization: str, image_shape: tuple[int, int, int], levels: int | None
) -> Dequantization | None:
    """The dequantization of that name.

    Args:
        dequantization: "uniform", or "variational": two checkerboard couplings, whose networks
            read the integers.
        image_shape: `(height, width, channels)`.
        levels: number of values; None for real numbers, which need no noise.

    Raises:
        ValueError: for another name, or learned noise of real numbers.
    """
    check_choice(dequantization, "dequantization", ("uniform", "variational"))
    if dequantization == "uniform":
        return None if levels is None else Dequantization(levels)
    if levels is None:
        raise ValueError(
            "dequantization='variational' learns the noise that is added to integers, but with "
            "levels=None the images hold real numbers. Leave dequantization out."
        )
    height, width, channels = image_shape
    stride = checkerboard_stride(height, width)
    couplings = [
        AffineCoupling(
            "checkerboard",
            invert=invert,
            network=ResidualConvNet(2 * channels, _FILTERS, _BLOCKS, stride, name="network"),
        )
        for invert in (False, True)
    ]
    return VariationalDequantization(levels, couplings)
