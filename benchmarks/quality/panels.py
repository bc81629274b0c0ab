"""One model of 500 short series beside 500 models of one each, on series whose law is known.

Series i is its size times a level, a season of 12 steps and an autoregression,

    x_t = size_i (level_i + 2 sin(2π (t + phase_i) / 12) + a_t),   a_t = 0.7 a_{t-1} + e_t,

with normal e_t, sizes from 1 to 10,000 and 30 to 60 steps. The command trains one forecaster on all
of them, holds out the last tenth of each and forecasts it; AutoETS of statsforecast (`--peers`) is
fitted to each series. The law itself knows all parameters and all a_t. CRPS is in sizes.

    python3 -m venv /tmp/forecasters && /tmp/forecasters/bin/pip install statsforecast
    python -m benchmarks.quality.panels --peers /tmp/forecasters/bin/python
    python -m benchmarks.quality.panels --tiny --out /tmp/tiny  # 12 series
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

FADE, SEASON, WIDE = 0.7, 12, 1.6448536269514722


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--peers", type=Path, help="Python with statsforecast")
    parser.add_argument("--epochs", type=int, help="of training; default: the command's")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, series=12, epochs=1)
    options.out.mkdir(parents=True, exist_ok=True)
    panel = [draw(np.random.default_rng([options.seed, i])) for i in range(options.series)]
    with tempfile.TemporaryDirectory() as folder:
        ours, naive, seconds = train_and_judge(panel, Path(folder), options.epochs)
    scores = {"law": [law(each) for each in panel], "kerasar": ours, "seasonal naive": naive}
    if options.peers is not None:
        scores["AutoETS, one each"] = peers(panel, options.peers)
    sizes = np.array([each["size"] for each in panel])
    rows, found = [], {}
    for method, parts in scores.items():
        each = np.array([part["crps"] for part in parts]) / sizes
        held = [part["coverage_90"] for part in parts if "coverage_90" in part]
        error = each.std(ddof=1) / math.sqrt(len(each))
        found[method] = {"crps": float(each.mean()), "standard_error": float(error)}
        covered = f"{np.mean(held):.1%}" if held else ""
        rows.append([method, f"{each.mean():.4f}", f"{error:.4f}", covered])
    (options.out / "panels.json").write_text(
        json.dumps({"machine": machine(), "seconds": seconds, "scores": found}, indent=2) + "\n"
    )
    write_report("panels", ["method", "CRPS in sizes", "its error", "in 90 %"], rows, options.out)


def draw(rng: np.random.Generator) -> dict[str, Any]:
    """A series, its parameters, and how many of its last steps are held out."""
    steps = int(rng.integers(30, 61))
    size, level, phase = 10 ** rng.uniform(0, 4), rng.uniform(5, 15), int(rng.integers(SEASON))
    rest = np.zeros(steps)
    rest[0] = rng.normal() / math.sqrt(1 - FADE**2)
    for t in range(1, steps):
        rest[t] = FADE * rest[t - 1] + rng.normal()
    shape = level + 2 * np.sin(2 * np.pi * (np.arange(steps) + phase) / SEASON)
    held_out = max(1, round(0.1 * steps))
    return {
        "values": size * (shape + rest),
        "shape": size * shape,
        "rest": size * rest,
        "size": size,
        "held_out": held_out,
    }


def law(each: dict[str, Any]) -> dict[str, float]:
    """CRPS of the law's own forecasts, by the formula for normal distributions."""
    ahead = np.arange(1, each["held_out"] + 1)
    last = each["rest"][-each["held_out"] - 1]
    center = each["shape"][-each["held_out"] :] + FADE**ahead * last
    deviation = each["size"] * np.sqrt((1 - FADE ** (2 * ahead)) / (1 - FADE**2))
    z = (each["values"][-each["held_out"] :] - center) / deviation
    below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z])
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    score = deviation * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return {"crps": float(score.mean()), "coverage_90": float(np.mean(np.abs(z) <= WIDE))}


def train_and_judge(
    panel: Sequence[dict[str, Any]], folder: Path, epochs: int | None
) -> tuple[list[Any], list[Any], float]:
    """The command's scores of each series, those of the seasonal naive forecast, and seconds."""
    file, run = folder / "panel.csv", folder / "run"
    lines = ["unique_id,ds,y"]
    for i, each in enumerate(panel):
        months = np.datetime64("2020-01") - len(each["values"]) + np.arange(len(each["values"]))
        lines += [f"{i},{m},{v:.8g}" for m, v in zip(months, each["values"], strict=True)]
    file.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "kerasar", "train", "forecaster", "--data", file]
    command += ["--out", run, *([] if epochs is None else ["--epochs", epochs])]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    found = json.loads((run / "backtest.json").read_text())["by_series"]
    config = json.loads((run / "config.json").read_text())
    each = [found[str(i)] for i in range(len(panel))]
    naive = [{"crps": part["seasonal_naive"]} for part in each]
    return each, naive, float(config["training"]["seconds"])


def peers(panel: Sequence[dict[str, Any]], python: Path) -> list[Any]:
    """CRPS of AutoETS, fitted to each series."""
    pairs = [
        (each["values"][: -each["held_out"]].tolist(), each["values"][-each["held_out"] :].tolist())
        for each in panel
    ]
    answer = subprocess.run(
        [str(python), str(Path(__file__).parents[1] / "peers" / "forecasting.py")],
        input=json.dumps({"panel": pairs, "season": SEASON}),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(answer.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
