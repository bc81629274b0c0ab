"""NADE on statically binarized MNIST: nats an image on the published test images.

Trained on the 50,000 training images for a stretch of time; the epoch is chosen by the 10,000
validation images, and the test images are looked at once.

    python -m benchmarks.quality.nade_mnist --data-dir ../shared/data --out results/nade
    python -m benchmarks.quality.nade_mnist --tiny  # seconds, on random bits, to see that it runs
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, parse, trial_parser
from benchmarks.common.trial import train, write_result

FILE = Path("binarized_mnist", "binarized_mnist_packed.npz")


def load(data_dir: Path) -> dict[str, Any]:
    """The published split, uint8 `(images, 784)`."""
    with np.load(data_dir / FILE) as packed:
        parts = ("train", "valid", "test")
        return {part: np.unpackbits(packed[part], axis=1, count=784) for part in parts}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/nade", 60.0, batch_size=100, learning_rate=4e-3)
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--hidden", type=int, default=500)
    options = parse(parser, arguments, minutes=0.01, hidden=8)

    import kerasar

    keras.utils.set_random_seed(options.seed)
    if options.tiny:
        bits = np.random.default_rng(0).integers(0, 2, (300, 20)).astype("uint8")
        data = {"train": bits, "valid": bits[:50], "test": bits[50:100]}
    else:
        data = load(options.data_dir)

    model = kerasar.models.NADE(data["train"].shape[1], hidden_units=options.hidden)
    model.compile(keras.optimizers.Adam(options.learning_rate))
    best, training = train(model, options, data["train"], data["valid"])
    result = {
        "model": "NADE",
        "data": "random bits" if options.tiny else "binarized MNIST",
        "hidden": options.hidden,
        "valid_nats": round(float(-best.log_prob(data["valid"]).mean()), 4),
        **training,
    }
    if not options.no_test:
        result["test_nats"] = round(float(-best.log_prob(data["test"]).mean()), 4)
    write_result(options, result)


if __name__ == "__main__":
    main()
