"""What trainings for a stretch of time share: their options, the training, the file of results."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from benchmarks.common.report import machine
from benchmarks.common.time_budget import CPU, WALL, CosineInTime, KeepBest, clock


def trial_parser(
    doc: str | None, out: str, minutes: float, batch_size: int, learning_rate: float
) -> argparse.ArgumentParser:
    """The options that all such trainings have.

    Args:
        doc: of the script; its first line is the description.
        out: the folder of results, unless the user says otherwise.
        minutes, batch_size, learning_rate: of training, likewise.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of the results")
    parser.add_argument("--minutes", type=float, default=minutes, help="of training")
    parser.add_argument("--clock", choices=[WALL, CPU], default=WALL, help="what minutes count")
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--learning-rate", type=float, default=learning_rate, help="the highest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-test", action="store_true", help="for trials: leave the test alone")
    parser.add_argument("--tiny", action="store_true", help="made-up data, seconds, none needed")
    return parser


def train(model: Any, options: argparse.Namespace, x: Any, **fit: Any) -> tuple[Any, dict]:
    """Trains a compiled model until its time is up.

    Args:
        model: to be trained.
        options: from a `trial_parser`.
        x: data to learn from.
        **fit: further arguments of `model.fit`; `callbacks` come first.

    Returns:
        The model of the epoch that the validation data found best, and what the file of results
        says of the training.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    best = KeepBest(options.out / "best.keras")
    budget = CosineInTime(options.minutes, options.learning_rate, options.clock)
    callbacks = [*fit.pop("callbacks", ()), budget, best]
    wall, cpu = time.monotonic(), clock(CPU)
    model.fit(x, epochs=100_000, callbacks=callbacks, verbose=0, **fit)
    wall, cpu = (time.monotonic() - wall) / 60, clock(CPU) - cpu
    import kerasar

    return kerasar.load(best.path), {
        "parameters": model.count_params(),
        "precision": keras.config.dtype_policy().name,
        **{name: getattr(options, name) for name in ("seed", "batch_size", "learning_rate")},
        "minutes": options.minutes,
        "clock": options.clock,
        "steps": int(model.optimizer.iterations),
        "epochs": len(best.history),
        "chosen_epoch": best.best_epoch,
        "wall_minutes": round(wall, 2),
        "processor_minutes_per_core": round(cpu, 2),
        "machine": machine(),
        "history": best.history,
    }


def write_result(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Writes `result.json` and prints it without the history."""
    (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print({name: value for name, value in result.items() if name != "history"}, flush=True)
