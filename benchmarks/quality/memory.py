"""What long use keeps in memory: 1,000 calls of each method over 40 sizes and 40 lengths.

Each method is called on batches of 1 to 40 examples of 5 to 44 steps, 40 pairs of them in turn, in
a process of its own. What the process holds of its own (anonymous memory, as Linux counts it) after
all calls is compared with what it held after the first 100; the target is at most 50 MB more.
`--combinations` draws sizes and lengths apart. TensorFlow's convolutions then keep what they have
prepared for the last 1,024 shapes, 0.1 MB each, which `TF_ENABLE_ONEDNN_OPTS=0` shows.

    python -m benchmarks.quality.memory
    python -m benchmarks.quality.memory --tiny  # seconds, to see that it runs
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import write_report

METHODS = ("fit", "log_prob", "sample", "inpaint")
_LEVELS, _SIZES, _LENGTHS, _WARM_UP = 8, 40, 40, 0.1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--calls", type=int, default=1_000, help="of each method")
    parser.add_argument("--combinations", action="store_true", help="any size with any length")
    parser.add_argument("--method", choices=METHODS, help="measure one, in this process")
    options = parse(parser, arguments, calls=20)
    if options.method:
        print(*measure(options.method, options.calls, options.combinations))
        return
    rows = []
    for method in METHODS:
        command = ["--calls", str(options.calls), "--method", method]
        command += ["--combinations"] if options.combinations else []
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.quality.memory", *command],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append([method, *done.stdout.splitlines()[-1].split()])
    header = ["method", "MB after a tenth", "MB at the end", "MB more", "s"]
    write_report("memory", header, rows, options.out)


def measure(method: str, calls: int, combinations: bool) -> list[str]:
    """Megabytes held after a tenth of the calls, after all, their difference, and seconds."""
    call, draw = _call_of(method), np.random.default_rng(0)
    sizes, lengths = 1 + draw.permutation(_SIZES), 5 + draw.permutation(_LENGTHS)
    began, warm = time.monotonic(), 0.0
    for i in range(calls):
        if i == round(_WARM_UP * calls):
            warm = held()
        size, length = (
            int(draw.choice(v)) if combinations else int(v[i % 40]) for v in (sizes, lengths)
        )
        call(size, length, i)
    end = held()
    figures = warm, end, end - warm, time.monotonic() - began
    return [f"{figure:.0f}" for figure in figures]


def _call_of(method: str) -> Callable[[int, int, int], object]:
    """A call of a method of one model, given the number of examples, their length, and a seed."""
    from kerasar.models import CausalConvNet

    model = CausalConvNet(None, _LEVELS, filters=16, dilations=(1, 2, 4))
    model.compile()

    def data(size: int, length: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(_LEVELS, size=(size, length))

    def inpaint(size: int, length: int, seed: int) -> np.ndarray:
        known = np.tile(np.arange(length) % 3 > 0, (size, 1))
        return model.inpaint(data(size, length, seed), known, seed=seed)

    calls: dict[str, Callable[[int, int, int], object]] = {
        "fit": lambda *drawn: model.fit(data(*drawn), verbose=0),
        "log_prob": lambda *drawn: model.log_prob(data(*drawn)),
        "sample": lambda size, length, seed: model.sample(size, length=length, seed=seed),
        "inpaint": inpaint,
    }
    return calls[method]


def held() -> float:
    """Megabytes of anonymous memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
