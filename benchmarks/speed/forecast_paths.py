"""Joint paths of a forecast, beside a roll-forward that predicts each step of them.

1,000 paths of 168 hours behind 400 known ones by `kerasar.forecast(jit_compile=True)`, and by a
loop over `keras.Model.predict`, which gives the parameters of the next step of each path, and draws
it: what one writes by hand. The model is what the command begins with on hours that have a day and
a week. Both have the same law: their energy distance is compared with those between paths of other
seeds.

    python -m benchmarks.speed.forecast_paths
    python -m benchmarks.speed.forecast_paths --tiny
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report

_SEASONS, _SEEN = (24, 168), 400


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=3)
    parser.add_argument("--paths", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=168)
    options = parse(parser, arguments, repeat=1, paths=10, steps=4)

    import kerasar
    from kerasar.forecasting import choose, start_from
    from kerasar.models import Forecaster

    t, rng = np.arange(2_000), np.random.default_rng(0)
    day, week = (np.sin(2 * np.pi * t / season) for season in _SEASONS)
    past = 10 + 3 * day + week + 0.3 * rng.normal(size=len(t))
    choice = choose(past, _SEASONS[0], _SEASONS)
    model = Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)
    start_from(model, choice.fitted)

    def ours(seed: int) -> np.ndarray:
        given = dict(seed=seed, context=_SEEN, jit_compile=True)
        return np.asarray(
            kerasar.forecast(model, past, options.steps, options.paths, **given).paths
        )

    def by_hand(seed: int) -> np.ndarray:
        return roll_forward(model, past[-_SEEN:], options.steps, options.paths, seed)

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
    within = [energy_distance(ours(100 + 2 * i), ours(101 + 2 * i)) for i in range(20)]
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
        # Of one length, for each other one would be traced again.
        parameters = model.network.predict(x, batch_size=paths, verbose=0)[:, step]
        uniforms = rng.random((paths, model.likelihood.num_uniforms(parameters.shape[-1])))
        noise = model.likelihood.noise(uniforms.astype("float32"))
        x[:, step] = model.likelihood.sample(parameters, noise)
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
