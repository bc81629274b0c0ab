"""How the proof of causality, and the check of a new sampler, grow with layers and with length.

Each case runs in a process of its own, for its largest memory. Seconds are those of the processor,
so that other work on the machine does not count. Random weights with seed 0; nothing is trained.

    python -m benchmarks.speed.proof  # 2 minutes
    python -m benchmarks.speed.proof --tiny  # seconds, to see that it runs
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import keras

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report

L = keras.layers


def convolutions(length: int, layers: int) -> keras.Model:
    """A residual stack of causal convolutions with growing dilations."""
    from kerasar.layers import CausalShift

    x = keras.Input((length,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(4, 8)(x))
    for layer in range(layers):
        conv = L.Conv1D(8, 2, padding="causal", dilation_rate=2 ** (layer % 10), activation="relu")
        h = L.Add()([h, conv(h)])
    return keras.Model(x, L.Dense(4)(h))


def recurrences(length: int, layers: int) -> keras.Model:
    """LSTMs on top of each other."""
    from kerasar.layers import CausalShift

    x = keras.Input((length,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(4, 8)(x))
    for _ in range(layers):
        h = L.LSTM(8, return_sequences=True)(h)
    return keras.Model(x, L.Dense(4)(h))


#: The network, its length, its layers, and whether a sampler is made and checked too.
CASES: list[tuple[Any, int, int, bool]] = [
    *((convolutions, 1_000, layers, False) for layers in (50, 100, 200, 400)),
    *((recurrences, length, 2, False) for length in (10_000, 100_000, 1_000_000)),
    (recurrences, 100_000, 1, True),
    (convolutions, 100_000, 400, True),
]
TINY = [(convolutions, 100, 3, True), (recurrences, 100, 2, False)]


def measure(case: tuple[Any, int, int, bool]) -> tuple[float, float | None, float]:
    """Processor seconds of the proof and of the sampler; the process's largest memory in MB."""
    import kerasar

    make, length, layers, with_sampler = case
    keras.utils.set_random_seed(0)
    network = make(length, layers)
    start = time.process_time()
    kerasar.check_causal(network)
    proof, sampler = time.process_time() - start, None
    if with_sampler:
        model = kerasar.AutoregressiveModel(network)
        start = time.process_time()
        model.sampler("cached")
        sampler = time.process_time() - start
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return proof, sampler, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(speed_parser(__doc__, repeat=3), arguments, repeat=1)
    rows = []
    context = multiprocessing.get_context("spawn")
    for case in TINY if options.tiny else CASES:
        found = []
        for _ in range(options.repeat):
            with context.Pool(1) as pool:
                found.append(pool.apply(measure, (case,)))
        make, length, layers, _ = case
        proofs, samplers, memory = zip(*found, strict=True)
        row = [f"{layers} {make.__name__}", f"{length:,}", f"{median(proofs):.2f}"]
        row.append("" if samplers[0] is None else f"{median(samplers):.1f}")
        rows.append([*row, f"{max(memory):,.0f}"])
        print(f"  {rows[-1]}", file=sys.stderr, flush=True)
    header = ["network", "length", "proof, s", "sampler and its check, s", "memory, MB"]
    write_report("proof", header, rows, options.out)


if __name__ == "__main__":
    main()
