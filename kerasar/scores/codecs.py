"""The size of an example as a file of a lossless format, in nats."""

import importlib
import io
import math
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np


def codec_nats(x: np.ndarray, levels: int, codec: str) -> np.ndarray:
    """The size of the file of each example, the format's own headers included.

    Args:
        x: integers in `[0, levels)`, `(examples, …)`.
        levels: number of values.
        codec: "png" or "webp" for images, "flac" for recordings, "zlib" for anything.

    Returns:
        float64, `(examples,)`: 8 ln 2 nats for each byte.

    Raises:
        ValueError: for data that a format does not take.
        ImportError: if the library that writes it is missing here.
    """
    encode = CODECS[codec]
    sizes = [len(encode(example, levels, codec)) for example in x]
    return np.array(sizes, "float64") * 8 * math.log(2)


def _as_image(x: np.ndarray, levels: int, codec: str) -> bytes:
    if x.ndim != 3 or x.shape[-1] not in (1, 3) or levels > 256:
        raise ValueError(
            f"codec='{codec}' is for images with 1 or 3 channels and at most 256 levels, but an "
            f"example has shape {x.shape} and {levels} levels. Take codec='zlib' or 'adaptive'."
        )
    image = _library("PIL.Image", codec, "pillow")
    if codec == "webp" and not _library("PIL.features", codec, "pillow").check("webp"):
        raise ImportError(
            "codec='webp' needs a Pillow that was built with WebP, but this one was not. Install "
            "another build of Pillow, or take codec='png' or 'adaptive'."
        )
    pixels = np.squeeze(x.astype(np.uint8), axis=-1) if x.shape[-1] == 1 else x.astype(np.uint8)
    file = io.BytesIO()
    options = {"lossless": True, "method": 6} if codec == "webp" else {"optimize": True}
    image.fromarray(pixels).save(file, codec, **options)
    return file.getvalue()


def _as_sound(x: np.ndarray, levels: int, codec: str) -> bytes:
    if x.ndim != 1 or levels > 2**16:
        raise ValueError(
            f"codec='{codec}' is for recordings, sequences of at most 65,536 levels, but an "
            f"example has shape {x.shape} and {levels} levels. Take codec='zlib' or 'adaptive'."
        )
    sound = _library("soundfile", codec, "soundfile")
    file = io.BytesIO()
    # The levels as the highest bits of 16, of which FLAC drops those that are always zero.
    step = 2**16 // 2 ** math.ceil(math.log2(levels))
    samples = x.astype("int32") * step - 2**15
    sound.write(file, samples.astype("int16"), 8000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _as_bytes(x: np.ndarray, levels: int, codec: str) -> bytes:
    kind = "u1" if levels <= 2**8 else "<u2" if levels <= 2**16 else "<u4"
    return zlib.compress(np.ascontiguousarray(x.astype(kind)).tobytes(), 9)


def _library(module: str, codec: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"codec='{codec}' needs the package {package}, which is not installed here. Run pip "
            f"install {package}, or take codec='adaptive'."
        ) from error


#: By name, what turns an example, its levels and the name into the bytes of a file.
CODECS: Mapping[str, Callable[[np.ndarray, int, str], bytes]] = MappingProxyType(
    {"png": _as_image, "webp": _as_image, "flac": _as_sound, "zlib": _as_bytes}
)
