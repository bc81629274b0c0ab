"""Tokens a second of a small transformer: from its caches, against a full pass for each token.

Two pre-norm blocks of ordinary Keras layers, 64 channels, 4 heads, learned positions, 65 levels,
drawn weights; the same samples by all methods.

    python -m benchmarks.speed.attention  # two minutes
    python -m benchmarks.speed.attention --tiny  # seconds, to see that it runs
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.speed.networks import transformer

#: length, sequences at once, how many times faster than full passes the caches should be
CASES = [(256, 1, 80), (256, 16, 80), (1024, 1, 250)]
#: Where two values are all but equally likely, rounding decides.
_SAME = 0.9


def seconds(model: Any, count: int, seed: int, **options: Any) -> tuple[float, np.ndarray]:
    """How long one call takes, and what it gives."""
    start = time.perf_counter()
    samples = model.sample(count, seed=seed, verbose=False, **options)
    return time.perf_counter() - start, samples


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    options = parse(parser, arguments)

    from kerasar import AutoregressiveModel
    from kerasar.testing import randomize

    header = ["length", "batch", "full passes /s", "parallel /s", "cached /s", "ratio", "target"]
    rows = []
    cached = dict(method="cached", jit_compile=not options.tiny)
    for length, count, target in CASES[:2] if options.tiny else CASES:
        length = 12 if options.tiny else length
        model = AutoregressiveModel(transformer(length, layers=2, width=64))
        randomize(model.network)
        for method in (cached, dict(method="parallel"), dict(method="sequential")):
            seconds(model, count, 0, **method)  # traced and compiled
        ours, parallel, full = [], [], []
        for turn in range(options.repeat):
            taken, drawn = seconds(model, count, turn, **cached)
            ours.append(taken)
            parallel.append(seconds(model, count, turn, method="parallel")[0])
            if turn == 0:  # a minute for some
                taken, expected = seconds(model, count, turn, method="sequential")
                full.append(taken)
                same = (drawn == expected).mean()
        rates = [length * count / median(times) for times in (full, parallel, ours)]
        ratio = f"{rates[2] / rates[0]:.0f}×"
        rows.append([length, count, *(f"{rate:,.0f}" for rate in rates), ratio, f"≥ {target}×"])
        assert same >= _SAME, f"the samplers disagree at {length} steps"
        print("  ".join(map(str, rows[-1])), file=sys.stderr, flush=True)
    write_report("attention", header, rows, options.out)


if __name__ == "__main__":
    main()
