"""1,000 streams of 1,000 steps each, interleaved at random in batches of 1 to 64.

The streams go through `score_step` of an export: each request takes the states of some streams, at
whatever steps these are. The log-probabilities are compared with those of one pass over all.

    python -m benchmarks.speed.streams
    python -m benchmarks.speed.streams --tiny  # seconds, to see that it runs
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import median, write_report

_LEVELS, _MOST = 16, 64


def recurrent() -> Any:
    """A GRU of 64 units, whose state is all it remembers."""
    import kerasar

    x = keras.Input((None,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(_LEVELS, 32)(x))
    h = keras.layers.GRU(64, return_sequences=True)(h)
    return kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(_LEVELS)(h)))


def convolutional() -> Any:
    """Causal convolutions, which look back on a finite reach."""
    import kerasar

    return kerasar.models.CausalConvNet(None, _LEVELS)


def functions_of(model: Any) -> dict[str, Callable[..., Any]]:
    """The signatures as an export has them, checks included."""
    import tensorflow as tf

    from kerasar.serving.bounds import Bounds, checking_inputs

    return {
        name: tf.function(
            checking_inputs(function, specs, Bounds()), input_signature=specs, autograph=False
        )
        for name, (function, specs) in model.endpoints(Bounds(), streaming=True).items()
    }


def score_interleaved(model: Any, x: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The log-probability of each step, and the seconds of each request."""
    functions, rng = functions_of(model), np.random.default_rng(0)
    streams, steps = x.shape
    state = {name: part.numpy() for name, part in functions["begin"](np.int32(streams)).items()}
    found, seconds = np.zeros(x.shape, "float32"), []
    alive = np.arange(streams)
    while len(alive):
        rows = rng.choice(alive, min(int(rng.integers(1, _MOST + 1)), len(alive)), replace=False)
        at = state["state_step"][rows]
        begin = time.perf_counter()
        answer = functions["score_step"](x[rows, at], *(part[rows] for part in state.values()))
        answer = {name: part.numpy() for name, part in answer.items()}
        seconds.append(time.perf_counter() - begin)
        found[rows, at] = answer.pop("log_prob")
        for name, part in answer.items():
            state[name][rows] = part
        alive = alive[state["state_step"][alive] < steps]
    return found, seconds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000)
    options = parse(parser, arguments, streams=20, steps=10)
    from kerasar.testing import randomize

    rows = []
    for build in (recurrent, convolutional):
        keras.utils.set_random_seed(0)
        model = build()
        randomize(model.network)
        shape = (options.streams, options.steps)
        x = np.random.default_rng(1).integers(_LEVELS, size=shape).astype("int32")
        found, seconds = score_interleaved(model, x)
        parts = [x[i : i + 50] for i in range(0, len(x), 50)]
        model.log_prob_map(parts[0])
        begin = time.perf_counter()
        offline = np.concatenate([model.log_prob_map(part) for part in parts])
        passed = time.perf_counter() - begin
        rows.append([
            build.__name__, f"{np.abs(found - offline).max():.1g}",
            f"{len(seconds):,}", f"{1e6 * median(seconds):.0f}",
            f"{1e6 * sum(seconds) / x.size:.0f}", f"{1e6 * passed / x.size:.1f}",
        ])  # fmt: skip
    header = [
        "network", "largest difference, nats", "requests", "µs a request",
        "µs a step", "µs a step in one pass",
    ]  # fmt: skip
    write_report("streams", header, rows, options.out)


if __name__ == "__main__":
    main()
