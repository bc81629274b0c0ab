"""A real-valued series with a known answer: a linear Gaussian AR(3), learned from a CSV file.

Held-out nats per step stand beside the true entropy, and the 90 % band of forecasts is counted
against what came. Nothing but the public way: a file, windows, `fit`, `evaluate`, `forecast`.

    python -m benchmarks.quality.real_series --out docs/benchmarks  # some minutes
    python -m benchmarks.quality.real_series --tiny --out /tmp/tiny  # seconds, to see that it runs
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

#: x[t] - MEAN = sum of COEFFICIENTS * (x before - MEAN) + NOISE * normal.
COEFFICIENTS, NOISE, MEAN = (1.1, -0.7, 0.3), 3.0, 250.0
BAND = 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--steps", type=int, default=300_000, help="of the series, a third to test")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--origins", type=int, default=400, help="forecasts that are made")
    parser.add_argument("--ahead", type=int, default=48, help="steps of a forecast")
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    tiny = dict(steps=4000, window=32, epochs=1, origins=3, ahead=5, paths=20)
    options = parse(parser, arguments, **tiny)

    import kerasar
    from kerasar.pictures import fan_chart, save

    keras.utils.set_random_seed(options.seed)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "series.csv")
        whole = simulate(options.steps, options.seed)
        np.savetxt(file, whole, header="value", comments="", fmt="%.7g")
        series = kerasar.data.load_series(file, column="value", held_out=1 / 3)
    train = kerasar.data.windows(series.train, options.window, stride=options.window // 2)
    test = kerasar.data.windows(series.test, options.window, stride=options.window)

    model = build(series)
    batch, epochs = 16, options.epochs
    steps = max(1, len(train) // batch * epochs)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)))
    model.fit(train, batch_size=batch, epochs=epochs, verbose=0)
    trained = time.monotonic() - started

    nats = -float(np.mean(model.log_prob(test))) / options.window
    entropy, best = entropy_rate(options.window), true_nats(test)
    covered, example = coverage(model, series, options)
    for name, value in {"nats": nats, "covered": covered}.items():
        print(f"{name}: {value:.4f}", file=sys.stderr, flush=True)

    options.out.mkdir(parents=True, exist_ok=True)
    past, forecast, actual = example
    figure = fan_chart(past, forecast.paths, actual, (0.5, BAND), ["value"], "AR(3), held out")
    save(figure, options.out / "real_series.png")
    rows = [
        ["held-out nats per step", f"{nats:.4f}", f"{entropy:.4f}", "within 0.02"],
        ["of the true process on the same steps", f"{best:.4f}", f"{entropy:.4f}", ""],
        [f"points inside the {BAND:.0%} band", f"{covered:.2%}", f"{BAND:.0%}", "88 % to 92 %"],
    ]
    header = ["what", "reached", "true value", "target"]
    write_report("real_series", header, rows, options.out)
    result = {
        "nats_per_step": nats,
        "entropy_per_step": entropy,
        "nats_of_the_true_process": best,
        "coverage": covered,
        "seed": options.seed,
        "train_steps": len(series.train),
        "test_steps": len(series.test),
        "window": options.window,
        "epochs": epochs,
        "parameters": model.count_params(),
        "seconds_of_training": round(trained, 1),
        "seconds": round(time.monotonic() - started, 1),
        "machine": machine(),
    }
    (options.out / "real_series.json").write_text(json.dumps(result, indent=2) + "\n")


def build(series: Any) -> Any:
    """A causal convolution network of open length, with one Gaussian for each step."""
    import kerasar

    likelihood = kerasar.distributions.GaussianMixture(1, mean=series.mean, scale=series.scale)
    return kerasar.models.CausalConvNet(
        None, levels=None, filters=32, dilations=(1, 2, 4), skip="add", likelihood=likelihood
    )


def coverage(model: Any, series: Any, options: Any) -> tuple[float, Any]:
    """The part of held-out points inside the band, and one forecast to look at."""
    import kerasar

    inside, example = [], None
    context = 32
    tests = kerasar.data.windows(series.test, context + options.ahead, stride=options.ahead)
    chosen = np.linspace(0, len(tests) - 1, min(options.origins, len(tests))).astype(int)
    for seed, number in enumerate(chosen):
        past, actual = tests[number][:context], tests[number][context:]
        found = kerasar.forecast(model, past, options.ahead, num_paths=options.paths, seed=seed)
        low, high = found.quantiles([(1 - BAND) / 2, (1 + BAND) / 2])
        inside.append((low <= actual) & (actual <= high))
        example = example or (past, found, actual)
    return float(np.mean(inside)), example


def simulate(steps: int, seed: int) -> Any:
    """The series, after its beginning is forgotten."""
    noise = NOISE * np.random.default_rng(seed).normal(size=steps + 1000)
    x = np.zeros(steps + 1000)
    for t in range(3, len(x)):
        x[t] = np.dot(COEFFICIENTS, x[t - 3 : t][::-1]) + noise[t]
    return MEAN + x[1000:]


def stationary() -> Any:
    """The covariance of three steps in a row."""
    move = np.array([COEFFICIENTS, (1, 0, 0), (0, 1, 0)], "float64")
    assert np.abs(np.linalg.eigvals(move)).max() < 1, "the process must be stationary"
    noise = np.zeros((3, 3))
    noise[0, 0] = NOISE**2
    # vec(P) = (A ⊗ A) vec(P) + vec(Q)
    flat = np.linalg.solve(np.eye(9) - np.kron(move, move), noise.reshape(-1))
    return flat.reshape(3, 3)


def entropy_rate(window: int) -> float:
    """Nats per step of a window of the process, from its formula."""
    each = 0.5 * math.log(2 * math.pi * math.e)
    first = 3 * each + 0.5 * np.linalg.slogdet(stationary())[1]
    return float(first + (window - 3) * (each + math.log(NOISE))) / window


def true_nats(test: Any) -> float:
    """Nats per step of held-out windows under the process itself."""
    x = np.asarray(test, "float64") - MEAN
    covariance, beginning = stationary(), x[:, 2::-1]
    squares = np.einsum("ni,ij,nj->n", beginning, np.linalg.inv(covariance), beginning)
    total = 0.5 * (squares + 3 * math.log(2 * math.pi) + np.linalg.slogdet(covariance)[1])
    means = sum(c * x[:, 2 - i : -1 - i] for i, c in enumerate(COEFFICIENTS))
    z = (x[:, 3:] - means) / NOISE
    total += (0.5 * z**2 + 0.5 * math.log(2 * math.pi) + math.log(NOISE)).sum(axis=1)
    return float(total.mean()) / x.shape[1]


if __name__ == "__main__":
    main()
