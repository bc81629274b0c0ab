"""Trains on more images than memory should hold: resident memory, and images a second.

Generates PNGs of 128×128, gray, with shapes and noise. `kerasar train` runs on them for a while in
a process of its own, whose largest resident memory is compared with that of a process that has only
imported TensorFlow. Then both pipelines, of files and of the same images in memory, are read once.

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

_SIZE, _BATCH = 128, 16
_BASE = "import tensorflow as tf; tf.zeros(()); import kerasar.training"
_PEAK = (
    "\nimport resource, sys; "
    "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)
_COMMAND = "import sys; from kerasar.cli import app; app(sys.argv[1:], standalone_mode=False)"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training")
    options = parse(parser, arguments, images=200, minutes=0.02)
    with tempfile.TemporaryDirectory(prefix="streaming-") as folder:
        images = Path(folder, "images")
        _generate(images, options.images)
        base = _peak(_BASE)
        train = ["train", "shifted-pixelcnn", "--data", str(images), "--out", f"{folder}/run"]
        limits = ["--minutes", str(options.minutes), "--batch-size", str(_BATCH)]
        peak = _peak(_COMMAND, *train, *limits)
        speeds = _speeds(images)
    above = peak - base
    rows = [
        ["largest resident memory of the command", f"{peak:.0f} MB"],
        ["TensorFlow's own", f"{base:.0f} MB"],
        ["above it", f"{above:.0f} MB"],
        ["images/s from files", f"{speeds[0]:.0f}"],
        ["images/s from memory", f"{speeds[1]:.0f}"],
    ]
    write_report("streaming", ["what", "measured"], rows, options.out)
    found = {"images": options.images, "above": round(above), "machine": machine()}
    (options.out / "streaming.json").write_text(json.dumps(found) + "\n")


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
