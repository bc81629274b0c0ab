"""Kills trainings by SIGKILL at random moments, resumes them, and compares the weights at the end.

A training that nothing ended is run first. Then the same ones are killed again and again, each kill
counted from the start of the process or from its first new checkpoint, and resumed by `kerasar
train --resume` until they are through. The weights of the best epoch and the history must then be
those of the first training, bit for bit. Each of the runs takes five kills: one that went wrong
would be seen at the end of its run.

    python -m benchmarks.quality.resumed
    python -m benchmarks.quality.resumed --tiny  # two kills of a flow
"""

import csv
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

_KILLS_OF_A_RUN = 5
_IMAGES = "train shifted-pixelcnn --data digits --epochs 30 --checkpoint-steps 20".split()
_FLOW = "train realnvp --data moons --epochs 20 --checkpoint-steps 40".split()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--images", type=int, default=20, help="kills of a PixelCNN on digits")
    parser.add_argument("--flows", type=int, default=5, help="kills of a flow")
    parser.add_argument("--seconds", type=float, default=8.0, help="until the latest kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, images=0, flows=2, seconds=2.0)
    draw = random.Random(options.seed)
    rows, different = [], 0
    for name, command, kills in (
        ("PixelCNN on digits", _IMAGES, options.images),
        ("RealNVP on moons", _FLOW, options.flows),
    ):
        if not kills:
            continue
        with tempfile.TemporaryDirectory(prefix="resumed-") as folder:
            whole = Path(folder, "whole")
            _run([*command, "--out", str(whole)])
            for k in range(-(-kills // _KILLS_OF_A_RUN)):
                run = Path(folder, f"killed-{k}")
                count = min(_KILLS_OF_A_RUN, kills - k * _KILLS_OF_A_RUN)
                moments = _train_with_kills(command, run, count, draw, options.seconds)
                wrong = _difference(whole, run)
                different += bool(wrong)
                rows.append([name, str(len(moments)), "; ".join(moments), wrong])
                print(*rows[-1], sep=" | ", flush=True)
    write_report("resumed", ["training", "kills", "at", "different"], rows, options.out)
    summary = {"kills": sum(int(row[1]) for row in rows), "different": different}
    text = json.dumps({**summary, "machine": machine()}) + "\n"
    (options.out / "resumed.json").write_text(text)
    if different:
        raise SystemExit("a training did not end as the one that nothing ended")


def _train_with_kills(
    command: Sequence[str], run: Path, kills: int, draw: random.Random, seconds: float
) -> list[str]:
    """The moments at which a training was killed that then came to its end."""
    moments: list[str] = []
    arguments = [*command, "--out", str(run)]
    while len(moments) < kills:
        before = _newest(run)
        process = _start(arguments)
        # From the first new checkpoint, or from the start of the process, which takes longer.
        counted = len(moments) % 3 > 0
        wait = draw.uniform(0.0, seconds if counted else 2 * seconds)
        while counted and process.poll() is None and _newest(run) == before:
            time.sleep(0.02)
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < wait:
            time.sleep(0.01)
        if process.poll() is not None:
            break  # it came through
        process.send_signal(signal.SIGKILL)
        process.communicate()
        moments.append(_newest(run) or "before the first checkpoint")
        if (run / "UNFINISHED.txt").exists():
            arguments = ["train", "--resume", str(run)]
    if (run / "UNFINISHED.txt").exists() or not run.exists():
        _run(arguments)
    return moments


def _newest(run: Path) -> str:
    return max((path.stem for path in run.glob("checkpoints/step-*.npz")), default="")


def _difference(whole: Path, run: Path) -> str:
    """What differs between two finished runs; nothing if they are one."""
    import kerasar

    pairs = zip(kerasar.load(whole).weights, kerasar.load(run).weights, strict=True)
    for one, other in pairs:
        if not np.array_equal(one, other):
            return f"{one.path} by {np.abs(np.asarray(one) - np.asarray(other)).max():.2g}"
    return "" if _history(whole) == _history(run) else "history.csv"


def _history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def _start(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "kerasar.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(arguments: Sequence[str]) -> None:
    process = _start(arguments)
    said = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {said[-1000:]}")


if __name__ == "__main__":
    main()
