"""PixelCNN and its relatives within a budget of time: nats and bits per dimension on test images.

    python -m benchmarks.quality.images gated --data-dir ../shared/data --data binarized_mnist
    python -m benchmarks.quality.images gated --data mnist --data-dir ../shared/data
    python -m benchmarks.quality.images gated --data cifar10 --data-dir ../shared/data
    python -m benchmarks.quality.images gated --minutes 3 --no-test -s "dilations=(2, 4, 8, 1)"
    python -m benchmarks.quality.images --tiny  # seconds, on random images, to see that it runs

The published validation images choose the epoch (for MNIST the last 5,000 of the training images,
for the CIFAR-10 subset the last 500); test images are looked at once.
"""

import argparse
import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, add_optimizer, parse, trial_parser
from benchmarks.common.trial import optimizer, train, write_result
from benchmarks.quality.nade_mnist import load as load_binarized

#: For each model its builder and a size that suits the budget.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gated": (
        "GatedPixelCNN",
        dict(
            filters=32,
            blocks=6,
            first_kernel_size=9,
            dilations=(1, 2, 4, 8),
            vertical_residuals=True,
            skip_filters=64,
            head_filters=64,
        ),
    ),
    "pixelcnn": ("PixelCNN", dict(filters=32, blocks=8, head_filters=64)),
    "row_lstm": ("PixelRNN", dict(cell="row_lstm", units=24, layers=4, head_filters=64)),
    "diagonal_bilstm": ("PixelRNN", dict(cell="diagonal_bilstm", units=16, layers=3)),
}
#: What else suits 256 levels, whose embedding makes a large first kernel dear.
GRAY = {"gated": dict(first_kernel_size=5)}
#: What else suits colours: channels in groups of three, more of them, and sight that costs less.
COLOR = {"gated": dict(filters=48, first_kernel_size=5, skip_filters=48, head_filters=48)}
#: And with `--tiny`.
TINY = {
    "GatedPixelCNN": dict(filters=4, blocks=2),
    "PixelCNN": dict(filters=4, blocks=2),
    "PixelRNN": dict(units=4, layers=2),
}
DATA = ("binarized_mnist", "mnist", "cifar10")
_PARTS = ("train", "valid", "test")


def load(name: str, folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Images of the three parts, `(n, height, width, channels)`, and their number of levels."""
    if name == "binarized_mnist":
        parts = load_binarized(folder)
        return {part: parts[part].reshape(-1, 28, 28, 1) for part in _PARTS}, 2
    from kerasar.data import load_images

    if name == "mnist":
        images, held_out = load_images("mnist", folder / "tensorflow_datasets"), 5000
    else:
        images, held_out = load_images(folder / "cifar10_subset" / "cifar10_5k_1k.npz"), 500
    split = {"train": images.train[:-held_out], "valid": images.train[-held_out:]}
    return {**split, "test": images.test}, images.levels


def noise() -> tuple[dict[str, np.ndarray], int]:
    """A few random images of 6×6 bits."""
    images = np.random.default_rng(0).integers(0, 2, (120, 6, 6, 1)).astype("uint8")
    return {"train": images[:80], "valid": images[80:100], "test": images[100:]}, 2


def build(
    options: argparse.Namespace, shape: tuple[int, ...], levels: int
) -> tuple[Any, dict[str, Any]]:
    """The model, and its size."""
    import kerasar
    from kerasar.distributions import Bernoulli

    builder, size = MODELS[options.model]
    if levels > 2:
        size = {**size, **(COLOR if shape[-1] > 1 else GRAY).get(options.model, {})}
    size = {**size, **(TINY[builder] if options.tiny else dict(options.set))}
    likelihood = Bernoulli() if levels == 2 else None
    return getattr(kerasar.models, builder)(shape, levels, likelihood=likelihood, **size), size


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/images", 60.0, batch_size=4, learning_rate=5e-3)
    parser.add_argument("model", nargs="?", choices=list(MODELS), default="gated")
    parser.add_argument("--data", choices=DATA, default=DATA[0])
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    add_optimizer(parser)
    parser.add_argument("--jit-compile", action="store_true", help="steps compiled by XLA")
    parser.add_argument(
        *("--set", "-s"),
        action="append",
        default=[],
        type=setting,
        metavar="NAME=VALUE",
        help="an argument of the builder, such as -s filters=40; once for each",
    )
    options = parse(parser, arguments, minutes=0.01, batch_size=20)

    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    images, levels = noise() if options.tiny else load(options.data, options.data_dir)
    model, size = build(options, images["train"].shape[1:], levels)
    # None: as chosen for the model.
    model.compile(optimizer(options), jit_compile=options.jit_compile or None)
    best, training = train(model, options, images["train"], images["valid"][:2000])
    result = {
        "model": MODELS[options.model][0],
        "data": "random bits" if options.tiny else options.data,
        **size,
        "optimizer": options.optimizer,
        "average": options.average,
        **judged("valid", best, images["valid"]),
        **training,
    }
    if not options.no_test:
        result |= judged("test", best, images["test"])
    write_result(options, result)


def setting(text: str) -> tuple[str, Any]:
    """A name and a value in Python."""
    name, _, value = text.partition("=")
    return name, ast.literal_eval(value)


def judged(part: str, model: Any, images: np.ndarray) -> dict[str, float]:
    """Mean nats of an image and bits per dimension, by name."""
    nats = -float(model.log_prob(images).mean(dtype="float64"))
    bits = nats / np.log(2) / images[0].size
    return {f"{part}_nats": round(nats, 4), f"{part}_bits_per_dim": round(float(bits), 4)}


if __name__ == "__main__":
    main()
