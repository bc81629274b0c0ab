"""How fast training steps are through `model.fit`, beside the same networks in PyTorch.

Networks from ordinary Keras layers (and, for PixelCNN, kerasar's builder); `compile` chooses how to
run. Both sides alternate in one run; a unit is one step of Adam on one batch.

    python -m benchmarks.speed.training  # needs the peers: benchmarks/peers/README.md
    python -m benchmarks.speed.training --tiny  # seconds, to see that it runs; no peers needed
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.common.report import median, write_bars, write_report
from benchmarks.peers.client import Peer
from benchmarks.speed import networks


def shifted_pixel_cnn() -> Any:
    """kerasar's own builder of the lecture's network."""
    import kerasar

    return kerasar.models.ShiftedPixelCNN((28, 28, 1), 256, positional_encoding=False).network


#: case, network, levels, shape of a batch, steps a round, peer, peer arguments, target
CASES: list[tuple[str, Any, int, tuple[int, ...], int, str, dict[str, Any], float]] = [
    ("toy, 100 × 128", networks.toy, 32, (100, 128), 200, "toy/train",
     dict(n=100, length=128, steps=20), 1.5),
    ("PixelCNN, 32 × 28×28", networks.pixel_cnn, 256, (32, 28, 28, 1), 40, "pixelcnn/train",
     dict(n=32, steps=5, positional_encoding=False), 1.3),
    ("the same, kerasar's builder", shifted_pixel_cnn, 256, (32, 28, 28, 1), 40, "pixelcnn/train",
     dict(n=32, steps=5, positional_encoding=False), 1.4),
    ("WaveNet, 4 × 2048", networks.wavenet, 256, (4, 2048), 40, "wavenet/train",
     dict(n=4, length=2048, steps=5), 1.3),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="small sizes, no peers")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--only", help="part of a case's name")
    options = parser.parse_args()

    from kerasar import AutoregressiveModel

    peer = None if options.tiny else Peer()
    header = ["case", "kerasar ms", "peer ms", "peer compiled ms", "ratio", "target"]
    rows, labels, ratios, targets = [], [], [], []
    for name, build, levels, shape, steps, case, arguments, target in CASES:
        if options.only and options.only not in name:
            continue
        if options.tiny:
            shape, steps = (2, *(min(size, 28) for size in shape[1:])), 2
        model = AutoregressiveModel(build())
        model.compile("adam")
        rng = np.random.default_rng(0)
        x = rng.integers(levels, size=(shape[0] * steps, *shape[1:])).astype("int32")
        model.fit(x, batch_size=shape[0], epochs=2, verbose=0)
        ours, theirs = [], []
        for _ in range(options.repeat):
            time.sleep(0.3)  # the other side's threads go on spinning for a while
            start = time.perf_counter()
            model.fit(x, batch_size=shape[0], epochs=1, verbose=0)
            ours.append((time.perf_counter() - start) / steps * 1e3)
            if peer is not None:
                theirs.append(peer.time(case, repeat=1, **arguments) * 1e3)
        compiled = peer.time(case, repeat=3, compiled=True, **arguments) * 1e3 if peer else 0.0
        ratio = median(theirs) / median(ours) if theirs else float("nan")
        rows.append(
            [name, f"{median(ours):.1f}", f"{median(theirs):.1f}" if theirs else "",
             f"{compiled:.1f}" if theirs else "", f"{ratio:.2f}", f"{target:g}"]
        )  # fmt: skip
        labels, ratios, targets = [*labels, name], [*ratios, ratio], [*targets, target]
        print(f"  {name}: {ratio:.2f}×", file=sys.stderr, flush=True)
    write_report("training", header, rows, options.out)
    if peer is not None:
        title = "Training steps, medians of alternating runs"
        write_bars("training", labels, ratios, targets, title, options.out)
        peer.close()


if __name__ == "__main__":
    main()
