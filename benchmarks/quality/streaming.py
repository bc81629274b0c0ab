"""Trains on more images than memory should hold: resident memory, and images a second.

Generates PNGs of 128×128, gray, with shapes and noise. `kerasar train` runs on them for a while in
a process of its own, whose largest resident memory is compared with that of a process that has only
imported TensorFlow. The same with one .npy file of several gigabytes. Then the pipelines, of files
and of the same images in memory, are read once.

    python -m benchmarks.quality.streaming
    python -m benchmarks.quality.streaming --tiny
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

_SIZE, _BATCH = 128, 4
_BASE = "import tensorflow as tf; tf.zeros(()); import kerasar.training"
_PEAK = (
    "\nimport resource, sys; "
    "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)
_COMMAND = "import sys; from kerasar.cli import app; app(sys.argv[1:], standalone_mode=False)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--gigabytes", type=float, default=5.0, help="of the .npy file")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training")
    options = parse(parser, arguments, images=200, gigabytes=0.002, minutes=0.02)
    with tempfile.TemporaryDirectory(prefix="streaming-") as folder:
        images, array = Path(folder, "images"), Path(folder, "images.npy")
        _generate(images, options.images)
        base = _peak(_BASE)
        peak = _trained_peak(images, options.minutes)
        speeds = _speeds(images)
        _generate_array(array, round(options.gigabytes * 1e9 / _SIZE**2))
        array_peak = _trained_peak(array, options.minutes)
    rows = [
        ["largest resident memory, TensorFlow alone", f"{base:.0f} MB"],
        [f"above it, {options.images:,} PNGs", f"{peak - base:.0f} MB"],
        [f"above it, an .npy file of {options.gigabytes:g} GB", f"{array_peak - base:.0f} MB"],
        ["images/s from files", f"{speeds[0]:.0f}"],
        ["images/s from memory", f"{speeds[1]:.0f}"],
    ]
    write_report("streaming", ["what", "measured"], rows, options.out)
    found = {"images": options.images, "above": round(peak - base), "machine": machine()}
    (options.out / "streaming.json").write_text(json.dumps(found) + "\n")


def _trained_peak(data: Path, minutes: float) -> float:
    """Megabytes that `kerasar train` took at most."""
    train = ["train", "shifted-pixelcnn", "--data", str(data), "--out", str(data) + "-run"]
    return _peak(_COMMAND, *train, "--minutes", str(minutes), "--batch-size", str(_BATCH))


def _generate_array(path: Path, count: int) -> None:
    draw = np.random.default_rng(0)
    block = draw.integers(0, 256, (1000, _SIZE, _SIZE), np.uint8)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, _SIZE, _SIZE)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, len(block)):
            file.write(np.roll(block, start, axis=2)[: count - start].tobytes())


def _generate(folder: Path, count: int) -> None:
    import tensorflow as tf

    folder.mkdir()
    rows, columns = np.mgrid[:_SIZE, :_SIZE]

    def write(i: int) -> None:
        draw = np.random.default_rng(i)
        y, x, radius = draw.integers(20, 108), draw.integers(20, 108), draw.integers(8, 40)
        disk = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        image = (60 + 120 * disk + draw.integers(0, 16, (_SIZE, _SIZE))).astype("uint8")
        (folder / f"{i:06}.png").write_bytes(tf.io.encode_png(image[..., None]).numpy())

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(count)))


def _peak(code: str, *arguments: str) -> float:
    """Megabytes."""
    command = [sys.executable, "-c", code + _PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr[-2000:])
    return int(done.stderr.split("peak ")[-1].split()[0]) / 1024


def _speeds(folder: Path) -> tuple[float, float]:
    """Images a second of the two pipelines."""
    from kerasar.data import load_images, pipeline

    found = []
    lazy: Any = load_images(folder, stream_above=0).train
    rows = min(len(lazy), 4_000)
    for images in (lazy.select(slice(rows)), lazy[:rows]):
        began = time.perf_counter()
        for _ in pipeline(images, _BATCH):
            pass
        found.append(rows / (time.perf_counter() - began))
    return found[0], found[1]


if __name__ == "__main__":
    main()
