"""Flows on MNIST: bits per dimension within a budget of time.

`multiscale` is `MultiscaleRealNVP`; `nice` is NICE on flattened images, with uniform noise
(published: 4.36 bits/dim).
The last 5,000 training images are held out; the model that is best on them is tested, once.

    python -m benchmarks.quality.mnist_flow --data-dir DIR --minutes 60  # DIR as for tfds.load
    python -m benchmarks.quality.mnist_flow --model nice --data-dir DIR --minutes 10
    python -m benchmarks.quality.mnist_flow --tiny  # seconds, to see that it runs; no data needed
"""

import argparse
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import add_optimizer, parse, trial_parser
from benchmarks.common.trial import optimizer, train, write_result

HELD_OUT = 5000
#: Importance samples, and on how many test images, for the tighter estimate.
DRAWS, DRAWN_IMAGES = 32, 1000


def load(options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Training, validation and test images, uint8 `(n, 28, 28, 1)`."""
    if options.tiny:
        images = np.random.default_rng(0).integers(0, 256, (120, 8, 8, 1)).astype("uint8")
        return {"train": images[:80], "valid": images[80:100], "test": images[100:]}
    from kerasar.data import load_images

    mnist = load_images("mnist", options.data_dir)
    return {
        "train": mnist.train[:-HELD_OUT],
        "valid": mnist.train[-HELD_OUT:],
        "test": mnist.test,
    }


def build(options: argparse.Namespace, shape: tuple[int, ...]) -> Any:
    """The model, with settings for its size."""
    import kerasar

    if options.model == "nice":
        return kerasar.models.NICE(shape[0], hidden_units=(options.hidden,) * 5, levels=256)
    return kerasar.models.MultiscaleRealNVP(
        shape,
        filters=options.filters,
        blocks=options.blocks,
        dequantization=options.dequantization,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/mnist_flow", 60.0, batch_size=16, learning_rate=4e-3)
    parser.add_argument("--model", choices=["multiscale", "nice"], default="multiscale")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps MNIST")
    parser.add_argument(
        "--filters", type=int, nargs=3, default=[32, 32, 32], help="of each stage and the last"
    )
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument(
        "--dequantization", choices=["uniform", "variational"], default="variational"
    )
    add_optimizer(parser, average=0.999)
    parser.add_argument("--hidden", type=int, default=1000, help="width of NICE's networks")
    tiny = dict(minutes=0.01, batch_size=20, filters=[4, 4, 4], hidden=8)
    options = parse(parser, arguments, **tiny)

    keras.utils.set_random_seed(options.seed)
    data = load(options)
    if options.model == "nice":
        data = {part: images.reshape(len(images), -1) for part, images in data.items()}
    model = build(options, data["train"].shape[1:])
    model.compile(optimizer(options, global_clipnorm=100.0))
    chosen, training = train(model, options, data["train"], data["valid"])
    numbers = np.log(2) * np.prod(data["test"].shape[1:])
    result = {
        "model": "NICE" if options.model == "nice" else "MultiscaleRealNVP",
        "data": "random images" if options.tiny else "MNIST",
        **({"hidden": options.hidden} if options.model == "nice" else
           {"filters": options.filters, "blocks": options.blocks,
            "dequantization": options.dequantization}),
        "optimizer": options.optimizer,
        "average": options.average,
        "valid_bits_per_dim": round(-float(chosen.log_prob(data["valid"]).mean() / numbers), 4),
        **training,
    }  # fmt: skip
    if not options.no_test:
        nats = -chosen.log_prob(data["test"]).astype("float64")
        few = data["test"][:DRAWN_IMAGES]
        tighter = -chosen.log_prob(few, num_samples=DRAWS).astype("float64")
        result["test_bits_per_dim"] = round(float(nats.mean() / numbers), 4)
        result[f"test_bits_per_dim_first_{len(few)}"] = round(
            float(nats[: len(few)].mean() / numbers), 4
        )
        result[f"test_bits_per_dim_first_{len(few)}_{DRAWS}_draws"] = round(
            float(tighter.mean() / numbers), 4
        )
    write_result(options, result)


if __name__ == "__main__":
    main()
