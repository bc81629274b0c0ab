"""How well likelihood, its corrections and the detector tell anomalies: AUROC and false alarms.

Small models are trained for a few minutes each. What a model was not trained on is good; the same
images inverted, moved and so on, and images of other sets, are not. AUROC is the share of pairs of
an anomaly and a good example in which the anomaly scores higher. False alarms are those among
fresh good examples, on average over 200 ways to divide the good ones in halves.

    python -m benchmarks.quality.anomalies
    python -m benchmarks.quality.anomalies --tiny  # seconds, to see that it runs
"""

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, make_parser, parse
from benchmarks.common.report import write_report
from benchmarks.quality.images import load as load_images

#: Rates of false alarms that are asked for, and divisions in halves that they are averaged over.
RATES, DIVISIONS = (0.01, 0.05, 0.10), 200
_SCORES = ("surprise", "typicality", "complexity-corrected", "detector")

#: Statistics of examples by group and name.
Groups = dict[str, dict[str, np.ndarray]]


def main(arguments: Sequence[str] | None = None) -> None:
    import kerasar

    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training each model")
    parser.add_argument("--models", type=Path, help="folder that keeps the models")
    parser.add_argument("--good", type=int, default=5500, help="good examples at most")
    parser.add_argument("--images", type=int, default=500, help="anomalies of each kind")
    options = parse(parser, arguments, minutes=0.02, images=60)
    found, alarms, began = [], [], time.monotonic()
    for name in ("digits",) if options.tiny else SETS:
        keras.utils.set_random_seed(0)
        train, good, levels = SETS[name](options.data_dir)
        model = trained(name, train, levels, options)
        good = good[np.random.default_rng(0).permutation(len(good))[: options.good]]
        groups = kerasar.AnomalyDetector(model).statistics(good)
        if good.ndim == 4:
            found += judged(name, model, good, groups, levels, options)
        alarms += false_alarms(name, groups)
        header = ["model of", "anomalies", *_SCORES]
        write_report("anomalies", header, found, options.out)
        header = ["good examples", "in each half", *(f"asked for {rate:g}" for rate in RATES)]
        write_report("false_alarms", header, alarms, options.out)
        print(f"{time.monotonic() - began:.0f} s", flush=True)


# Data: what a model is trained on, good examples that it is not, and the number of levels.

Data = tuple[np.ndarray, np.ndarray, int]


def digits(folder: Path) -> Data:
    import kerasar

    (x, _), (test, _) = kerasar.data.load_digits()
    return x[:-300], np.concatenate([x[-300:], test]), 17


def images_of(name: str, folder: Path, change: Callable[..., Any] | None = None) -> Data:
    parts, levels = load_images(name, folder)
    train, good = parts["train"], np.concatenate([parts["valid"], parts["test"]])
    return (train, good, levels) if change is None else (change(train), change(good), levels)


def gray(images: np.ndarray) -> np.ndarray:
    """The middle of CIFAR's images, 28×28, in gray."""
    mixed = images[:, 2:30, 2:30] @ np.array([0.299, 0.587, 0.114])
    return mixed.round().astype("uint8")[..., None]


def text(folder: Path) -> Data:
    import kerasar

    data = kerasar.data.load_text(folder / "text" / "tiny_shakespeare.txt")
    pieces = kerasar.data.windows(np.concatenate([data.train, data.test]), length=64, stride=64)
    pieces = np.asarray(pieces)
    half = len(pieces) // 2
    return pieces[:half], pieces[half:], data.levels


def thicker(images: np.ndarray) -> np.ndarray:
    """Each pixel as bright as the brightest of the nine around it."""
    around = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = images.shape[1:3]
    shifts = (around[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return functools.reduce(np.maximum, shifts)


def inverted(images: np.ndarray) -> np.ndarray:
    return 255 - images


SETS: dict[str, Callable[[Path], Data]] = {
    "digits": digits,
    "MNIST": lambda folder: images_of("mnist", folder),
    "MNIST, thicker": lambda folder: images_of("mnist", folder, thicker),
    "MNIST, inverted": lambda folder: images_of("mnist", folder, inverted),
    "binarized MNIST": lambda folder: images_of("binarized_mnist", folder),
    "gray CIFAR-10": lambda folder: images_of("cifar10", folder, gray),
    "Shakespeare, 64 letters": text,
}


# Models.


def build(name: str, shape: tuple[int, ...], levels: int) -> tuple[Any, int]:
    """A small model, and the size of its batches."""
    import kerasar

    if len(shape) == 1:
        options = dict(filters=96, dilations=(1, 2, 4, 8, 16), input_encoding="embedding")
        return kerasar.models.CausalConvNet(shape[0], levels, **options), 32
    if name == "digits":
        return kerasar.models.ShiftedPixelCNN(shape, levels), 32
    small = dict(filters=24, blocks=5, kernel_size=5, first_kernel_size=5, head_filters=48)
    return kerasar.models.PixelCNN(shape, levels, **small), 8


def trained(name: str, x: np.ndarray, levels: int, options: argparse.Namespace) -> Any:
    """A model after some minutes of training, the last fifth at a lower rate; kept, if asked."""
    import kerasar

    kept = options.models and options.models / f"{name.replace(' ', '_')}.keras"
    if kept and kept.exists():
        return kerasar.load(kept)
    model, batch_size = build(name, x.shape[1:], levels)
    model.compile(keras.optimizers.Adam(2e-3))
    end, rng = time.monotonic() + 60 * options.minutes, np.random.default_rng(0)
    most = 40 * len(x)  # few examples are soon learned by heart
    while time.monotonic() < end and most > 0:
        if end - time.monotonic() < 12 * options.minutes:
            model.optimizer.learning_rate = 5e-4
        rows = rng.choice(len(x), min(len(x), 4000), replace=False)
        most -= len(rows)
        model.fit(x[rows], batch_size=batch_size, verbose=0)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        model.save(kept)
    return model


# Anomalies.


def anomalies(name: str, good: np.ndarray, levels: int, folder: Path) -> dict[str, np.ndarray]:
    """Images that are unlike good ones, by kind."""
    rng = np.random.default_rng(0)
    wide = good.astype(int)
    found = {
        "inverted": levels - 1 - wide,
        "blank": np.zeros_like(wide[:50]),
        "noise": rng.integers(levels, size=good.shape),
        "2 pixels down": moved(wide, 2, 0),
        "2 pixels up": moved(wide, -2, 0),
        "2 pixels right": moved(wide, 0, 2),
        "2 pixels left": moved(wide, 0, -2),
        "upside down": wide[:, ::-1],
        "turned by 180°": wide[:, ::-1, ::-1],
        "6×6 block of another": with_block(wide, rng),
        "thicker": thicker(wide),
    }
    others = {"MNIST", "gray CIFAR-10"} - {name} if good.shape[1] == 28 and levels == 256 else ()
    for other in sorted(others):
        found[other] = SETS[other](folder)[1][: len(good)]
    return found


def moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Moved images; zeros come in."""
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return wide[:, 2 - down : 2 - down + height, 2 - right : 2 - right + width]


def with_block(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each with a block of another image, from anywhere in it, anywhere."""
    found, others = images.copy(), images[rng.permutation(len(images))]
    high, wide = images.shape[1] - 5, images.shape[2] - 5
    for image, other in zip(found, others, strict=True):
        (i, k), (j, m) = rng.integers(high, size=2), rng.integers(wide, size=2)
        image[i : i + 6, j : j + 6] = other[k : k + 6, m : m + 6]
    return found


def judged(
    name: str,
    model: Any,
    good: np.ndarray,
    groups: Groups,
    levels: int,
    options: argparse.Namespace,
) -> list[list[str]]:
    """Rows of AUROCs: half of the good images fit the detector, the others are judged."""
    import kerasar
    from kerasar.scores.rarity import Rarity

    half = len(good) // 2
    rarity = Rarity.fit(rows_of(groups, slice(half)), seed=0)
    mean = groups["typicality"]["surprise"][:half].mean()

    def scores(groups: Groups) -> list[np.ndarray]:
        surprise = groups["typicality"]["surprise"]
        corrected = surprise - groups["typicality"]["complexity"]
        return [surprise, np.abs(surprise - mean), corrected, rarity.scores(groups).numpy()]

    usual, rows = scores(rows_of(groups, slice(half, None))), []
    detector = kerasar.AnomalyDetector(model)
    changed = anomalies(name, good[half:][: options.images], levels, options.data_dir)
    for kind, x in changed.items():
        pairs = zip(scores(detector.statistics(x)), usual, strict=True)
        rows.append([name, kind, *(f"{auroc(*pair):.3f}" for pair in pairs)])
    return rows


def rows_of(groups: Groups, rows: Any) -> Groups:
    """The statistics of some of the examples."""
    return {g: {n: values[rows] for n, values in group.items()} for g, group in groups.items()}


def auroc(strange: np.ndarray, usual: np.ndarray) -> float:
    """The share of pairs in which the strange example scores higher; equal ones count half."""
    order = np.sort(usual)
    below = np.searchsorted(order, strange), np.searchsorted(order, strange, side="right")
    return float(np.mean(below) / len(usual))


def false_alarms(name: str, groups: Groups) -> list[list[str]]:
    """A row of rates, each with the range of nine in ten divisions."""
    from kerasar.scores.rarity import Rarity

    count = len(groups["typicality"]["surprise"])
    half, rates = count // 2, []
    for seed in range(DIVISIONS):
        order = np.random.default_rng(seed).permutation(count)
        fit, fresh = rows_of(groups, order[:half]), rows_of(groups, order[half:])
        rarity = Rarity.fit(fit, seed)
        scores = rarity.scores(fresh).numpy()
        rates.append([np.mean(scores > rarity.calibration.threshold(rate)) for rate in RATES])
    cells = []
    for column in np.array(rates).T:
        low, high = np.quantile(column, [0.05, 0.95])
        cells.append(f"{column.mean():.4f} ({low:.3f} to {high:.3f})")
    return [[name, f"{half:,}", *cells]]


if __name__ == "__main__":
    main()
