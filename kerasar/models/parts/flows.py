"""How a flow of vectors and a flow of images begin."""

from collections.abc import Sequence
from typing import Any

from kerasar.density_models.flow import FlowModel
from kerasar.layers import Bijection, Logit, StandardizeBijection
from kerasar.models.parts.image_noise import image_noise


def vector_flow(
    bijections: Sequence[Bijection], dim: int, standardize: bool, **options: Any
) -> FlowModel:
    """A flow of vectors `(batch, dim)`, standardized first if asked for.

    Args:
        bijections: the bijections from data, or standardized data, to latents.
        dim: size of a vector.
        standardize: whether a `StandardizeBijection` comes first.
        **options: of `FlowModel`.
    """
    first = [StandardizeBijection(name="standardize")] if standardize else []
    return FlowModel([*first, *bijections], (dim,), **options)


def image_flow(
    bijections: Sequence[Bijection],
    image_shape: tuple[int, int, int],
    levels: int | None,
    alpha: float,
    dequantization: str,
    **options: Any,
) -> FlowModel:
    """A flow of images, which a `Logit` first maps from [0, 1] to the real numbers.

    Args:
        bijections: the bijections from the logits to latents.
        image_shape: `(height, width, channels)`.
        levels: number of values of integer data; None for real numbers in [0, 1].
        alpha: distance that the logit keeps from 0 and 1.
        dequantization: "uniform" or "variational" (`image_noise`).
        **options: of `FlowModel`.
    """
    logit = Logit(alpha=alpha, name="logit")
    noise = image_noise(dequantization, image_shape, levels)
    return FlowModel([logit, *bijections], image_shape, dequantize=noise, **options)
