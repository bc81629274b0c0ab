"""A class-conditional WaveNet on the spoken digits: bits per sample on the held-out takes 0 to 4.

8-bit µ-law at 8 kHz. Trained on random pieces of the takes 10 to 49 for a stretch of time; takes 5
to 9 choose the epoch; takes 0 to 4, the published test set, are looked at once. A histogram gives
7.18 bits per sample, a table of pairs 5.45.

    python -m benchmarks.quality.spoken_digits --data-dir ../shared/data --out results/speech
    python -m benchmarks.quality.spoken_digits --tiny  # seconds, on noise, to see that it runs
"""

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, parse, trial_parser
from benchmarks.common.trial import train, write_result
from benchmarks.data.spoken_digits_folder import FILE, unpack


def load(data_dir: Path) -> Any:
    """The 3,000 recordings as µ-law codes, labelled by digit, whole."""
    import kerasar

    with tempfile.TemporaryDirectory() as folder:
        unpack(data_dir / FILE, Path(folder))
        return kerasar.data.load_audio(folder, labels="name", trim_db=None)


def noise() -> Any:
    """Recordings of nothing, a take of each number, for `--tiny`."""
    import kerasar

    rng = np.random.default_rng(0)
    length = rng.integers(200, 300, 40).astype("int32")
    x = rng.integers(256, size=(40, 300)).astype("uint8")
    names = tuple(f"{i % 2}_nobody_{i}.wav" for i in range(40))
    labels = np.arange(40, dtype="int32") % 2
    return kerasar.data.AudioData("noise", x, length, 8000, 256, labels, ("0", "1"), names)


def split(data: Any) -> dict[str, Any]:
    """Takes 10 and up to learn from, 5 to 9 to choose by, 0 to 4 to judge by."""
    takes = np.array([int(Path(name).stem.split("_")[-1]) for name in data.names])
    return {
        "train": data.part(takes >= 10),
        "valid": data.part((takes >= 5) & (takes < 10)),
        "test": data.part(takes < 5),
    }


def pieces(data: Any, size: int, batch: int, seed: int) -> Iterator[dict[str, Any]]:
    """Batches of pieces of recordings, without end. What is shorter than a piece comes whole."""
    rng = np.random.default_rng(seed)
    # Each sample of the data should be drawn equally often.
    weights = np.maximum(data.length, size) / np.maximum(data.length, size).sum()
    while True:
        rows = rng.choice(len(data), batch, p=weights)
        starts = rng.integers(0, np.maximum(data.length[rows] - size, 0) + 1)
        columns = np.minimum(starts[:, None] + np.arange(size), data.x.shape[1] - 1)
        yield {
            "x": data.x[rows[:, None], columns].astype("int32"),
            "length": np.minimum(data.length[rows], size).astype("int32"),
            "condition": data.labels[rows],
        }


def dataset(data: Any, size: int, batch: int, seed: int) -> Any:
    """The same for `fit`."""
    import tensorflow as tf

    signature = {
        "x": tf.TensorSpec((batch, size), tf.int32),
        "length": tf.TensorSpec((batch,), tf.int32),
        "condition": tf.TensorSpec((batch,), tf.int32),
    }
    made = tf.data.Dataset.from_generator(
        lambda: pieces(data, size, batch, seed), output_signature=signature
    )
    return made.prefetch(8)


def bits_per_sample(model: Any, data: Any) -> float:
    """Over all samples of whole recordings, each from its beginning."""
    order = np.argsort(data.length)
    nats = 0.0
    for rows in np.array_split(order, max(len(order) // 10, 1)):
        nats -= float(model.log_prob(data.part(rows).batch(), batch_size=10).sum(dtype="float64"))
    return nats / float(data.length.sum()) / math.log(2)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/speech", 45.0, batch_size=2, learning_rate=2e-3)
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--filters", type=int, default=48)
    parser.add_argument("--skip-filters", type=int, default=128)
    parser.add_argument("--cycles", type=int, default=2)
    parser.add_argument("--cycle-length", type=int, default=9)
    parser.add_argument("--inputs", default="embedding")
    parser.add_argument("--piece", type=int, default=4096, help="samples of a training piece")
    tiny = dict(minutes=0.01, filters=4, skip_filters=4, cycles=1, cycle_length=3, piece=64)
    options = parse(parser, arguments, **tiny)

    import kerasar

    keras.utils.set_random_seed(options.seed)
    steps = 20 if options.tiny else 500
    data = noise() if options.tiny else load(options.data_dir)
    parts = split(data)

    model = kerasar.models.WaveNet(
        None,
        data.levels,
        filters=options.filters,
        skip_filters=options.skip_filters,
        cycles=options.cycles,
        cycle_length=options.cycle_length,
        input_encoding=options.inputs,
        num_classes=len(data.classes),
    )
    model.compile(keras.optimizers.Adam(options.learning_rate))
    valid = next(pieces(parts["valid"], options.piece, 10 if options.tiny else 60, seed=1))
    chosen, training = train(
        model,
        options,
        dataset(parts["train"], options.piece, options.batch_size, options.seed),
        valid,
        validation_batch_size=10,
        batch_size=10,
        steps_per_epoch=steps,
    )
    result = {
        "model": "WaveNet",
        "data": "noise" if options.tiny else "spoken digits, 8 kHz, 8-bit µ-law",
        **{name: getattr(options, name) for name in ("filters", "skip_filters", "cycles")},
        **{name: getattr(options, name) for name in ("cycle_length", "inputs", "piece")},
        "receptive_field": kerasar.receptive_field(chosen.network).reach,
        "steps_of_an_epoch": steps,
        "valid_bits_per_sample": round(bits_per_sample(chosen, parts["valid"]), 4),
        **training,
    }
    if not options.no_test:
        result["test_bits_per_sample"] = round(bits_per_sample(chosen, parts["test"]), 4)
    write_result(options, result)


if __name__ == "__main__":
    main()
