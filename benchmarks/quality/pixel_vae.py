"""PixelVAE on binarized MNIST: do reconstructions keep the class, and are the bounds in order?

Trained for a stretch of time on 55,000 images (white where a pixel is above 127); the other 5,000
choose the epoch, and with --no-test stand for the test images. A small classifier, trained on the
same images, reads 1,000 test images and their reconstructions. Draws some of them as a picture.

    python -m benchmarks.quality.pixel_vae --data-dir ../shared/data
    python -m benchmarks.quality.pixel_vae --tiny  # seconds, to see that it runs; no data needed
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, parse, trial_parser
from benchmarks.common.trial import train, write_result

HELD_OUT = 5000
#: How many test images are reconstructed, and how many bounds are compared on.
RECONSTRUCTED, BOUNDED = 1000, 500


def load(folder: Path) -> dict[str, np.ndarray]:
    """Images of zeros and ones, `(n, 28, 28, 1)`, and their labels."""
    from kerasar.data import load_images

    mnist = load_images("mnist", folder / "tensorflow_datasets")
    train_labels, test_labels = np.asarray(mnist.train_labels), np.asarray(mnist.test_labels)
    return {
        "x_train": mnist.train // 128,
        "y_train": train_labels,
        "x_test": mnist.test // 128,
        "y_test": test_labels,
    }


def noise() -> dict[str, np.ndarray]:
    """Two patterns, each of a class, with a little noise."""
    rng = np.random.default_rng(0)
    patterns, labels = rng.integers(0, 2, (2, 8, 8, 1)), rng.integers(0, 2, 300)
    x = (patterns[labels] ^ (rng.random((300, 8, 8, 1)) < 0.02)).astype("uint8")
    return {"x_train": x[:200], "y_train": labels[:200], "x_test": x[200:], "y_test": labels[200:]}


def classifier(x: np.ndarray, y: np.ndarray) -> Any:
    """A small convolutional network that reads digits."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input(x.shape[1:]),
            layers.Conv2D(16, 5, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 5, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss)
    network.fit(x.astype("float32"), y, batch_size=100, epochs=max(2, 2000 // len(x)), verbose=0)
    return network


def share(network: Any, x: np.ndarray, y: np.ndarray) -> float:
    """How many of the images the classifier reads as their labels say."""
    read = network.predict(x.astype("float32"), verbose=0).argmax(axis=1)
    return round(float((read == y).mean()), 4)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/pixel_vae", 30.0, batch_size=16, learning_rate=3e-3)
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--latent", type=int, default=32, help="size of the latent vector")
    parser.add_argument("--filters", type=int, default=24)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=1500, help="steps")
    tiny = dict(minutes=0.02, filters=4, blocks=1, latent=2, warm_up=20, batch_size=20)
    options = parse(parser, arguments, **tiny)

    import kerasar
    from kerasar.distributions import Bernoulli
    from kerasar.pictures import image_grid, save

    keras.utils.set_random_seed(options.seed)
    data = noise() if options.tiny else load(options.data_dir)
    held_out = 20 if options.tiny else HELD_OUT
    x, y = data["x_train"][:-held_out], data["y_train"][:-held_out]
    x_valid, y_valid = data["x_train"][-held_out:], data["y_train"][-held_out:]
    part = "valid" if options.no_test else "test"
    x_test, y_test = (x_valid, y_valid) if options.no_test else (data["x_test"], data["y_test"])
    model = kerasar.models.PixelVAE(
        x.shape[1:],
        levels=2,
        latent_shape=(options.latent,),
        filters=options.filters,
        blocks=options.blocks,
        warm_up=options.warm_up,
        likelihood=Bernoulli(),
    )
    model.compile(keras.optimizers.Adam(options.learning_rate))
    best, training = train(model, options, x, x_valid[:2000])
    reads = classifier(x, y)
    few, labels = x_test[:RECONSTRUCTED], y_test[:RECONSTRUCTED]
    drawn = best.reconstruct(few)
    judged = best.evaluate(few, verbose=0, return_dict=True)
    bounded = x_test[:BOUNDED]
    result = {
        "model": "PixelVAE",
        "data": "patterns" if options.tiny else "MNIST, white above 127",
        **{name: getattr(options, name) for name in ("latent", "filters", "blocks", "warm_up")},
        f"classifier_on_{part}": share(reads, x_test, y_test),
        "classifier_on_reconstructions": share(reads, drawn, labels),
        f"{part}_kl": round(judged["kl"], 3),
        f"{part}_elbo": round(float(best.elbo(bounded).mean()), 3),
        f"{part}_log_prob_64": round(float(best.log_prob(bounded, num_samples=64).mean()), 3),
        "receptive_field": len(kerasar.receptive_field(best.decoder.network).offsets),
        **training,
    }
    rows = np.concatenate([few[:10], drawn[:10], best.reconstruct(few[:10], seed=1)])
    titles = [name for name in (part, "drawn", "again") for _ in few[:10]]
    heading = f"PixelVAE: {len(titles) // 3} {part} images, each drawn again twice from its latent"
    save(image_grid(rows, 2, titles, 10, heading), options.out / "reconstructions.png")
    save(image_grid(best.sample(40, seed=0), 2, columns=10), options.out / "samples.png")
    write_result(options, result)


if __name__ == "__main__":
    main()
