"""Checks of sizes that several builders share."""

from collections.abc import Iterable, Sequence

from kerasar.checks import check_count


def check_dim(dim: int) -> int:
    """The size of vectors that a coupling can split in two.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is below 2.
    """
    if check_count(dim, "dim") < 2:
        raise ValueError(
            "dim must be at least 2, because a coupling transforms one part of a vector "
            f"conditioned on the other, but got {dim}. For scalars take MAF or "
            "PiecewiseLinearFlow."
        )
    return dim


def check_image_shape(image_shape: Sequence[int], halvings: int) -> tuple[int, int, int]:
    """Height, width and channels of images that can be halved `halvings` times.

    Raises:
        TypeError: if a size is not an integer.
        ValueError: if there are not three sizes, or one cannot be halved so many times.
    """
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


def check_dilations(dilations: Sequence[int]) -> None:
    """Raises a TypeError or a ValueError unless these are dilations that blocks take in turn."""
    if not isinstance(dilations, Sequence) or not dilations:
        raise TypeError(
            f"dilations must hold at least one integer, as (2, 4, 8), but got {dilations!r}."
        )
    for rate in dilations:
        check_count(rate, "each of dilations")
