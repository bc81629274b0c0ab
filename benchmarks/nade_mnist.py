"""NADE on statically binarised MNIST: nats an image on the published test images.

Trained on the 50,000 training images for a stretch of time; the epoch is chosen by the 10,000
validation images, and the test images are looked at once.

    python benchmarks/nade_mnist.py --data-dir ../shared/data --minutes 60 --out results/nade
    python benchmarks/nade_mnist.py --tiny           # seconds, on random bits, to see that it runs
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np

from benchmarks.report import machine
from benchmarks.time_budget import CPU, WALL, CosineInTime, KeepBest, clock

FILE = Path("binarized_mnist", "binarized_mnist_packed.npz")


def load(data_dir: Path) -> dict[str, Any]:
    """The published split, uint8 `(images, 784)`."""
    with np.load(data_dir / FILE) as packed:
        parts = ("train", "valid", "test")
        return {part: np.unpackbits(packed[part], axis=1, count=784) for part in parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("results/nade"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clock", choices=[WALL, CPU], default=WALL, help="what minutes count")
    parser.add_argument("--hidden", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-test", action="store_true", help="for trials: leave the test alone")
    parser.add_argument("--tiny", action="store_true", help="random bits, seconds, no data needed")
    options = parser.parse_args()

    import kerasar

    keras.utils.set_random_seed(options.seed)
    if options.tiny:
        options.minutes, options.hidden = 0.01, 8
        bits = np.random.default_rng(0).integers(0, 2, (300, 20)).astype("uint8")
        data = {"train": bits, "valid": bits[:50], "test": bits[50:100]}
    else:
        data = load(options.data_dir)

    options.out.mkdir(parents=True, exist_ok=True)
    model = kerasar.models.NADE(data["train"].shape[1], options.hidden)
    model.compile(keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay))
    best = KeepBest(options.out / "best.keras")
    budget = CosineInTime(options.minutes, options.learning_rate, options.clock)
    wall, cpu = time.monotonic(), clock(CPU)
    model.fit(
        data["train"],
        validation_data=data["valid"],
        batch_size=options.batch_size,
        epochs=100_000,
        callbacks=[budget, best],
        verbose=0,
    )
    wall, cpu = (time.monotonic() - wall) / 60, clock(CPU) - cpu
    chosen = kerasar.load(best.path)
    result = {
        "model": "NADE",
        "data": "random bits" if options.tiny else "binarised MNIST",
        "hidden": options.hidden,
        "parameters": model.count_params(),
        "seed": options.seed,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "epochs": len(best.history),
        "chosen_epoch": best.best_epoch,
        "wall_minutes": round(wall, 2),
        "processor_minutes_per_core": round(cpu, 2),
        "valid_nats": round(float(-chosen.log_prob(data["valid"]).mean()), 4),
        "machine": machine(),
        "history": best.history,
    }
    if not options.no_test:
        result["test_nats"] = round(float(-chosen.log_prob(data["test"]).mean()), 4)
    (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print({name: value for name, value in result.items() if name != "history"})


if __name__ == "__main__":
    main()
