"""A transformer on the characters of Tiny Shakespeare: nats a character on its last tenth.

nanoGPT's setting for a CPU: 4 layers of 128 features and 4 heads, contexts of 64 characters, 2,000
steps of 12 of them; its page states 1.88 nats. Settings are chosen with `--no-test`, which trains
on the first eight tenths and judges by the ninth; then nine tenths are trained on, and the last
weights judged once by the last tenth. A character is judged given 1 to 64 before it, as nanoGPT
does.

    python -m benchmarks.quality.text --no-test  # for trials
    python -m benchmarks.quality.text --out results/text
    python -m benchmarks.quality.text --minutes 20 --layers 6 --units 192 --context 256
    python -m benchmarks.quality.text --tiny  # seconds, on a verse, to see that it runs
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common.arguments import CPU, DATA_DIR, WALL, make_parser, parse
from benchmarks.common.report import machine
from benchmarks.common.time_budget import clock, time_budget
from benchmarks.common.trial import write_result

_WARM_UP = 100
_VERSE = "Full fathom five thy father lies; of his bones are coral made. "


def batches(tokens: np.ndarray, size: int, batch_size: int, seed: int) -> tf.data.Dataset:
    """Pieces that begin anywhere, without end."""
    text = tf.constant(tokens)

    def cut(numbers: Any) -> Any:
        starts = tf.cast(numbers % (len(tokens) - size + 1), tf.int32)
        return tf.gather(text, starts[:, None] + tf.range(size))

    numbers = tf.data.Dataset.random(seed).batch(batch_size, drop_remainder=True)
    return numbers.map(cut).prefetch(4)


def nats_a_character(model: Any, tokens: np.ndarray, context: int) -> dict[str, float]:
    """Of all characters, given 1 to `context` before each; and of whole pieces, given nothing."""
    from kerasar.data import windows

    # A piece begins with the last character of the one before.
    terms = -model.log_prob_map(windows(tokens, context + 1, context), batch_size=64)
    return {
        "nats_per_character": round(float(terms[:, 1:].mean(dtype="float64")), 4),
        "from_nothing": round(float(terms.mean(dtype="float64")), 4),
    }


def optimizer(options: Any) -> keras.optimizers.Optimizer:
    """AdamW, along a cosine after a short rise; with --minutes the clock sets its rate."""
    rate: Any = options.learning_rate
    if options.minutes is None:
        warm_up = min(_WARM_UP, options.steps // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, options.steps - warm_up, warmup_target=rate, warmup_steps=warm_up
        )
    found = keras.optimizers.AdamW(
        rate, beta_2=0.99, weight_decay=options.weight_decay, global_clipnorm=1.0
    )
    found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "results/text")
    parser.add_argument("--data", type=Path, default=DATA_DIR / "text" / "tiny_shakespeare.txt")
    parser.add_argument("--steps", type=int, default=2000, help="of training")
    parser.add_argument("--minutes", type=float, help="of training, in place of --steps")
    parser.add_argument("--clock", choices=[WALL, CPU], default=WALL, help="what minutes count")
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--context", type=int, default=64, help="characters seen at once")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-test", action="store_true", help="for trials: leave the test alone")
    sizes = dict(units=8, layers=1, num_heads=2, context=8, steps=20, batch_size=4)
    options = parse(parser, arguments, **sizes)

    import kerasar

    options.out.mkdir(parents=True, exist_ok=True)
    if options.tiny:
        options.data = options.out / "verse.txt"
        options.data.write_text(_VERSE * 20)
    text = kerasar.data.load_text(options.data, "characters")
    keras.utils.set_random_seed(options.seed)
    model = kerasar.models.Transformer(
        options.context + 1,
        text.levels,
        units=options.units,
        layers=options.layers,
        num_heads=options.num_heads,
        dropout=options.dropout,
    )
    model.compile(optimizer(options))
    learned = text.train if options.no_test else np.concatenate([text.train, text.valid])
    data = batches(learned, options.context + 1, options.batch_size, options.seed)
    began, used = time.monotonic(), clock(CPU)
    if options.minutes is None:
        model.fit(data, steps_per_epoch=options.steps, verbose=0)
    else:
        budget = time_budget(options.minutes, options.learning_rate, options.clock)
        model.fit(data, steps_per_epoch=100, epochs=100_000, callbacks=[budget], verbose=0)
    result = {
        "data": options.data.stem,
        **{k: v for k, v in vars(options).items() if k not in ("data", "out", "tiny", "no_test")},
        "parameters": model.count_params(),
        "precision": keras.config.dtype_policy().name,
        "steps": int(model.optimizer.iterations),
        "wall_minutes": round((time.monotonic() - began) / 60, 2),
        "processor_minutes_per_core": round(clock(CPU) - used, 2),
        "machine": machine(),
    }
    part = "valid" if options.no_test else "test"
    result[part] = nats_a_character(model, getattr(text, part), options.context)
    model.save(options.out / "model.keras")
    write_result(options, result)
    drawn = model.sample(1, seed=1, verbose=False)[0]
    print(text.vocabulary.decode(drawn))


if __name__ == "__main__":
    main()
