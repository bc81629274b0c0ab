"""How long an `AutoregressiveModel` takes to construct, and its first sample.

The networks are of ordinary Keras layers: a WaveNet of 30 layers and a transformer of 100.
Construction reads the graph and proves that it is causal; the first sample derives the sampler,
checks it against the network and traces it. Each repetition starts from a new network.

    python -m benchmarks.speed.construction
    python -m benchmarks.speed.construction --tiny  # seconds, to see that it runs
"""

import time
from collections.abc import Sequence
from functools import partial

import keras

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.speed import networks


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--length", type=int, default=64, help="of the sample")
    options = parse(parser, arguments, length=8)

    from kerasar import AutoregressiveModel

    cycles, layers = (dict(cycles=1, length=2), 2) if options.tiny else ({}, 100)
    build_transformer = partial(networks.transformer, options.length, layers=layers, width=16)
    rows = []
    for name, build, sizes in (
        ("WaveNet, 30 layers", partial(networks.wavenet, **cycles), dict(length=options.length)),
        ("transformer, 100 layers", build_transformer, {}),
    ):
        construction, first_sample = [], []
        for _ in range(options.repeat):
            keras.utils.clear_session()
            network = build()
            start = time.perf_counter()
            model = AutoregressiveModel(network)
            constructed = time.perf_counter()
            model.sample(1, seed=0, **sizes)
            construction.append(constructed - start)
            first_sample.append(time.perf_counter() - constructed)
        rows += [
            [name, part, f"{median(times):.2f}", f"{min(times):.2f}", f"{max(times):.2f}"]
            for part, times in (("construction", construction), ("first sample", first_sample))
        ]
    header = ["network", "", "median s", "fastest s", "slowest s"]
    write_report("construction", header, rows, options.out)


if __name__ == "__main__":
    main()
