"""A linear recurrence against an LSTM of the same width: training, and sampling by length.

python -m benchmarks.speed.linear_recurrence  # training at 16,384 steps, sampling up to 1,000,000
python -m benchmarks.speed.linear_recurrence --tiny  # seconds, to see that it runs
"""

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=5)
    parser.add_argument("--channels", type=int, default=64)
    options = parse(parser, arguments, repeat=1, channels=4)
    # Sampling comes first, for training takes more memory than it.
    lengths = (8, 16, 32) if options.tiny else (1_000, 10_000, 100_000, 1_000_000)
    rows = _sampling(options.channels, lengths)
    header = ["steps", "µs a step", "against the shortest", "most memory, MB"]
    write_report("linear_recurrence_length", header, rows, options.out)
    steps = 64 if options.tiny else 16_384
    rows = _training(options.channels, steps, options.repeat)
    header = ["a training step", "median s", "fastest s", "times as fast"]
    write_report("linear_recurrence", header, rows, options.out)


def _training(channels: int, steps: int, repeat: int) -> list[list[str]]:
    """Loss and gradients of one layer on four sequences, alternating, without and with XLA."""
    import keras

    from kerasar.layers import LinearRecurrence

    cases: dict[str, Callable[[], Any]] = {}
    for compiled in (False, True):
        suffix = " by XLA" if compiled else ""
        lstm = keras.layers.LSTM(channels, return_sequences=True)
        for layer, name in ((LinearRecurrence(), "LinearRecurrence"), (lstm, "LSTM")):
            cases[name + suffix] = _gradient(layer, (4, steps, channels), compiled)
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(repeat + 1):
        for name, run in cases.items():
            start = time.perf_counter()
            run()
            if turn:  # the first is tracing and compiling
                times[name].append(time.perf_counter() - start)
    lstm_time = min(median(found) for name, found in times.items() if "LSTM" in name)
    return [
        [name, f"{median(found):.3f}", f"{min(found):.3f}", f"{lstm_time / median(found):.1f}"]
        for name, found in times.items()
    ]


def _gradient(layer: Any, shape: tuple[int, ...], compiled: bool) -> Callable[[], Any]:
    import tensorflow as tf

    x = tf.random.stateless_normal(shape, (0, 0))
    layer.build(shape)

    @tf.function(jit_compile=compiled)
    def gradient() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(x)))
        return tape.gradient(loss, layer.trainable_weights)

    return lambda: [part.numpy() for part in gradient()]


def _sampling(channels: int, lengths: Sequence[int]) -> list[list[str]]:
    """One sequence by the cached loop; the first run of each length is not counted."""
    import kerasar

    model = kerasar.models.LinearRecurrent(None, 8, filters=channels, blocks=2)
    rows: list[list[str]] = []
    shortest = None
    for length in lengths:
        model.sample(1, length=length, method="cached", jit_compile=True)
        start = time.perf_counter()
        model.sample(1, seed=1, length=length, method="cached", jit_compile=True)
        each = (time.perf_counter() - start) / length * 1e6
        shortest = shortest or each
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append([f"{length:,}", f"{each:.1f}", f"{each / shortest - 1:+.0%}", f"{memory:.0f}"])
    return rows


if __name__ == "__main__":
    main()
