"""How fast sampling is, beside the lecture's PyTorch loops and a cached PyTorch loop.

Networks from ordinary Keras layers, the public `model.sample`, noise and head included. Both
sides alternate in one run; medians and ratios are reported. The lecture's loop on images is timed
on 20 of its 784 equal passes and scaled.

    python -m benchmarks.speed.sampling  # needs the peers: benchmarks/peers/README.md
    python -m benchmarks.speed.sampling --tiny  # seconds, to see that it runs; no peers needed
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median
from benchmarks.common.speed_report import SpeedReport, compare, seconds
from benchmarks.peers.client import Peer
from benchmarks.speed import networks

Case = tuple[str, Callable[..., Any], dict[str, Any], int, int, str, dict[str, Any], float]

#: Sizes of networks for `--tiny`.
_SMALL = dict(length=25, levels=5, layers=1, width=8, heads=2)
TINY = {
    networks.pixel_cnn: dict(size=5, levels=8),
    networks.wavenet: dict(cycles=1, length=2),
    networks.transformer: _SMALL,
    networks.long_transformer: _SMALL,
}
#: case, network, sample arguments, examples, positions, peer, peer arguments, target
CASES: list[Case] = [
    ("PixelCNN 28×28, 48 images; lecture's loop", networks.pixel_cnn, {}, 48, 784,
     "pixelcnn/sample_lecture", dict(n=48, steps=20, positional_encoding=False), 600),
    ("WaveNet, batch 1; cached loop", networks.wavenet, dict(length=2048), 1, 2048,
     "wavenet/sample_cached", dict(n=1, steps=2048), 15),
    ("WaveNet, batch 16; cached loop", networks.wavenet, dict(length=1024), 16, 1024,
     "wavenet/sample_cached", dict(n=16, steps=1024), 5),
    ("transformer, batch 1; cached loop", networks.transformer, {}, 1, 256,
     "transformer/sample_cached", dict(n=1), 3),
    ("transformer, batch 16; cached loop", networks.transformer, {}, 16, 256,
     "transformer/sample_cached", dict(n=16), 1.2),
    ("transformer of 1,024, batch 1; cached loop", networks.long_transformer, {}, 1, 1024,
     "transformer/sample_cached", dict(n=1, length=1024), 3),
    ("toy, 48 × 128; lecture's loop", networks.toy, dict(length=128), 48, 128,
     "toy/sample_lecture", dict(n=48, length=128), 100),
    ("toy, 48 × 128; cached loop", networks.toy, dict(length=128), 48, 128,
     "toy/sample_cached", dict(n=48, length=128), 4),
]  # fmt: skip


def bandwidth_limit(model: Any) -> float:
    """Seconds that one step needs at least: reading every weight once, as a matrix product does."""
    count = sum(int(np.prod(w.shape)) for w in model.network.weights if "embedding" not in w.path)
    matrix = np.random.default_rng(0).normal(size=(count // 256, 256)).astype("float32")
    vector = np.ones(256, "float32")
    times = []
    for _ in range(200):
        start = time.perf_counter()
        matrix @ vector
        times.append(time.perf_counter() - start)
    return median(times)


def seconds_to_sample(
    model: Any, count: int, turn: int, compiled: bool, sizes: dict[str, Any]
) -> float:
    """Seconds for one call; short calls are repeated for a tenth of a second."""
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < 0.1:
        model.sample(count, seed=1000 * turn + calls, jit_compile=compiled, **sizes)
        calls += 1
    return (time.perf_counter() - start) / calls


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=7)
    parser.add_argument("--only", default="", help="part of a case's name")
    options = parse(parser, arguments)

    from kerasar import AutoregressiveModel

    header = ["case", "kerasar s", "peer s", "peer compiled s", "ratio", "target", "of limit"]
    report = SpeedReport("sampling", header, "Sampling, medians of alternating runs", options)
    with nullcontext() if options.tiny else Peer() as peer:
        for name, build, sizes, count, positions, case, settings, target in CASES:
            if options.only not in name:
                continue
            network = build(**(TINY.get(build, {}) if options.tiny else {}))
            if options.tiny:
                sizes, count, positions = (dict(length=9) if sizes else {}), 2, 9 if sizes else 25
            model = AutoregressiveModel(network)
            compiled = not options.tiny
            for _ in range(2):
                model.sample(count, jit_compile=compiled, **sizes)
            work = partial(seconds_to_sample, model, count, compiled=compiled, sizes=sizes)
            found = compare(work, peer, case, settings, options.repeat, positions)
            limit = bandwidth_limit(model) * positions / found.ours
            row = [
                name, seconds(found.ours, 4), seconds(found.theirs, 3),
                seconds(found.theirs_compiled, 3), f"{found.ratio:.1f}", f"{target:g}",
                f"{limit:.0%}" if build not in (networks.pixel_cnn, networks.toy) else "",
            ]  # fmt: skip
            report.add(row, found.ratio, target)
    report.write(picture=not options.tiny)


if __name__ == "__main__":
    main()
