"""A model as a coder: bytes beside those of other formats, and speed beside the cached sampler's.

Takes a trained run and compresses the test images of its data, or the published test set of the
spoken digits, checks that they come back, and writes the bytes of PNG, WebP or FLAC (a file for
each) and of xz (all in one). Each example is what `model.log_prob` says, in bits: the file exceeds
their sum by its header. Several runs are one model, whose probabilities are the mean of theirs.

    kerasar train pixelcnn --data digits
    python -m benchmarks.quality.compression runs/pixelcnn-digits --data digits
    python -m benchmarks.quality.compression results/speech/best.keras --data spoken-digits
    python -m benchmarks.quality.compression runs/pixelcnn-digits --data digits --memory
    python -m benchmarks.quality.compression --tiny  # seconds, on an untrained model of the digits
"""

import functools
import lzma
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common.arguments import DATA_DIR, make_parser, parse
from benchmarks.common.report import machine
from benchmarks.common.trial import write_result

#: Examples that are drawn to compare speeds, and how often.
_DRAWN, _ROUNDS = 64, 5
#: How many examples show whether memory grows with them.
_COUNTS = 1_000, 10_000, 100_000
#: The data that are no images.
_SPEECH = "spoken-digits"


def mean_of(models: Sequence[Any]) -> Any:
    """A model whose probabilities are the mean of those of several models without conditions."""
    import kerasar

    if len(models) == 1:
        return models[0]
    x = keras.Input(models[0].data_shape, dtype="int32", name="x")
    members = [  # with a name each, which those of one kind share
        keras.Model(model.network.inputs, model.network.outputs[0], name=f"member{i}")
        for i, model in enumerate(models)
    ]
    logits = [member(x) for member in members]
    scores = [part - keras.ops.logsumexp(part, axis=-1, keepdims=True) for part in logits]
    mean = functools.reduce(keras.ops.logaddexp, scores)
    return kerasar.AutoregressiveModel(keras.Model(x, mean), name="mean")


def load(options: Any) -> tuple[Any, int, dict[str, int]]:
    """What is compressed, its levels, and the bytes that other formats take."""
    import kerasar
    from kerasar.scores.codecs import CODECS

    if options.data == _SPEECH:
        from benchmarks.quality import spoken_digits

        test = spoken_digits.split(spoken_digits.load(options.data_dir))["test"]
        test = test.part(np.arange(len(test)) < (options.examples or len(test)))
        parts = [test.x[i, :n] for i, n in enumerate(test.length)]
        whole, codecs, levels, batch = np.concatenate(parts), ["flac"], 256, test.batch()
    else:
        folder = options.data_dir / "tensorflow_datasets"
        data = kerasar.data.load_images(options.data, data_dir=folder)
        batch = whole = data.test[: options.examples]
        parts, codecs, levels = [*whole], ["png", "webp"], data.levels
    others = {name: sum(len(CODECS[name](p, levels, name)) for p in parts) for name in codecs}
    if codecs == ["flac"]:
        others["flac, all in one"] = len(CODECS["flac"](whole, levels, "flac"))
    raw = np.ascontiguousarray(whole, "u1").tobytes()
    others["xz"] = len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))
    return batch, levels, others


def medians(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of each, called in turn; the first call of each does not count."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(1 + _ROUNDS):
        for name, function in functions.items():
            began = time.monotonic()
            function()
            taken[name].append(time.monotonic() - began)
    return {name: round(float(np.median(times[1:])), 3) for name, times in taken.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "results/compression")
    parser.add_argument("runs", nargs="*", help="run folders or .keras files")
    parser.add_argument("--data", default="digits", help="whose test examples are compressed")
    parser.add_argument("--data-dir", type=Path, default=DATA_DIR)
    parser.add_argument("--examples", type=int, help="at most so many")
    parser.add_argument(
        "--memory", action="store_true", help=f"at {_COUNTS} examples, the same ones repeated"
    )
    options = parse(parser, arguments, examples=8)
    options.out.mkdir(parents=True, exist_ok=True)

    import kerasar

    batch, levels, others = load(options)
    x = batch["x"] if isinstance(batch, dict) else batch
    if options.runs:
        model = mean_of([kerasar.load(run) for run in options.runs])
    else:
        model = kerasar.models.PixelCNN(x.shape[1:], levels, filters=4, blocks=1)
    began = time.monotonic()
    file = model.compress(batch)
    written = time.monotonic()
    found = model.decompress(file)
    read = time.monotonic()
    _check_equal(batch, found)
    own = -model.log_prob(batch).sum(dtype="float64") / np.log(2) / 8
    values = int(batch["length"].sum()) if isinstance(batch, dict) else x.size
    result = {
        "data": options.data,
        "runs": [str(run) for run in options.runs],
        "examples": len(x),
        "bytes": len(file),
        "bytes_an_example": round(len(file) / len(x), 2),
        "bits_a_value": round(8 * len(file) / values, 4),
        "bytes_beyond_log_prob": round(float(len(file) - own), 1),
        "others": others,
        "of_others": {name: round(len(file) / size, 3) for name, size in others.items()},
        "values_a_second": {
            "encoding": round(values / (written - began)),
            "decoding": round(values / (read - written)),
        },
        "machine": machine(),
    }
    if options.memory:
        result["largest_mb"] = {count: _peak(model, x, count) for count in _COUNTS}
    if not isinstance(batch, dict):
        result[f"seconds_for_{min(len(x), _DRAWN)}"] = _compare_speeds(model, x[:_DRAWN])
    write_result(options, result)


def _check_equal(batch: Any, found: Any) -> None:
    """Raises a RuntimeError if what came back is something else."""
    if not isinstance(batch, dict):
        same = np.array_equal(found, batch)
    else:
        inside = np.arange(batch["x"].shape[1]) < batch["length"][:, None]
        same = np.array_equal(found["x"], np.where(inside, batch["x"], 0)) and all(
            np.array_equal(found[name], batch[name]) for name in ("length", "condition")
        )
    if not same:
        raise RuntimeError("the examples did not come back as they were")


def _peak(model: Any, x: np.ndarray, count: int) -> int:
    """The most megabytes this process has held, after so many examples have come and gone."""
    many = np.resize(x, (count, *x.shape[1:]))
    _check_equal(many, model.decompress(model.compress(many)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _compare_speeds(model: Any, some: np.ndarray) -> dict[str, float]:
    file, draw = model.compress(some), functools.partial(model.sample, len(some), verbose=False)
    return medians(
        {
            "encoding": lambda: model.compress(some),
            "decoding": lambda: model.decompress(file),
            "sampling, uncompiled": lambda: draw(jit_compile=False),
            "sampling, compiled": lambda: draw(jit_compile=True),
        }
    )


if __name__ == "__main__":
    main()
