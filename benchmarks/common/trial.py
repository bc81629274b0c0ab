"""What trainings for a stretch of time share: the training and the file of results."""

import argparse
import json
import time
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import CPU
from benchmarks.common.report import machine
from benchmarks.common.time_budget import KeepBest, clock, time_budget


def optimizer(options: argparse.Namespace, **settings: Any) -> Any:
    """The one that `--optimizer` names, with other settings of its own."""
    from kerasar.training import Muon

    if options.average is not None:
        settings |= {"use_ema": True, "ema_momentum": options.average}
    kind = Muon if options.optimizer == "muon" else keras.optimizers.Adam
    return kind(options.learning_rate, **settings)


def train(
    model: Any, options: argparse.Namespace, x: Any, validation_data: Any, **fit: Any
) -> tuple[Any, dict]:
    """Trains a compiled model until its time is up.

    Args:
        model: to be trained.
        options: from a `trial_parser`.
        x: training data; arrays are trained on in batches of `options.batch_size`.
        validation_data: what the best epoch is chosen by.
        **fit: further arguments of `model.fit`.

    Returns:
        The model of the epoch that the validation data found best, and what the file of results
        says of the training.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    best = KeepBest(options.out / "best.keras")
    budget = time_budget(options.minutes, options.learning_rate, options.clock)
    if isinstance(x, np.ndarray):
        fit.setdefault("batch_size", options.batch_size)
    wall, cpu = time.monotonic(), clock(CPU)
    model.fit(
        x,
        validation_data=validation_data,
        epochs=100_000,
        callbacks=[budget, best],
        verbose=0,
        **fit,
    )
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
