"""µ-law companding: audio as a few integers, fine where it is quiet, coarse where it is loud."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_kind

_MOST_LEVELS = 2**16


@checks_arguments
def mu_law_encode(audio: Any, levels: int = 256) -> NDArray[Any]:
    """Quantizes audio in [-1, 1] to `levels` codes.

    The audio is compressed by f(x) = sign(x) · ln(1 + µ|x|) / ln(1 + µ) with µ = levels - 1, and
    then rounded to one of `levels` values, evenly spaced from -1 to 1.

    Args:
        audio: real values in [-1, 1], of any shape.
        levels: int, from 2 to 65,536.

    Returns:
        Integers in `[0, levels)`, of the shape of `audio`: uint8, or int32 where uint8 is too
        small. Silence, 0.0, has the code `levels // 2`.

    Raises:
        TypeError: for integers, which must be scaled to [-1, 1] first.
        ValueError: for values that are outside of [-1, 1] or not finite, and other `levels`.

    References:
        ITU-T Recommendation G.711, 1988 (with µ = 255; its codes are piecewise linear).
        Van den Oord et al. WaveNet. 2016, section 2.2. https://arxiv.org/abs/1609.03499
    """
    mu = check_count(levels, "levels", 2, _MOST_LEVELS) - 1
    audio = check_kind(audio, "audio")
    if audio.dtype.kind != "f":
        raise TypeError(
            f"audio must hold real values in [-1, 1], but its dtype is {audio.dtype}. Divide "
            "16-bit samples by 32768."
        )
    outside = ~(np.abs(audio) <= 1)  # also true of NaN
    if outside.any():
        raise ValueError(
            f"audio must hold real values in [-1, 1], but got {audio[outside][0]}. Divide the "
            "audio by its largest absolute value, and fix NaN first."
        )
    exact = audio.astype("float64")
    compressed = np.sign(exact) * np.log1p(mu * np.abs(exact)) / np.log1p(mu)
    codes = np.floor((compressed + 1) / 2 * mu + 0.5)
    return codes.astype(np.uint8 if levels <= 256 else np.int32)


@checks_arguments
def mu_law_decode(codes: Any, levels: int = 256) -> NDArray[Any]:
    """Converts codes to audio; `mu_law_encode` gives exactly the same codes again.

    Args:
        codes: integers in `[0, levels)`, of any shape.
        levels: int, from 2 to 65,536.

    Returns:
        float32 in [-1, 1], of the shape of `codes`.

    Raises:
        TypeError: if `codes` are not integers.
        ValueError: for codes outside of `[0, levels)`, and other `levels`.
    """
    mu = check_count(levels, "levels", 2, _MOST_LEVELS) - 1
    codes = check_kind(codes, "codes")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"codes must hold integers, but their dtype is {codes.dtype}.")
    if codes.size and not (0 <= codes.min() and codes.max() < levels):
        raise ValueError(
            f"codes must be in [0, {levels}), but got {codes.min()} … {codes.max()}. "
            "Pass the number of levels that the codes were made with."
        )
    compressed = codes.astype("float64") * 2 / mu - 1
    audio = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(mu)) / mu
    return np.clip(audio, -1, 1).astype("float32")
