"""How fast sampling is, beside the lecture's PyTorch loops and a cached PyTorch loop.

Networks from ordinary Keras layers, the public `model.sample`, noise and head included. Both
sides alternate in one run; medians and ratios are reported. The lecture's loop on images is timed
on 20 of its 784 equal passes and scaled.

    python -m benchmarks.speed.sampling  # needs the peers: benchmarks/peers/README.md
    python -m benchmarks.speed.sampling --tiny  # seconds, to see that it runs; no peers needed
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.common.report import median, write_bars, write_report
from benchmarks.peers.client import Peer
from benchmarks.speed import networks

Case = tuple[str, Callable[..., Any], dict[str, Any], int, int, str, dict[str, Any], float]

#: case, network, sample arguments, examples, positions, peer, peer arguments, target
CASES: list[Case] = [
    ("PixelCNN 28×28, 48 images; lecture's loop", networks.pixel_cnn, {}, 48, 784,
     "pixelcnn/sample_lecture", dict(n=48, steps=20, positional_encoding=False), 600),
    ("WaveNet, batch 1; cached loop", networks.wavenet, dict(length=2048), 1, 2048,
     "wavenet/sample_cached", dict(n=1, steps=2048), 15),
    ("WaveNet, batch 16; cached loop", networks.wavenet, dict(length=1024), 16, 1024,
     "wavenet/sample_cached", dict(n=16, steps=1024), 5),
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
    time.sleep(0.3)  # the other side's threads go on spinning for a while
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < 0.1:
        model.sample(count, seed=1000 * turn + calls, jit_compile=compiled, **sizes)
        calls += 1
    return (time.perf_counter() - start) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--tiny", action="store_true", help="small sizes, no peers")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--only", help="part of a case's name")
    options = parser.parse_args()

    from kerasar import AutoregressiveModel

    peer = None if options.tiny else Peer()
    header = ["case", "kerasar s", "peer s", "peer compiled s", "ratio", "target", "of limit"]
    rows, labels, ratios, targets = [], [], [], []
    for name, build, sizes, count, places, case, arguments, target in CASES:
        if options.only and options.only not in name:
            continue
        network = (
            build(size=5, levels=8) if options.tiny and build is networks.pixel_cnn else build()
        )
        if options.tiny:
            sizes, count, places = (dict(length=9) if sizes else {}), 2, 9 if sizes else 25
        model = AutoregressiveModel(network)
        for _ in range(2):
            model.sample(count, jit_compile=not options.tiny, **sizes)
        ours, theirs = [], []
        for turn in range(options.repeat):
            ours.append(seconds_to_sample(model, count, turn, not options.tiny, sizes))
            if peer is not None:
                theirs.append(peer.time(case, repeat=1, **arguments) * places)
        compiled = peer.time(case, repeat=3, compiled=True, **arguments) * places if peer else 0.0
        ratio = median(theirs) / median(ours) if theirs else float("nan")
        limit = bandwidth_limit(model) * places / median(ours)
        share = f"{limit:.0%}" if build is networks.wavenet else ""
        rows.append(
            [name, f"{median(ours):.4f}", f"{median(theirs):.3f}" if theirs else "",
             f"{compiled:.3f}" if theirs else "", f"{ratio:.1f}", f"{target:g}", share]
        )  # fmt: skip
        labels, ratios, targets = [*labels, name], [*ratios, ratio], [*targets, target]
        print(f"  {name}: {ratio:.1f}×", file=sys.stderr, flush=True)
    write_report("sampling", header, rows, options.out)
    if peer is not None:
        write_bars("sampling", labels, ratios, targets, "Sampling, medians of alternating runs",
                   options.out)  # fmt: skip
        peer.close()


if __name__ == "__main__":
    main()
