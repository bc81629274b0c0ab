"""Where the networks of checkerboard couplings work at half the resolution."""


def checkerboard_stride(height: int, width: int) -> int:
    """The stride of a `ResidualConvNet` for images of that size: 2 where both sizes are even."""
    return 1 if height % 2 or width % 2 else 2
