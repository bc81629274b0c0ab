"""The least dimension of a flow of couplings."""

from kerasar.checks import check_count


def check_dim(dim: int) -> int:
    """The size of vectors that can be parted in two.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is below 2.
    """
    if check_count(dim, "dim") < 2:
        raise ValueError(
            "dim must be at least 2, for in a coupling one part of a vector tells how the other "
            f"moves, but got {dim}. For single numbers take MAF or PiecewiseLinearFlow."
        )
    return dim
