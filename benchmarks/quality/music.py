"""Next-step prediction of polyphonic music: nats a time step on JSB Chorales and Nottingham.

A causal convolutional network over time, with one of two distributions of the 88 keys of a step:
independent keys, the likelihood of the TCN paper's table, or a NADE over the keys (as RNN-NADE).
Settings and the epoch are chosen by the valid part; the test part is looked at once.
`benchmarks/data/prepare_music.py` makes the files.

    python -m benchmarks.quality.music results/music/jsb.npz --out results/music/jsb
    python -m benchmarks.quality.music results/music/jsb.npz --joint --out results/music/jsb_joint
    python -m benchmarks.quality.music --tiny  # seconds, on random keys, to see that it runs
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from keras import ops

from benchmarks.common.arguments import add_optimizer, parse, trial_parser
from benchmarks.common.trial import optimizer, train, write_result


def network(
    keys: int,
    parameters: int,
    width: int,
    kernel_size: int,
    dilations: list[int],
    dropout: float,
    input_dropout: float,
) -> keras.Model:
    """Residual blocks of two dilated causal convolutions, after Bai, Kolter & Koltun (figure 1)."""
    from kerasar.layers import CausalShift

    x = keras.Input((None, keys), dtype="int32", name="x")
    last = CausalShift(name="shift")(ops.cast(x, "float32"))
    h = L.Dropout(input_dropout, name="input_dropout")(last)
    h = L.Dense(width, name="embedding")(h)
    for number, rate in enumerate(dilations, 1):
        inner = h
        for part in "ab":
            conv = L.Conv1D(
                width,
                kernel_size,
                padding="causal",
                dilation_rate=rate,
                activation="relu",
                name=f"conv_{number}{part}",
            )
            inner = L.Dropout(dropout, name=f"dropout_{number}{part}")(conv(inner))
        h = L.Add(name=f"residual_{number}")([h, inner])
    # The last step is in sight of the output: most keys stay as they are.
    h = L.Concatenate(name="join")([last, L.ReLU(name="relu")(h)])
    return keras.Model(x, L.Dense(parameters, name="parameters")(h), name="music")


def cut(part: dict[str, Any], longest: int) -> dict[str, Any]:
    """The same in pieces of at most `longest` steps, each as if it began there."""
    pieces = []
    for x, length in zip(part["x"], part["length"], strict=True):
        count = -(-length // longest)
        pieces += np.array_split(x[:length], count)
    lengths = np.array([len(piece) for piece in pieces], "int32")
    padded = np.zeros((len(pieces), lengths.max(), *part["x"].shape[2:]), part["x"].dtype)
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    return {"x": padded, "length": lengths}


def batches(part: dict[str, Any], size: int, semitones: int, seed: int) -> Any:
    """Shuffled without end, each piece moved by up to some semitones up or down."""

    def moved(piece: dict[str, Any]) -> dict[str, Any]:
        by = tf.random.uniform((), -semitones, semitones + 1, tf.int32)
        return {**piece, "x": tf.roll(piece["x"], by, axis=-1)}

    pieces = tf.data.Dataset.from_tensor_slices(part)
    pieces = pieces.shuffle(len(part["x"]), seed=seed).repeat()
    if semitones:
        pieces = pieces.map(moved)
    return pieces.batch(size, drop_remainder=True).prefetch(4)


def nats_a_step(model: Any, part: dict[str, Any]) -> dict[str, float]:
    """Of all steps; and of all but the first of each piece, which the TCN paper leaves out."""
    longest = int(part["length"].max())
    terms = model.log_prob_map({**part, "x": part["x"][:, :longest]}, batch_size=16)
    steps, pieces = int(part["length"].sum()), len(terms)
    return {
        "all_steps": round(float(-terms.sum(dtype="float64") / steps), 4),
        "after_the_first": round(float(-terms[:, 1:].sum(dtype="float64") / (steps - pieces)), 4),
    }


def random_keys() -> dict[str, Any]:
    """Eight keys and a few steps, for the tiny mode."""
    rng = np.random.default_rng(0)
    return {
        "x": rng.integers(0, 2, (12, 6, 8)).astype("uint8"),
        "length": rng.integers(2, 7, 12).astype("int32"),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = trial_parser(__doc__, "results/music", 10.0, batch_size=16, learning_rate=2e-3)
    parser.add_argument("data", type=Path, nargs="?", help="from prepare_music.py")
    parser.add_argument("--joint", action="store_true", help="NADE over the keys of a step")
    parser.add_argument("--width", type=int, default=200, help="channels of the convolutions")
    parser.add_argument("--kernel-size", type=int, default=3)
    parser.add_argument("--dilations", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--hidden", type=int, default=150, help="hidden units of the NADE")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--input-dropout", type=float, default=0.2)
    parser.add_argument("--semitones", type=int, default=0, help="how far pieces are moved")
    parser.add_argument("--longest", type=int, default=100, help="steps of a piece in training")
    add_optimizer(parser, "adam")
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--steps", type=int, default=100, help="steps of an epoch")
    tiny = dict(minutes=0.005, width=4, hidden=4, steps=20, longest=5, batch_size=4, semitones=1)
    options = parse(parser, arguments, **tiny, dilations=[1])

    import kerasar
    from kerasar.distributions import Bernoulli, BernoulliNADE, Independent

    keras.utils.set_random_seed(options.seed)
    if options.tiny:
        data = {part: random_keys() for part in ("train", "valid", "test")}
    elif options.data is None:
        parser.error("say which file to learn from, or --tiny")
    else:
        loaded = kerasar.data.load_sequences(options.data)
        data = {part: getattr(loaded, part) for part in ("train", "valid", "test")}
    keys = data["train"]["x"].shape[-1]
    likelihood: Any = (
        BernoulliNADE(keys, options.hidden) if options.joint else Independent(keys, Bernoulli())
    )
    model = kerasar.AutoregressiveModel(
        network(
            keys,
            likelihood.num_parameters(2),
            options.width,
            options.kernel_size,
            options.dilations,
            options.dropout,
            options.input_dropout,
        ),
        likelihood,
    )
    model.compile(
        optimizer(options, weight_decay=options.weight_decay, clipnorm=1.0),
        jit_compile=False,  # XLA's random numbers for dropout: 0.8 s a step instead of 0.07 s
    )
    chosen, training = train(
        model,
        options,
        batches(
            cut(data["train"], options.longest), options.batch_size, options.semitones, options.seed
        ),
        cut(data["valid"], 2 * options.longest),
        steps_per_epoch=options.steps,
    )
    result = {
        "data": "random keys" if options.tiny else options.data.stem,
        "keys": "NADE" if options.joint else "independent",
        **{
            name: value
            for name, value in vars(options).items()
            if name not in ("data", "out", "joint", "tiny", "no_test")
        },
        "valid_nats_a_step": nats_a_step(chosen, data["valid"]),
        **training,
    }
    if not options.no_test:
        result["test_nats_a_step"] = nats_a_step(chosen, data["test"])
    write_result(options, result)


if __name__ == "__main__":
    main()
