"""Text: one file, as characters or bytes, cut into pieces as long as what a model sees at once."""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray

from kerasar.cli.kinds.kind import (
    Batch,
    DataKind,
    NamedExamples,
    Samples,
    SamplingRequest,
    TrainingData,
    path_of,
    whole_steps,
)
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import Vocabulary, load_text, windows
from kerasar.data.plain_text import plain_text

if TYPE_CHECKING:
    from kerasar.training import DensityModel

_CONTEXT = 128
#: How many tokens are written where --length does not say it.
_WRITTEN = 500


class Text(DataKind):
    """A text as tokens, `(pieces, context)`."""

    name = "text"
    noun = "pieces of a text"
    unit = "token"
    num_samples = 1
    endings = (".txt", ".npz")
    sample_files = ()
    pictures = ("sample.txt",)
    example = MappingProxyType({"length": _CONTEXT, "levels": 256})
    next_commands = (
        ("sample {run} --length 1000 --seed 1", "write a text"),
        ('sample {run} --prompt "TEXT" --temperature 0.8', "continue one"),
    )
    accepted = "a .txt file of text (with --tokens, any file)"

    def claims(self, spec: str) -> bool:
        return Path(spec).suffix.lower() == ".txt" and not _is_table(Path(spec).expanduser())

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        if levels is not None:
            raise ValueError(
                f"--levels is for numbers, but '{spec}' is a text, which has a level for each of "
                "its characters. Leave it out."
            )
        text = load_text(spec, settings.get("tokens"))
        size = settings.get("context") or _CONTEXT
        if len(text.train) < size:
            raise ValueError(
                f"A model sees {size} {text.vocabulary.tokens} at once, but '{spec}' has "
                f"{len(text.train)} to train on. Pass a smaller --context, or a longer text."
            )
        # Pieces that overlap by half: every token is seen with little before it, and with much.
        train = windows(text.train, size, max(1, size // 2))
        kept = {
            "length": size,
            "tokens": text.vocabulary.tokens,
            "vocabulary": text.vocabulary.characters,
        }
        arguments = {"length": size, "levels": text.levels}
        about = f"{len(text.all):,} {text.vocabulary.tokens}, {text.levels} different ones, in "
        about += f"pieces of {size}"
        valid, test = (pieces(part, size) for part in (text.valid, text.test))
        return TrainingData(text.name, train, valid, test, arguments, about, kept, text)

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        vocabulary, size = vocabulary_of(run), run.config["length"]
        text = load_text(spec, vocabulary=vocabulary)
        if part == "auto":
            part = "test" if _is_of(run, spec) else "all"
        tokens: NDArray[Any] = getattr(text, part)
        first = len(text.all) - len(tokens) if part == "test" else 0
        batch = pieces(tokens, size)
        count = -(-len(tokens) // size)
        return NamedExamples(
            batch, [f"{vocabulary.tokens} {first + i * size}…" for i in range(count)]
        )

    def more_results(self, run: RunFolder, batch: Batch, nats: float) -> dict[str, float]:
        stored = vocabulary_of(run).to_bytes(_joined(batch))
        characters = len(stored.decode("utf-8", "replace"))
        return {
            "nats per character": nats / characters,
            "bits per byte": nats / math.log(2) / len(stored),
        }

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        tokens = write_on(model, 1, np.zeros(0, "int32"), _WRITTEN, {"seed": 0, "verbose": False})
        with atomic_write(run.path / "sample.txt") as file:
            self.write(file, Samples(tokens), run, model)

    def check_prompt(self, run: RunFolder, prompt: str) -> None:
        try:
            vocabulary_of(run).encode(prompt)
        except ValueError as error:
            raise ValueError(f"--prompt cannot be continued: {error}") from error

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        vocabulary = vocabulary_of(run)
        prompt = vocabulary.encode(request.prompt or "")
        steps = _WRITTEN if request.length is None else whole_steps(request.length)
        context = model.data_shape[0]
        if context is not None and len(prompt) >= context:
            typer.echo(
                f"The prompt has {len(prompt):,} {vocabulary.tokens}, but the model sees {context} "
                f"at once: it goes on from the last {context // 2}.",
                err=True,
            )
        tokens = write_on(model, request.num, prompt, steps, request.options)
        return Samples(tokens, request.describe_options())

    def print_text(self, samples: Samples, run: RunFolder) -> str:
        return plain_text(_together(samples, run).decode("utf-8", "replace"), keep="\n\t")

    def export_notes(self, run: RunFolder) -> dict[str, Any]:
        return {"vocabulary": {name: run.config[name] for name in ("tokens", "vocabulary")}}

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        path.write_bytes(_together(samples, run))


def vocabulary_of(run: RunFolder) -> Vocabulary:
    """The vocabulary that a run was trained with."""
    return Vocabulary(run.config["vocabulary"])


def pieces(tokens: NDArray[Any], size: int) -> Batch:
    """All tokens, in pieces of that size; the last one may be shorter."""
    count = -(-len(tokens) // size)
    x: NDArray[Any] = np.zeros(count * size, "int32")
    x[: len(tokens)] = tokens
    x = np.reshape(x, (count, size))
    if count * size == len(tokens):
        return x
    length = np.full(count, size, "int32")
    length[-1] = len(tokens) - (count - 1) * size
    return {"x": x, "length": length}


def write_on(
    model: DensityModel, num: int, prompt: NDArray[Any], steps: int, options: dict[str, Any]
) -> NDArray[Any]:
    """Continues a prompt by `steps` tokens; `(num, len(prompt) + steps)`.

    A model of open length does it in one piece. One of a fixed length goes on, whenever a piece is
    full, from its last half; each piece has a seed of its own that follows from the one given.
    """
    total, size = len(prompt) + steps, model.data_shape[0]
    drawn: NDArray[Any] = np.tile(prompt, (num, 1))
    if size is None:
        start = drawn if len(prompt) else None
        whole: NDArray[Any] = model.sample(num, prompt=start, length=total, **options)
        return whole
    kept = len(prompt) if len(prompt) < size else size // 2
    first = options["seed"]
    seeds = np.random.SeedSequence(first).generate_state(-(-2 * steps // size) + 2) >> 1
    for seed in (first, *map(int, seeds)):
        start = drawn[:, drawn.shape[1] - kept :] if kept else None
        piece = model.sample(num, prompt=start, **{**options, "seed": seed})
        drawn = np.concatenate([drawn, piece[:, kept:]], axis=1)
        if drawn.shape[1] >= total:
            break
        kept = size // 2
    return drawn[:, :total]


def _is_table(path: Path) -> bool:
    """Whether each of the next few lines after the first holds a number: a series, not a text."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        lines = file.read(4096).decode("utf-8", "replace").splitlines()[1:6]
    return bool(lines) and all(any(map(_is_number, _cells(line))) for line in lines)


def _cells(line: str) -> list[str]:
    return line.replace(";", ",").replace("\t", ",").split(",")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_of(run: RunFolder, spec: str) -> bool:
    """Whether DATA is the file that a run was trained on."""
    path, own = path_of(spec), run.config.get("data_path")
    return path is not None and own is not None and path.resolve() == Path(own).resolve()


def _joined(batch: Batch) -> NDArray[Any]:
    """The tokens of all pieces, end to end."""
    if not isinstance(batch, dict):
        return np.ravel(batch)
    return batch["x"][np.arange(batch["x"].shape[1]) < batch["length"][:, None]]


def _together(samples: Samples, run: RunFolder) -> bytes:
    """All samples; several have a line with their number before each."""
    vocabulary = vocabulary_of(run)
    texts = [vocabulary.to_bytes(row) for row in samples.values]
    if len(texts) == 1:
        return texts[0]
    return b"\n\n".join(b"--- %d ---\n%s" % (i, text) for i, text in enumerate(texts, 1))
