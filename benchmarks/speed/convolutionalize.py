"""How fast training is in one pass over all steps, beside training window by window.

The same window model twice: fed by `keras.utils.timeseries_dataset_from_array`, and converted by
`kerasar.convolutionalize`. Both sides alternate in one run, each in its faster mode (with or
without XLA); a unit is one prediction trained on. "One step" is a batch of 16 series of 2,048
steps, so 32,768 predictions.

    python -m benchmarks.speed.convolutionalize  # 2 to 5 minutes on a quiet machine
    python -m benchmarks.speed.convolutionalize --tiny  # seconds, to see that it runs
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median
from benchmarks.common.speed_report import SpeedReport, rest


def strided(window: int) -> Any:
    """WaveNet in theory: each layer half as long, until one column is left."""
    import keras

    inputs = h = keras.Input((window, 1))
    while h.shape[1] > 1:
        h = keras.layers.Conv1D(32, 2, strides=2, activation="relu")(h)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(h)), name="strided")


def same(window: int) -> Any:
    """Four convolutions with padding="same", then a `Dense` on all columns."""
    import keras

    inputs = h = keras.Input((window, 1))
    for _ in range(4):
        h = keras.layers.Conv1D(32, 3, padding="same", activation="relu")(h)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(h)), name="same")


#: case, window model, target
CASES: list[tuple[str, Callable[[int], Any], float]] = [
    ("strides of 2", strided, 50.0),
    ('padding="same"', same, 10.0),
]


class Side:
    """One way to train: the time of a prediction, in the faster of two modes."""

    def __init__(self, build: Callable[[], Any], data: Any, predictions: int) -> None:
        self.data, self.predictions = data, predictions
        self.times: list[float] = []
        modes = []
        for compiled in (False, True):
            model = build()
            model.compile("adam", "mse", jit_compile=compiled)
            self._fit(model)
            modes.append((self._fit(model), compiled, model))
        _, self.compiled, self.model = min(modes, key=lambda mode: mode[0])

    def _fit(self, model: Any) -> float:
        start = time.perf_counter()
        model.fit(self.data, epochs=1, verbose=0, shuffle=False)
        return (time.perf_counter() - start) / self.predictions

    def run(self) -> None:
        """Measures once."""
        self.times.append(self._fit(self.model))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--long-window", type=int, default=4096, help="for the conversion alone")
    options = parse(parser, arguments, repeat=1, window=16, long_window=64)

    import keras
    import tensorflow as tf

    import kerasar

    window, long_window, batch, length = options.window, options.long_window, 16, 2048
    steps, batches, windows = 8, 16, 256
    if options.tiny:
        batch, length, steps, batches, windows = 2, 40, 2, 2, 8
    rng = np.random.default_rng(0)
    values = rng.normal(size=(batches * windows + window, 1)).astype("float32")
    one_by_one = keras.utils.timeseries_dataset_from_array(
        values[:-1], values[window:], sequence_length=window, batch_size=windows
    ).prefetch(2)
    series = rng.normal(size=(batch, length + 1, 1)).astype("float32")
    at_once = tf.data.Dataset.from_tensors((series[:, :-1], series[:, 1:])).repeat(steps)

    header = [
        "network", "columns", "streams", "arithmetic saved", f"conversion, W={long_window:,}",
        f"{batch * length:,} windows", "one step", "ratio", "target",
    ]  # fmt: skip
    title = f"Training in one pass, beside window by window (W = {window})"
    table = SpeedReport("convolutionalize", header, title, options)
    for name, build, target in CASES:
        report = kerasar.convolution_report(build(window))
        large = build(long_window)
        start = time.perf_counter()
        kerasar.convolutionalize(large)
        conversion = time.perf_counter() - start
        theory = Side(lambda build=build: build(window), one_by_one, batches * windows)
        practice = Side(
            lambda build=build: kerasar.convolutionalize(build(window)),
            at_once,
            batch * length * steps,
        )
        for _ in range(options.repeat):
            for side in (theory, practice):
                rest()
                side.run()
        each = [median(side.times) * batch * length for side in (theory, practice)]
        ratio = each[0] / each[1]
        modes = [f"{'with' if side.compiled else 'without'} XLA" for side in (theory, practice)]
        print(f"  {name}: {', '.join(modes)}", file=sys.stderr, flush=True)
        row = [
            name, f"{report.columns:,}", f"{report.streams}",
            f"{report.theory / report.practice:.0f}×", f"{conversion:.2f} s",
            f"{each[0]:.2f} s", f"{each[1] * 1e3:.0f} ms", f"{ratio:.0f}×", f"{target:g}×",
        ]  # fmt: skip
        table.add(row, ratio, target)
    table.write()


if __name__ == "__main__":
    main()
