"""Examples a second of one worker, and of two on this machine that share each batch.

    python -m benchmarks.speed.workers
    python -m benchmarks.speed.workers --tiny

Each worker is a process; they exchange gradients over the loopback. On a machine whose cores one
worker uses up, two are slower by what they exchange: this tells the cost, not a gain.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report

_PROGRAM = """
import json, sys, time
import keras, kerasar
addresses, index, epochs = json.loads(sys.argv[1])
strategy = kerasar.training.worker_strategy(addresses, index) if len(addresses) > 1 else None
(images, _), _ = kerasar.data.load_digits()
with strategy.scope() if strategy else __import__("contextlib").nullcontext():
    model = kerasar.models.ShiftedPixelCNN((8, 8, 1), 17)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False, steps_per_execution=1)

class Times(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
    def on_epoch_end(self, epoch, logs=None):
        print(len(images) / (time.perf_counter() - self.began), flush=True)

model.fit(images, batch_size=32, epochs=epochs, verbose=0, callbacks=[Times()])
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(speed_parser(__doc__, repeat=5), arguments, repeat=1)
    speeds = {count: _images_per_second(count, options.repeat) for count in (1, 2)}
    rows = [
        [str(count), f"{speed:.0f}", f"{speed / speeds[1]:.2f}"] for count, speed in speeds.items()
    ]
    write_report("workers", ["workers", "images/s", "of one"], rows, options.out)


def _images_per_second(count: int, repeat: int) -> float:
    """The median over epochs, after one that compiles."""
    addresses = [f"localhost:{_free_port()}" for _ in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps([addresses, index, repeat + 1])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "TF_CONFIG"},
        )
        for index in range(count)
    ]
    said = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, said, strict=True):
        if process.returncode != 0:
            raise SystemExit(errors[-2000:])
    return median([float(line) for line in said[0][0].split()[-repeat:]])


def _free_port() -> int:
    with socket.socket() as own:
        own.bind(("", 0))
        return int(own.getsockname()[1])


if __name__ == "__main__":
    main()
