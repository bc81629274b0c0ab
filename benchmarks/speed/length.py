"""Whether the cost of a generated position grows with the length of the sequence.

python -m benchmarks.speed.length  # lengths 256 to 16,384, compiled and not
python -m benchmarks.speed.length --tiny  # seconds, to see that it runs
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.common.report import median, write_report
from benchmarks.speed import networks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tiny", action="store_true", help="short lengths, once")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args()

    from kerasar import AutoregressiveModel

    lengths = (20, 40) if options.tiny else (256, 1024, 4096, 16384)
    repeat = 1 if options.tiny else options.repeat
    model = AutoregressiveModel(networks.toy())
    rows = []
    for compiled in (True, False):
        times: dict[int, list[float]] = {length: [] for length in lengths}
        for turn in range(repeat + 1):
            for length in lengths:
                # Short ones more often, so that each measurement takes about as long.
                rounds = max(1, lengths[-1] // length // 4)
                start = time.perf_counter()
                for seed in range(rounds):
                    model.sample(options.batch, seed=seed, length=length, jit_compile=compiled)
                if turn:  # the first is tracing and compiling
                    each = (time.perf_counter() - start) / rounds / length * 1e6
                    times[length].append(each)
        shortest = median(times[lengths[0]])
        for length in lengths:
            each = median(times[length])
            name = "compiled" if compiled else "not compiled"
            rows.append([name, str(length), f"{each:.1f}", f"{each / shortest - 1:+.0%}"])
    header = ["loop", "length", "µs a position", "against the shortest"]
    write_report("length", header, rows, options.out)


if __name__ == "__main__":
    main()
