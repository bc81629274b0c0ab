"""Joint paths of a forecast, beside a roll-forward that predicts each step of them.

1,000 paths of 168 steps by `kerasar.forecast`, and by a loop over `keras.Model.predict`, which sees
the last steps of each path as far back as the network does, gives the parameters of the next step,
and draws it: what one writes by hand. Both have the same law: their energy distance is compared
with those between paths of other seeds.

    python -m benchmarks.speed.forecast_paths
    python -m benchmarks.speed.forecast_paths --tiny
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report

_SEASON, _SEEN = 24, 32


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=3)
    parser.add_argument("--paths", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=168)
    options = parse(parser, arguments, repeat=1, paths=10, steps=4)

    import keras

    import kerasar

    keras.utils.set_random_seed(0)
    t = np.arange(2_000)
    past = (np.sin(2 * np.pi * t / _SEASON) + 0.3 * np.random.default_rng(0).normal(size=2_000))[
        -_SEEN:
    ]
    likelihood = kerasar.distributions.GaussianMixture(3)
    model = kerasar.models.CausalConvNet(
        None, None, likelihood=likelihood, filters=32, dilations=(1, 2, 4, 8, 16)
    )
    kerasar.testing.randomize(model.network)

    def ours(seed: int) -> np.ndarray:
        found = kerasar.forecast(
            model, past, options.steps, options.paths, seed, context=_SEEN, on_runaway="clip"
        )
        return np.asarray(found.paths)

    def by_hand(seed: int) -> np.ndarray:
        return roll_forward(model, past, options.steps, options.paths, seed)

    seconds: dict[str, list[float]] = {"cached": [], "by predict": []}
    drawn: dict[str, list[np.ndarray]] = {"cached": [], "by predict": []}
    for turn in range(options.repeat + 1):
        for name, draw in (("cached", ours), ("by predict", by_hand)):
            began = time.perf_counter()
            paths = draw(turn)
            if turn:  # the first is tracing
                seconds[name].append(time.perf_counter() - began)
                drawn[name].append(paths)
    fast, slow = (median(times) for times in seconds.values())
    between = energy_distance(drawn["cached"][0], drawn["by predict"][0])
    within = [energy_distance(ours(101 + 2 * i), ours(102 + 2 * i)) for i in range(5)]
    rows = [
        ["kerasar.forecast, s", f"{fast:.3f}", ""],
        ["roll-forward by predict, s", f"{slow:.2f}", ""],
        ["ratio", f"{slow / fast:.0f}×", "≥ 100×"],
        ["energy distance of both", f"{between:.2e}", f"at most {max(within):.2e}, of two seeds"],
    ]
    header = [f"{options.paths:,} paths of {options.steps} steps", "measured", "target"]
    write_report("forecast_paths", header, rows, options.out)


def roll_forward(model: Any, past: np.ndarray, steps: int, paths: int, seed: int) -> np.ndarray:
    """Paths `(paths, steps)`, one call of `predict` for each step."""
    rng = np.random.default_rng(seed)
    x = np.zeros((paths, len(past) + steps), "float32")
    x[:, : len(past)] = past
    for step in range(len(past), x.shape[1]):
        # A step more, whose value the network does not see.
        window = x[:, step - len(past) : step + 1]
        parameters = model.network.predict(window, batch_size=paths, verbose=0)[:, -1]
        logits, centers, log_scales = np.split(parameters.astype("float64"), 3, axis=-1)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        cumulated = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        chosen = (rng.random((paths, 1)) > cumulated[:, :-1]).sum(axis=1)
        rows = np.arange(paths)
        scales = np.exp(log_scales[rows, chosen])
        x[:, step] = centers[rows, chosen] + scales * rng.normal(size=paths)
    return x[:, len(past) :]


def energy_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Twice the mean distance between paths of both, less those within each; unbiased."""

    def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
        square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        total = np.sqrt(np.maximum(square, 0)).sum()
        return float(total / (len(a) * (len(b) - (a is b))))

    one, other = one.astype("float64"), other.astype("float64")
    both = mean_distance(one, other)
    return 2 * both - mean_distance(one, one) - mean_distance(other, other)


if __name__ == "__main__":
    main()
