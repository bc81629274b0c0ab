"""Whether the cost of a generated position grows with the length of the sequence.

python -m benchmarks.speed.length  # lengths 256 to 16,384, compiled and not
python -m benchmarks.speed.length --tiny  # seconds, to see that it runs
"""

import time
from collections.abc import Sequence

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.speed import networks


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--batch", type=int, default=16)
    options = parse(parser, arguments, repeat=1)

    from kerasar import AutoregressiveModel

    lengths = (20, 40) if options.tiny else (256, 1024, 4096, 16384)
    model = AutoregressiveModel(networks.toy())
    rows = []
    for compiled in (True, False):
        times: dict[int, list[float]] = {length: [] for length in lengths}
        for turn in range(options.repeat + 1):
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
