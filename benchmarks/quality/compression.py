"""A model as a coder: bytes beside those of other formats, and speed beside the cached sampler's.

Takes a trained run and compresses the test images of its data, checks that they come back, and
writes the bytes of PNG and WebP (a file for each image) and of xz (all in one). Each image is what
`model.log_prob` says, in bits: the file exceeds their sum by its header.

    kerasar train pixelcnn --data digits
    python -m benchmarks.quality.compression runs/pixelcnn-digits --data digits
    python -m benchmarks.quality.compression --tiny  # seconds, on an untrained model of the digits
"""

import lzma
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import DATA_DIR, make_parser, parse
from benchmarks.common.report import machine
from benchmarks.common.trial import write_result

#: Images that are drawn to compare speeds.
_DRAWN = 64


def seconds(function: Callable[[], Any]) -> float:
    """How long a call takes, the second time."""
    function()
    began = time.monotonic()
    function()
    return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "results/compression")
    parser.add_argument("run", nargs="?", help="a run folder or a .keras file")
    parser.add_argument("--data", default="digits", help="whose test images are compressed")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR / "tensorflow_datasets")
    parser.add_argument("--examples", type=int, help="at most so many")
    options = parse(parser, arguments, examples=8)
    options.out.mkdir(parents=True, exist_ok=True)

    import kerasar
    from kerasar.scores.codecs import CODECS

    images = kerasar.data.load_images(options.data, data_dir=options.data_dir)
    x = images.test[: options.examples]
    if options.run is None:
        model = kerasar.models.PixelCNN(x.shape[1:], images.levels, filters=4, blocks=1)
    else:
        model = kerasar.load(options.run)
    began = time.monotonic()
    file = model.compress(x)
    written = time.monotonic()
    found = model.decompress(file)
    read = time.monotonic()
    if not np.array_equal(found, x):
        raise RuntimeError("the images did not come back as they were")
    own = -model.log_prob(x).sum(dtype="float64") / np.log(2) / 8
    raw = x.astype(np.uint8).tobytes()
    others = {
        "png": sum(len(CODECS["png"](image, images.levels, "png")) for image in x),
        "webp": sum(len(CODECS["webp"](image, images.levels, "webp")) for image in x),
        "xz": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)),
    }
    some = x[:_DRAWN]
    drawn = {
        name: seconds(
            lambda compiled=compiled: model.sample(len(some), jit_compile=compiled, verbose=False)
        )
        for name, compiled in (("uncompiled", False), ("compiled", True))
    }
    file_of_some = model.compress(some)
    decoding = seconds(lambda: model.decompress(file_of_some))
    result = {
        "data": options.data,
        "run": str(options.run),
        "images": len(x),
        "bytes": len(file),
        "bytes_an_image": round(len(file) / len(x), 2),
        "bytes_beyond_log_prob": round(float(len(file) - own), 1),
        "others": others,
        "of_the_best_other": round(len(file) / min(others.values()), 3),
        "images_a_second": {
            "encoding": round(len(x) / (written - began), 1),
            "decoding": round(len(x) / (read - written), 1),
        },
        f"seconds_for_{len(some)}": {
            "decoding": round(decoding, 2),
            **{f"sampling, {name}": round(value, 2) for name, value in drawn.items()},
        },
        "machine": machine(),
    }
    write_result(options, result)


if __name__ == "__main__":
    main()
