"""What the commands ask of a kind of data: to be read, to be drawn, to be written."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder

#: Examples as `fit` takes them: an array, or a dict of arrays.
Batch = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """Data that are ready for training.

    Attributes:
        name: what the data are called.
        learn: examples to learn from.
        choose: examples to choose the best epoch by.
        test: examples to judge by.
        arguments: what these data say about the model: the builder is called with those of them
            that it knows.
        about: a few words on the data's size and values.
        settings: what `config.json` keeps, for later commands to read such data the same way.
        source: what the reader gave, for pictures.
    """

    name: str
    learn: Batch
    choose: Batch
    test: Batch
    arguments: dict[str, Any]
    about: str
    settings: dict[str, Any]
    source: Any


class Named(NamedTuple):
    """Examples, and what each of them is called."""

    batch: Batch
    names: list[str]


class Drawn(NamedTuple):
    """What `kerasar sample` drew, and how.

    Attributes:
        samples: `(num, …)`.
        how: the settings in words, for a heading.
        source: the data of the run, where the kind needs them to write.
        labels: the class of each sample, if classes were asked for.
    """

    samples: NDArray[Any]
    how: str
    source: Any = None
    labels: list[str] | None = None


class Kind(ABC):
    """One kind of data.

    Attributes:
        name: the word for it in `config.json` and in the registry of models.
        noun: the word for examples in messages.
        wanted: what DATA can be, for a message.
        unit: the word for what `bits_per_dim` is divided by.
        num: how many samples are drawn unless said otherwise.
        endings: of the files that samples can be written to.
        sampled: the files that they are written to unless said otherwise.
        pictures: what to look at in a finished run.
        next: commands that suit such a run, with a few words on each.
        example: what usual data of this kind say about a model, for `kerasar inspect MODEL`.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    wanted: ClassVar[str]
    unit: ClassVar[str] = "dim"
    num: ClassVar[int] = 64
    endings: ClassVar[tuple[str, ...]]
    sampled: ClassVar[tuple[str, ...]] = ("samples.png",)
    pictures: ClassVar[tuple[str, ...]]
    next: ClassVar[tuple[tuple[str, str], ...]]
    example: ClassVar[Mapping[str, Any]]

    @abstractmethod
    def claims(self, spec: str) -> bool:
        """Whether what the user calls DATA looks like data of this kind."""

    @abstractmethod
    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        """Reads data to train on.

        Args:
            spec: what the user calls DATA.
            data_dir: where data sets by name are kept.
            levels: number of values, if the user says so.
            settings: of this kind, from the options of the command or from `config.json`.
        """

    @abstractmethod
    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        """Examples that a trained model can take, for `kerasar score`."""

    @abstractmethod
    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        """Draws the pictures of a finished run."""

    def callbacks(self, run: RunFolder, model: Any, epochs: int) -> list[Any]:
        """What else happens during training."""
        return []

    def draw(
        self,
        run: RunFolder,
        model: Any,
        num: int,
        length: float | None,
        prompt: Path | None,
        options: dict[str, Any],
    ) -> Drawn:
        """Draws samples.

        Args:
            run: whose.
            model: its model.
            num: how many.
            length: how much to draw, in steps or seconds; None: as in training.
            prompt: a file to go on with.
            options: for `model.sample`.

        Raises:
            ValueError: for a length or a prompt where there can be none.
        """
        if length is not None or prompt is not None:
            name = "--length" if length is not None else "--prompt"
            raise ValueError(
                f"{name} is for sequences, recordings and series, but '{run.path}' was trained on "
                f"{self.noun}. Leave it out."
            )
        return Drawn(model.sample(num, **options), how(options))

    @abstractmethod
    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        """Writes samples to a file that ends in one of `endings`."""


def how(options: dict[str, Any]) -> str:
    """The settings of sampling in words."""
    return f"seed {options['seed']}, temperature {options['temperature']:g}"


def whole_steps(length: float) -> int:
    """A number of steps.

    Raises:
        ValueError: if it is no whole number.
    """
    if length != int(length):
        raise ValueError(f"--length is a whole number of steps, but got {length:g}.")
    return int(length)


def sizes(batch: Batch) -> int:
    """How many examples there are."""
    return len(batch["x"] if isinstance(batch, dict) else batch)


def take(batch: Batch, rows: Any) -> Batch:
    """Some of the examples."""
    if isinstance(batch, dict):
        return {name: part[rows] for name, part in batch.items()}
    return batch[rows]


def for_model(batch: Batch, model: Any) -> Batch:
    """The examples without a condition, if the model takes none."""
    if not isinstance(batch, dict) or is_conditional(model):
        return batch
    kept = {name: part for name, part in batch.items() if name != "condition"}
    return kept["x"] if set(kept) == {"x"} else kept


def hold_out(batch: Batch, noun: str) -> tuple[Batch, Batch]:
    """Most examples to learn from, and a tenth (at most 5,000) to choose the best epoch by."""
    from kerasar.data.split import hold_out as split

    source, purpose = "the training part of DATA", "validation"
    kept, held_out = split(sizes(batch), noun, source, purpose=purpose, most=5000)
    return take(batch, kept), take(batch, held_out)
