"""Kills trainings by SIGKILL at random moments, resumes them, and compares the weights at the end.

A training that nothing ended is run first. Then the same ones are killed again and again, each time
at a random step of those that are left, and resumed by `kerasar train --resume` until they are
through. The weights of the best epoch and the history must then be
those of the first training, bit for bit. Each of the runs takes five kills, the first one while it
starts: one that went wrong would be seen at the end of its run.

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
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

_KILLS_OF_A_RUN = 5
_IMAGES = "train shifted-pixelcnn --data digits --epochs 40 --checkpoint-steps 20".split()
_FLOW = "train realnvp --data moons --epochs 40 --checkpoint-steps 20".split()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--images", type=int, default=20, help="kills of a PixelCNN on digits")
    parser.add_argument("--flows", type=int, default=5, help="kills of a flow")
    parser.add_argument("--seconds", type=float, default=8.0, help="until the first kill")
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
            config = json.loads((whole / "config.json").read_text(encoding="utf-8"))
            steps = int(config["training"]["steps"])
            for k in range(-(-kills // _KILLS_OF_A_RUN)):
                run = Path(folder, f"killed-{k}")
                count = min(_KILLS_OF_A_RUN, kills - k * _KILLS_OF_A_RUN)
                moments = _train_with_kills(command, run, count, steps, draw, options.seconds)
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
    command: Sequence[str], run: Path, kills: int, steps: int, draw: random.Random, seconds: float
) -> list[str]:
    """The moments at which a training of so many steps was killed that then came to its end."""
    moments: list[str] = []
    arguments = [*command, "--out", str(run)]
    for k in range(kills):
        process = _start(arguments)
        if k == 0:  # while it starts, and is traced
            _wait(process, lambda: False, draw.uniform(0.0, seconds))
        else:
            # In the part of it that is left, so that each kill finds something to end.
            left = steps - _newest(run)
            target = _newest(run) + draw.uniform(0.0, 1.5 * left / (kills - k + 1))
            _wait(process, lambda target=target: _newest(run) >= target, 600.0)
            _wait(process, lambda: False, draw.uniform(0.0, 0.1))
        if process.poll() is not None:
            raise SystemExit(f"a training ended before it was killed: {process.communicate()[0]}")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        moments.append(f"after step {_newest(run)}")
        if (run / "UNFINISHED.txt").exists():
            arguments = ["train", "--resume", str(run), *command[-2:]]
    _run(arguments)
    return moments


def _wait(process: "subprocess.Popen[str]", until: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not until():
        time.sleep(0.005)


def _newest(run: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    names = [path.stem for path in run.glob("checkpoints/step-*.npz")]
    return max((int(name.removeprefix("step-")) for name in names), default=0)


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
        [sys.executable, "-m", "kerasar", *arguments],
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
