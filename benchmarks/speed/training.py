"""How fast training steps are through `model.fit`, beside the same networks in PyTorch.

Networks from ordinary Keras layers (and, for PixelCNN, kerasar's builder); `compile` chooses how to
run. Both sides alternate in one run; a unit is one step of Adam on one batch.

    python -m benchmarks.speed.training  # needs the peers: benchmarks/peers/README.md
    python -m benchmarks.speed.training --tiny  # seconds, to see that it runs; no peers needed
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.speed_report import SpeedReport, compare, seconds
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


def seconds_of_a_step(model: Any, x: np.ndarray, batch_size: int, turn: int) -> float:
    """Seconds of a training step, over one epoch."""
    start = time.perf_counter()
    model.fit(x, batch_size=batch_size, epochs=1, verbose=0)
    return (time.perf_counter() - start) / (len(x) // batch_size)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--only", default="", help="part of a case's name")
    options = parse(parser, arguments)

    from kerasar import AutoregressiveModel

    header = ["case", "kerasar ms", "peer ms", "peer compiled ms", "ratio", "target"]
    report = SpeedReport("training", header, "Training steps, medians of alternating runs", options)
    with nullcontext() if options.tiny else Peer() as peer:
        for name, build, levels, shape, steps, case, settings, target in CASES:
            if options.only not in name:
                continue
            if options.tiny:
                shape, steps = (2, *(min(size, 28) for size in shape[1:])), 2
            model = AutoregressiveModel(build())
            model.compile("adam")
            rng = np.random.default_rng(0)
            x = rng.integers(levels, size=(shape[0] * steps, *shape[1:])).astype("int32")
            model.fit(x, batch_size=shape[0], epochs=2, verbose=0)
            work = partial(seconds_of_a_step, model, x, shape[0])
            found = compare(work, peer, case, settings, options.repeat)
            row = [
                name, seconds(found.ours, 1, 1e3), seconds(found.theirs, 1, 1e3),
                seconds(found.theirs_compiled, 1, 1e3), f"{found.ratio:.2f}", f"{target:g}",
            ]  # fmt: skip
            report.add(row, found.ratio, target)
    report.write(picture=not options.tiny)


if __name__ == "__main__":
    main()
