"""How many samples of a run look like something: judged by a classifier of the real images.

The classifier, a small convolutional network, is trained on the labelled training images; the share
of images to which it gives a class with a probability above 0.9 is reported for samples of the run,
for real test images, and for noise. Data are read as `kerasar train` reads them.

    python -m benchmarks.quality.recognizable runs/gated-pixelcnn-mnist --data mnist
    python -m benchmarks.quality.recognizable --tiny  # seconds, on the digits, to see that it runs
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, make_parser, parse
from benchmarks.common.report import machine
from benchmarks.common.trial import write_result

_SURE = 0.9


def classifier(shape: Sequence[int], levels: int, num_classes: int) -> keras.Model:
    """A small convolutional network, compiled."""
    L = keras.layers
    layers = [
        L.Rescaling(1 / (levels - 1)),
        L.Conv2D(32, 3, padding="same", activation="relu"),
        L.MaxPooling2D(2),
        L.Conv2D(64, 3, padding="same", activation="relu"),
        L.MaxPooling2D(2),
        L.Flatten(),
        L.Dropout(0.3),
        L.Dense(128, activation="relu"),
        L.Dense(num_classes, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input(tuple(shape)), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def sure(model: keras.Model, images: np.ndarray) -> float:
    """The share of images with a class of a probability above 0.9."""
    return round(float((model.predict(images, verbose=0).max(axis=1) > _SURE).mean()), 4)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "results/recognizable")
    parser.add_argument("run", nargs="?", help="a run folder or a .keras file")
    parser.add_argument("--data", default="mnist", help="of which the samples should be")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR / "tensorflow_datasets")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=2, help="of the classifier")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, data="digits", samples=4, epochs=1)
    options.out.mkdir(parents=True, exist_ok=True)

    import kerasar

    keras.utils.set_random_seed(options.seed)
    images = kerasar.data.load_images(options.data, data_dir=options.data_dir)
    judge = classifier(images.train.shape[1:], images.levels, int(images.train_labels.max()) + 1)
    judge.fit(images.train, images.train_labels, batch_size=64, epochs=options.epochs, verbose=0)
    noise = np.random.default_rng(options.seed).integers(
        images.levels, size=(200, *images.train.shape[1:])
    )
    result: dict[str, Any] = {
        "data": options.data,
        "classifier": round(
            float(judge.evaluate(images.test, images.test_labels, verbose=0)[1]), 4
        ),
        "sure_of_real": sure(judge, images.test),
        "sure_of_noise": sure(judge, noise),
        "seed": options.seed,
        "machine": machine(),
    }
    if options.run is not None:
        model = kerasar.load(options.run)
        samples = model.sample(options.samples, seed=options.seed)
        result |= {"run": options.run, "samples": options.samples, "sure": sure(judge, samples)}
    write_result(options, result)


if __name__ == "__main__":
    main()
