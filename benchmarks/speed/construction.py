"""How long an `AutoregressiveModel` takes to construct, and its first sample.

The network is the 30-layer WaveNet of ordinary Keras layers. Construction reads its graph and
proves that it is causal; the first sample derives the sampler, checks it against the network and
traces it. Each repetition starts from a new network.

    python -m benchmarks.speed.construction
    python -m benchmarks.speed.construction --tiny  # seconds, to see that it runs
"""

import time
from collections.abc import Sequence

import keras

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.speed import networks


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--length", type=int, default=64, help="of the sample")
    options = parse(parser, arguments, length=8)

    from kerasar import AutoregressiveModel

    size = dict(cycles=1, length=2) if options.tiny else {}
    construction, first_sample = [], []
    for _ in range(options.repeat):
        keras.utils.clear_session()
        network = networks.wavenet(**size)
        start = time.perf_counter()
        model = AutoregressiveModel(network)
        constructed = time.perf_counter()
        model.sample(1, seed=0, length=options.length)
        construction.append(constructed - start)
        first_sample.append(time.perf_counter() - constructed)
    rows = [
        [name, f"{median(times):.3f}", f"{min(times):.3f}", f"{max(times):.3f}"]
        for name, times in (("construction", construction), ("first sample", first_sample))
    ]
    header = ["WaveNet, 30 layers", "median s", "fastest s", "slowest s"]
    write_report("construction", header, rows, options.out)


if __name__ == "__main__":
    main()
