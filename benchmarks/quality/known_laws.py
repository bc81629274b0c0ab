"""Forecasters of processes whose law is known: held-out nats beside those of the law, and bands.

`kerasar train forecaster` learns from 4,000 steps of each process, of which it holds out the last
tenth. The nats are of these, a step that is observed; beside them are those that the law itself
gives to the same steps. The bands are those of forecasts of 12 steps from 80 places in them.

    python -m benchmarks.quality.known_laws
    python -m benchmarks.quality.known_laws --tiny  # to see that it runs
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import write_report

_HORIZON, _ORIGINS, _FADE = 12, 80, 0.8

Array = NDArray[np.float64]


def ar3(rng: np.random.Generator, steps: int) -> tuple[Array, Array]:
    """Three lags around 250; and its nats, as of each of these functions."""
    x, noise = np.zeros(steps + 500), 3 * rng.normal(size=steps + 500)
    for t in range(3, len(x)):
        x[t] = 1.1 * x[t - 1] - 0.7 * x[t - 2] + 0.3 * x[t - 3] + noise[t]
    return 250 + x[500:], normal_nats(noise[500:], 3.0)


def ar1_with_gaps(rng: np.random.Generator, steps: int) -> tuple[Array, Array]:
    """One lag; a fifth of the steps is missing."""
    x = np.zeros(steps)
    for t in range(1, steps):
        x[t] = _FADE * x[t - 1] + rng.normal()
    x = np.where(rng.random(steps) > 0.2, x, np.nan)
    nats, last, apart = np.full(steps, np.nan), 0.0, 0
    for t, value in enumerate(x):
        apart += 1
        if np.isfinite(value):
            deviation = math.sqrt((1 - _FADE ** (2 * apart)) / (1 - _FADE**2))
            nats[t] = normal_nats(value - _FADE**apart * last, deviation)
            last, apart = value, 0
    return x, nats


def walk(rng: np.random.Generator, steps: int) -> tuple[Array, Array]:
    """A random walk with a drift."""
    noise = rng.normal(size=steps)
    return np.cumsum(0.2 + noise), normal_nats(noise, 1.0)


def seasonal_walk(rng: np.random.Generator, steps: int) -> tuple[Array, Array]:
    """A random walk for each month."""
    noise = rng.normal(size=steps)
    x = np.concatenate([5 * rng.normal(size=12), noise[12:]])
    for t in range(12, steps):
        x[t] += x[t - 12]
    return x, normal_nats(noise, 1.0)


def counts(rng: np.random.Generator, steps: int) -> tuple[Array, Array]:
    """Poisson, of a mean that goes along with what was counted."""
    x, nats, mean, last = np.zeros(steps), np.zeros(steps), 4.0, 4.0
    for t in range(steps):
        mean = 1.5 + 0.4 * last + 0.3 * mean
        last = x[t] = rng.poisson(mean)
        nats[t] = mean - last * math.log(mean) + math.lgamma(last + 1)
    return x, nats


def normal_nats(error: Array | float, deviation: float) -> Array:
    """-log of a normal density."""
    z = np.asarray(error) / deviation
    return np.asarray(0.5 * math.log(2 * math.pi * deviation**2) + 0.5 * z**2)


PROCESSES: dict[str, tuple[Callable[..., tuple[Array, Array]], int | None]] = {
    "AR(3)": (ar3, None),
    "AR(1), a fifth missing": (ar1_with_gaps, None),
    "random walk with drift": (walk, None),
    "seasonal random walk": (seasonal_walk, 12),
    "counts": (counts, None),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--steps", type=int, default=4_000, help="of each process")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of the training; None: the command's")
    options = parse(parser, arguments, steps=300, epochs=1)
    rows = []
    for i, (name, (draw, season)) in enumerate(PROCESSES.items()):
        x, law = draw(np.random.default_rng([options.seed, i]), options.steps)
        rows.append([name, *learn_and_judge(x, law, season, options.epochs)])
    header = ["process", "nats a step", "of the law", "more", "in 50 %", "in 90 %", "s"]
    write_report("known_laws", header, rows, options.out)


def learn_and_judge(x: Array, law: Array, season: int | None, epochs: int | None) -> list[str]:
    """One row."""
    import kerasar

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file, run = Path(folder, "series.csv"), Path(folder, "run")
        lines = ["value", *(f"{value:.9g}" for value in x)]
        file.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "kerasar", "train", "forecaster", "--data", str(file)]
        command += ["--out", str(run), *([] if epochs is None else ["--epochs", str(epochs)])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        model = kerasar.load(run)
        widening = json.loads((run / "config.json").read_text())["widening"]
    first = len(x) - len(x) // 10
    kept = min(first, 1_000)
    terms = model.log_prob_map(x[None, first - kept :].astype("float32"))[0, kept:]
    seen = np.isfinite(x[first:])
    ours, true = -float(terms.sum()) / seen.sum(), float(np.nanmean(law[first:]))
    found = kerasar.backtest(
        model,
        x,
        _HORIZON,
        _ORIGINS,
        first,
        season,
        temperature=widening**2,
        verbose=False,
    )
    held = (found.scores["coverage_50"], found.scores["coverage_90"])
    shares = [f"{share:.1%}" for share in held]
    seconds = f"{time.monotonic() - began:.0f}"
    return [f"{ours:.3f}", f"{true:.3f}", f"{ours - true:+.3f}", *shares, seconds]


if __name__ == "__main__":
    main()
