"""What the commands ask of a kind of data: to read it, to sample it, to write and show samples."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.defaults import Facts
from kerasar.cli.support.capabilities import is_conditional, supports
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.shell import quoted
from kerasar.data import DATASETS, SEQUENCES, TOY_DENSITIES, pipeline
from kerasar.data.lazy_rows import is_lazy, select_rows
from kerasar.data.split import hold_out

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: Examples as `fit` takes them: an array, or a dict of arrays.
Batch = Any
#: Examples that take more bytes stay in their files, or in a temporary one.
STREAMED = 128 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Data that are ready for training.

    Attributes:
        name: the name of the data.
        train: training examples.
        validation: examples that select the best epoch.
        test: examples for the final evaluation.
        arguments: what these data determine about the model: the builder is called with those of
            them that it knows.
        about: a few words on the data's size and values.
        settings: what `config.json` keeps, for later commands to read such data the same way.
        source: what the reader returned, for pictures.
    """

    name: str
    train: Batch
    validation: Batch
    test: Batch
    arguments: dict[str, Any]
    about: str
    settings: dict[str, Any]
    source: Any

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples of each part."""
        return {name: num_examples(part) for name, part in self._parts().items()}

    def facts(self, kind: str) -> Facts:
        """What the settings of training follow from, for data of that kind."""
        given = self.arguments
        examples = values_of(self.train)
        shape = given.get("image_shape") or examples.shape[1:]
        return Facts(kind, len(examples), tuple(shape), given.get("levels"))

    def for_model(self, model: DensityModel) -> TrainingData:
        """The same data, without a condition if the model takes none."""
        if is_conditional(model):
            return self
        parts = {name: _without_condition(part) for name, part in self._parts().items()}
        return dataclasses.replace(self, **parts)

    def _parts(self) -> dict[str, Batch]:
        return {"train": self.train, "validation": self.validation, "test": self.test}


class NamedExamples(NamedTuple):
    """Examples, and the name of each of them."""

    batch: Batch
    names: list[str]


class SamplingRequest(NamedTuple):
    """What `kerasar sample` is asked for.

    Attributes:
        num: the number of samples.
        length: the length of each, in steps or seconds; None for that of the training data.
        prompt: what to continue: a file, or a text.
        options: further arguments of `model.sample`, with `seed` and `temperature` among them.
        on_runaway: "error" or "clip", for paths of a series.
    """

    num: int
    length: float | None
    prompt: str | None
    options: dict[str, Any]
    on_runaway: str = "error"

    def describe_options(self) -> str:
        """The options in words, for a heading."""
        return f"seed {self.options['seed']}, temperature {self.options['temperature']:g}"


class Samples(NamedTuple):
    """What `kerasar sample` has drawn.

    Attributes:
        values: `(num, …)`.
        description: how they were drawn, for a heading.
        labels: the class of each sample, if classes were asked for.
        forecast: the `Forecast` of a series.
    """

    values: NDArray[Any]
    description: str = ""
    labels: list[str] | None = None
    forecast: Any = None


def check_drawn(samples: Samples) -> None:
    """Raises a FloatingPointError for samples that hold something else than finite numbers."""
    values = samples.values
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    bad = int((~np.isfinite(values)).reshape(len(values), -1).any(axis=1).sum())
    raise FloatingPointError(
        f"{bad:,} of {len(values):,} samples are not finite, so nothing is written: the model has "
        "run away from what it was trained on. Lower --temperature or --length, or train it longer."
    )


class DataKind(ABC):
    """One kind of data.

    Attributes:
        name: the word for it in `config.json` and in the registry of models.
        noun: the word for examples in messages.
        accepted: what DATA can be, for a message.
        data_sets: the names of data sets of this kind.
        unit: the word for what `bits_per_dim` is divided by.
        has_likelihoods: whether `--likelihood` chooses among several.
        has_files: whether examples may be the files of a folder, of which some cannot be read.
        num_samples: the default number of samples.
        endings: of the files that samples can be written to.
        sample_files: the files that they are written to by default; none: they are printed.
        pictures: what to look at in a finished run.
        next_commands: commands that suit such a run, with a few words on each.
        example: what typical data of this kind determine about a model, for
            `kerasar inspect MODEL`.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    accepted: ClassVar[str]
    data_sets: ClassVar[Collection[str]] = ()
    unit: ClassVar[str] = "dim"
    has_likelihoods: ClassVar[bool] = False
    has_files: ClassVar[bool] = False
    num_samples: ClassVar[int] = 64
    endings: ClassVar[tuple[str, ...]]
    sample_files: ClassVar[tuple[str, ...]] = ("samples.png",)
    pictures: ClassVar[tuple[str, ...]]
    next_commands: ClassVar[tuple[tuple[str, str], ...]]
    example: ClassVar[Mapping[str, Any]]

    @classmethod
    def example_facts(cls) -> Facts:
        """What the settings for typical data follow from."""
        shape = cls.example.get("image_shape") or (cls.example.get("length"),)
        return Facts(cls.name, 10_000, tuple(shape), cls.example.get("levels"))

    @property
    def an_example(self) -> str:
        """The noun for one of them: "images" gives "an image", "pieces of a series" "a piece"."""
        one = self.noun.split()[0].removesuffix("s")
        return f"{'an' if one[0] in 'aeiou' else 'a'} {one}"

    @abstractmethod
    def claims(self, spec: str) -> bool:
        """Whether what the user passes as DATA looks like data of this kind."""

    @abstractmethod
    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        """Reads data to train on.

        Args:
            spec: what the user passes as DATA.
            data_dir: where data sets by name are kept.
            levels: number of values, if the user passes one.
            settings: of this kind, from the options of the command or from `config.json`.
        """

    def check_model(
        self, name: str, model: DensityModel, data: TrainingData, conditional: bool
    ) -> None:
        """Raises a ValueError if the model of that name does not suit the data."""
        if conditional and not is_conditional(model):
            raise ValueError(
                f"--conditional is for models that take a class, but '{name}' takes none. Leave it "
                "out, or see kerasar models."
            )

    def start(self, model: DensityModel, data: TrainingData) -> bool:
        """Gives a model the weights that its training begins with, if there are better than random.

        Returns:
            Whether the model is of use without training.
        """
        return False

    def has_learned(self, model: DensityModel, data: TrainingData, start: list[Any]) -> bool:
        """Whether a trained model is better than with the weights that `start` gave it."""
        return True

    @abstractmethod
    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        """Reads examples that a trained model can take, for `kerasar score`."""

    def load_whole(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        """The same with nothing left out or changed, for `kerasar compress`."""
        return self.load_named(run, model, spec, data_dir, part)

    def callbacks(self, run: RunFolder, model: DensityModel, epochs: int) -> list[Any]:
        """Further callbacks of training."""
        return []

    def judge(self, run: RunFolder, model: DensityModel, data: TrainingData) -> str | None:
        """Judges a trained model by more than its likelihood; a sentence on the result."""
        return None

    @abstractmethod
    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        """Draws the pictures of a finished run, with its test result in their headings."""

    def next_steps(self, run: RunFolder, model: DensityModel, spec: str) -> list[tuple[str, str]]:
        """Arguments of the command that suit a finished run, with a few words on each."""
        possible = [step for step in self.next_commands if supports(model, step[0].split()[0])]
        possible.append(("score {run} {data} --out scores.csv", "how likely is each"))
        names = {"run": quoted(run.path), "data": quoted(spec)}
        return [(arguments.format(**names), what) for arguments, what in possible]

    def more_results(self, run: RunFolder, batch: Batch, nats: float) -> dict[str, float]:
        """Further measures of examples that together cost so many nats, by their names."""
        return {}

    def check_prompt(self, run: RunFolder, prompt: str) -> None:
        """Raises an error if a prompt cannot be continued, as far as this can be told early."""
        if not Path(prompt).is_file():
            raise FileNotFoundError(f"--prompt must be a file, but there is no '{prompt}'.")

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        """Draws samples from the model of a run.

        Raises:
            ValueError: for a length or a prompt where there can be none.
        """
        if request.length is not None or request.prompt is not None:
            option = "--length" if request.length is not None else "--prompt"
            raise ValueError(
                f"{option} is for sequences, recordings and series, but '{run.path}' was trained "
                f"on {self.noun}. Leave it out."
            )
        return sample(model, request)

    def write(self, path: Path, samples: Samples, run: RunFolder, model: DensityModel) -> None:
        """Writes samples to a file that ends in one of `endings`."""
        if path.suffix.lower() != ".npz":
            self.write_readable(path, samples, run, model)
        elif samples.forecast is None:
            np.savez_compressed(path, samples=samples.values)
        else:
            np.savez_compressed(path, samples=samples.values, past=samples.forecast.past)

    def print_text(self, samples: Samples, run: RunFolder) -> str:
        """Samples for the terminal, of a kind without `sample_files`."""
        raise NotImplementedError(f"{type(self).__name__} writes its samples to files")

    def export_notes(self, run: RunFolder) -> dict[str, Any]:
        """What the users of an exported model need to know of the data."""
        return {}

    def export(
        self, run: RunFolder, model: DensityModel, folder: Path, jit_compile: bool = False
    ) -> None:
        """Writes a SavedModel, with `export_notes` where TensorFlow Serving leaves place."""
        from kerasar.serving.archive import CONFIG

        model.export(str(folder), jit_compile=jit_compile)
        if (file := folder / CONFIG).exists():
            about = {**json.loads(file.read_text(encoding="utf-8")), "trained": _how(run)}
            file.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        for name, note in self.export_notes(run).items():
            extra = folder / "assets.extra"
            extra.mkdir(parents=True, exist_ok=True)
            text = json.dumps(note, indent=2) + "\n"
            (extra / f"{name}.json").write_text(text, encoding="utf-8")

    @abstractmethod
    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        """Writes samples to a file of another kind than `.npz`."""


def _how(run: RunFolder) -> dict[str, Any]:
    """How the model of a run was trained, for `assets/config.json`."""
    names = ("model", "data", "kind", "epochs", "minutes", "batch_size", "learning_rate", "seed")
    found = {name: run.config.get(name) for name in names}
    return found | {"training": run.config.get("training"), "test": run.config.get("test")}


def path_of(spec: str) -> Path | None:
    """The file or folder that DATA is; None for data sets by name."""
    names = {*DATASETS, *SEQUENCES, *TOY_DENSITIES}
    if spec in names or spec.startswith("tfds:"):
        return None  # a name wins over a path
    path = Path(spec).expanduser()
    return path if path.exists() else None


def sample(model: DensityModel, request: SamplingRequest, **options: Any) -> Samples:
    """Draws what is asked for, with further options of `model.sample`."""
    values = model.sample(request.num, **request.options, **options)
    return Samples(values, request.describe_options())


def whole_steps(length: float) -> int:
    """The value of --length as a number of steps.

    Raises:
        ValueError: if it has a fraction.
    """
    if length != int(length):
        raise ValueError(f"--length is a whole number of steps, but got {length:g}.")
    return int(length)


def in_words(results: Mapping[str, float]) -> str:
    """What `more_results` gives, to be added to a sentence."""
    return "".join(f", {value:.4f} {name}" for name, value in results.items())


def values_of(batch: Batch) -> Any:
    """The examples themselves, without conditions or lengths."""
    return batch["x"] if isinstance(batch, dict) else batch


def num_examples(batch: Batch) -> int:
    """The number of examples."""
    return len(values_of(batch))


def take(batch: Batch, rows: Any) -> Batch:
    """Some of the examples."""
    if isinstance(batch, dict):
        return {name: select_rows(part, rows) for name, part in batch.items()}
    return select_rows(batch, rows)


def for_evaluation(batch: Batch, batch_size: int) -> Any:
    """Examples as `evaluate` and `fit` take them for judging: what is lazy in batches."""
    return pipeline(batch, batch_size, shuffle=False) if is_lazy(values_of(batch)) else batch


def reading_in_words(x: Any, skipped: Sequence[str]) -> str:
    """Whether examples stay in files, and how many were left out, to be added to a sentence."""
    said = ", read from their files" if is_lazy(x) else ""
    if skipped:
        said += f"; {len(skipped):,} unreadable files left out ({skipped[0]})"
    return said


def join(batches: Sequence[Batch]) -> Batch:
    """All examples of several batches."""
    if isinstance(batches[0], dict):
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return np.concatenate(batches)


def name_examples(parts: Mapping[str, Batch], part: str) -> NamedExamples:
    """The examples of one of the parts, or of "all"; "auto" is "test". Names are "test/0", …"""
    chosen = {"auto": ["test"], "all": list(parts)}.get(part, [part])
    names = [f"{name}/{i}" for name in chosen for i in range(num_examples(parts[name]))]
    return NamedExamples(join([parts[name] for name in chosen]), names)


def hold_out_validation(batch: Batch, noun: str) -> tuple[Batch, Batch]:
    """Training examples, and a tenth of the data (at most 5,000) that selects the best epoch."""
    source, purpose = "the training part of DATA", "validation"
    kept, held_out = hold_out(num_examples(batch), noun, source, purpose=purpose, most=5000)
    return take(batch, kept), take(batch, held_out)


def _without_condition(batch: Batch) -> Batch:
    if not isinstance(batch, dict):
        return batch
    kept = {name: part for name, part in batch.items() if name != "condition"}
    return kept["x"] if set(kept) == {"x"} else kept
