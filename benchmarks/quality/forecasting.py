"""Forecasts of series that people have, by the command's defaults: scores beside other methods.

Each series is trained on and judged by `kerasar train forecaster --data FILE`, which holds out its
last tenth and forecasts it from up to 20 places; nothing is tuned. The seasonal naive forecast is
judged at the same places, and with `--peers` AutoETS and AutoARIMA of statsforecast, which are
fitted anew at each of them.

    python3 -m venv /tmp/forecasters && /tmp/forecasters/bin/pip install statsforecast
    python -m benchmarks.quality.forecasting --peers /tmp/forecasters/bin/python
    python -m benchmarks.quality.forecasting --tiny --out /tmp/tiny  # one short series
"""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import DATA_DIR, make_parser, parse
from benchmarks.common.report import machine, write_report

#: File and column of each series; and where a file has several series one below the other, the
#: column that names them and a name.
SERIES: dict[str, tuple[str, str, str, str]] = {
    "airline": ("airline_passengers.csv", "thousands", "", ""),
    "weather": ("seattle_weather.csv", "temp_max", "", ""),
    "employment": ("us_employment_wide.csv", "nonfarm", "", ""),
    "seatbelts": ("seatbelts.csv", "KSI", "", ""),
    "prescriptions": ("prescriptions.csv", "Scripts", "", ""),
    **{
        f"shares of {name}": ("stocks_long.csv", "price", "symbol", name)
        for name in ("MSFT", "AMZN", "IBM", "AAPL", "GOOG")
    },
    "temperature": ("seattle_temperature.csv", "temp", "", ""),
    "electricity": ("electricity_demand.csv", "megawatts", "", ""),
}
METHODS = ("kerasar", "seasonal naive", "AutoETS", "AutoARIMA")
#: The last steps that peers are fitted to: they take hours for more.
PEERS_SEE = 500


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR / "series")
    parser.add_argument("--peers", type=Path, help="Python with statsforecast")
    parser.add_argument("--only", nargs="*", choices=list(SERIES), help="some of the series")
    parser.add_argument("--epochs", type=int, help="of training; default: the command's")
    options = parse(parser, arguments, only=["airline"], epochs=1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in options.only or SERIES:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = judge(name, Path(folder), options)
        print(name, json.dumps(results[name]["scores"]), file=sys.stderr, flush=True)
        (options.out / "forecasting.json").write_text(
            json.dumps({"machine": machine(), "series": results}, indent=2) + "\n"
        )
    header = ["series", "steps", "horizon", "forecasts"]
    header += [f"{part} {method}" for part in ("CRPS", "in 90 %") for method in METHODS]
    rows = [
        [name, str(found["steps"]), str(found["horizon"]), str(len(found["origins"]))]
        + [shown(found["scores"].get(method, {}).get("crps"), ".4g") for method in METHODS]
        + [shown(found["scores"].get(method, {}).get("coverage_90"), ".0%") for method in METHODS]
        for name, found in results.items()
    ]
    write_report("forecasting", header, rows, options.out)


def shown(value: float | None, how: str) -> str:
    return "" if value is None else format(value, how)


def judge(name: str, folder: Path, options: Any) -> dict[str, Any]:
    """The scores of all methods on one series."""
    values = read(options.data_dir, *SERIES[name])
    file = folder / "series.csv"
    file.write_text("value\n" + "".join(f"{value!r}\n" for value in values))
    run = folder / "run"
    command = [sys.executable, "-m", "kerasar", "train", "forecaster", "--data", file]
    command += ["--out", run, *([] if options.epochs is None else ["--epochs", options.epochs])]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    found = json.loads((run / "backtest.json").read_text())
    config = json.loads((run / "config.json").read_text())
    scores = {"kerasar": found, "seasonal naive": found["seasonal_naive"]}
    kept = {
        method: {key: each[key] for key in ("crps", "coverage_50", "coverage_90")}
        for method, each in scores.items()
    }
    task = {
        "values": values,
        "origins": found["origins"],
        "steps": found["steps"],
        "season": config.get("season") or 1,
        "last": PEERS_SEE,
    }
    if options.peers is not None:
        peer = Path(__file__).parents[1] / "peers" / "forecasting.py"
        answer = subprocess.run(
            [str(options.peers), str(peer)],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            check=True,
        )
        kept |= json.loads(answer.stdout.splitlines()[-1])
    return {
        "steps": len(values),
        "horizon": found["steps"],
        "season": config.get("season"),
        "origins": found["origins"],
        "best_epoch": config["training"]["best_epoch"],
        "seconds_of_training": config["training"]["seconds"],
        "scores": kept,
    }


def read(folder: Path, file: str, column: str, key: str, name: str) -> list[float]:
    """The values of one series of a file."""
    with open(folder / file, encoding="utf-8-sig", newline="") as table:
        rows = [row for row in csv.DictReader(table) if not key or row[key] == name]
    return np.array([row[column] for row in rows], "float64").tolist()


if __name__ == "__main__":
    main()
