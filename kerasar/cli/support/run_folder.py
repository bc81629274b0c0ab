"""A run: the folder that `kerasar train` makes and the other commands take."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import platform
import shutil
import warnings
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kerasar.cli.support.disk import sweep
from kerasar.cli.support.outputs import atomic_write, missing_folders, next_free, remove_empty
from kerasar.cli.support.run_config import missing, read_config
from kerasar.cli.support.shell import called_as, quoted
from kerasar.cli.support.signals import uninterrupted
from kerasar.data.plain_text import picture_text, plain_text
from kerasar.disk import lock

if TYPE_CHECKING:
    from kerasar.training import DensityModel

CONFIG, MODEL = "config.json", "model.keras"
#: Is in the folder, and locked, as long as its training goes on.
UNFINISHED = "UNFINISHED.txt"


class RunState(Enum):
    """How far a run has come: what stands in its folder says it."""

    finished = "finished"
    training = "training"
    killed = "killed"

    @classmethod
    def of(cls, path: Path) -> RunState | None:
        """The state of the run in that folder; None if it holds no run."""
        mark = (path / UNFINISHED).is_file()
        if not mark and not (path / CONFIG).is_file():
            return None
        if not mark and (path / MODEL).is_file():
            return cls.finished
        held = lock(path / UNFINISHED)
        if mark and held is None:
            return cls.training
        if held is not None:
            os.close(held)
        return cls.killed


class RunFolder:
    """The files of a run folder, and its settings.

    Attributes:
        path: the folder.
        config: what `config.json` holds.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config

    @classmethod
    @contextlib.contextmanager
    def create(cls, path: Path, config: dict[str, Any]) -> Iterator[RunFolder]:
        """Makes a new run, with its settings; removes it if it ends before a model is kept.

        Any error that ends it early gets a note that says what is kept.
        """
        import keras

        import kerasar

        versions = {
            "kerasar": kerasar.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        }
        run, made = cls(path, {**versions, **config}), missing_folders(path)
        with run._used(run._begin, made):
            yield run

    @classmethod
    def read(cls, path: Path) -> RunFolder:
        """The run in a folder, for its settings alone.

        Raises:
            FileNotFoundError: if it holds no run.
        """
        if RunState.of(path) is None:
            raise FileNotFoundError(
                f"RUN must be a folder that 'kerasar train' made, but {_what_is_there(path)}."
                f"{_near_runs(path)}"
            )
        return cls(path, read_config(path / CONFIG))

    @classmethod
    @contextlib.contextmanager
    def resume(cls, path: Path) -> Iterator[RunFolder]:
        """Opens a run whose training did not end, to go on with it.

        Raises:
            FileNotFoundError: if there is no such folder, or it is not a run's.
            FileExistsError: if it is finished, or being trained.
        """
        sweep(path)
        sweep(path / "export")
        run, state = cls.read(path), RunState.of(path)
        if state is not RunState.killed:
            what = "is finished" if state is RunState.finished else "is trained by another process"
            raise FileExistsError(
                f"--resume goes on with a training that was stopped or killed, but '{path}' {what}."
            )
        run.setting("options")
        with run._used(run._begin_again, []):
            yield run

    @contextlib.contextmanager
    def _used(self, begin: Callable[[], int | None], made: list[Path]) -> Iterator[None]:
        """Has the folder for itself; at the end it is finished, or can be resumed, or is gone."""
        begun, held, is_over = False, None, True
        try:
            with uninterrupted():
                held, begun = begin(), True
            yield
        except BaseException as error:
            if begun:
                with uninterrupted():
                    # Numbers that are not finite would come again.
                    is_over = isinstance(error, FloatingPointError) or not self.can_resume
                    note = self._end_early(made) if is_over else self._how_to_resume()
                    error.add_note(note)
            raise
        finally:
            if begun and is_over:
                (self.path / UNFINISHED).unlink(missing_ok=True)
            if held is not None:
                os.close(held)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def can_resume(self) -> bool:
        """Whether a checkpoint was written."""
        return has_checkpoints(self.checkpoints)

    def _how_to_resume(self) -> str:
        return (
            f"'{self.path}' keeps the training as it was at its last checkpoint. Go on with it: "
            f"{quoted(called_as())} train --resume {quoted(self.path)}"
        )

    def _begin_again(self) -> int:
        held = lock(self.path / UNFINISHED)
        if held is None:
            raise FileExistsError(f"'{self.path}' is trained by another process now.")
        # What comes after training, and was begun.
        shutil.rmtree(self.path / "export", ignore_errors=True)
        return held

    def _begin(self) -> int | None:
        """Makes the folder, whole or not at all. Returns the lock that says that it is in use."""
        with atomic_write(self.path) as folder:
            folder.mkdir()
            (folder / UNFINISHED).write_text(
                "The training of this run has not ended. If no process trains it any more, it was "
                "stopped or\nkilled: kerasar train --resume, with this folder, goes on with it.\n",
                encoding="utf-8",
            )
            (folder / CONFIG).write_text(self._config_text(), encoding="utf-8")
            return lock(folder / UNFINISHED)

    def _end_early(self, made: list[Path]) -> str:
        """Removes the run if it has no model. Returns a sentence that says what is kept."""
        if "training" not in self.config:
            shutil.rmtree(self.path, ignore_errors=True)
            remove_empty(made)
            return f"Nothing was kept of '{self.path}', for no epoch had ended."
        return (
            f"'{self.path}' keeps {MODEL}, the model of epoch "
            f"{self.config['training']['best_epoch']}, which the other commands take. What comes "
            f"after training is not complete: kerasar export {quoted(self.path)} makes an export."
        )

    @staticmethod
    def remove_killed(path: Path) -> None:
        """Removes a run whose training did not end, and says so."""
        if RunState.of(path) is RunState.killed:
            shutil.rmtree(path)
            typer.echo(
                f"'{plain_text(path)}' held a run that never finished; it is replaced.", err=True
            )

    @staticmethod
    def is_only_begun(path: Path) -> bool:
        """Whether a killed run holds nothing that a user could miss."""
        begun = {CONFIG, UNFINISHED, "tensorboard"}
        sweep(path)
        return RunState.of(path) is RunState.killed and set(os.listdir(path)) <= begun

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Opens a run that exists.

        Raises:
            FileNotFoundError: if there is no such folder, or it is not a run's.
            ValueError: if its `config.json` is damaged.
        """
        sweep(path)
        sweep(path / "export")
        state = RunState.of(path)
        if state is RunState.killed:
            remove_empty([path / "export"])  # in which the export was being made
        if state in (RunState.training, RunState.killed):
            _explain_unfinished(path, state)
        if not (path / CONFIG).is_file() or not (path / MODEL).is_file():
            raise FileNotFoundError(
                f"RUN must be a folder that 'kerasar train' made, with {CONFIG} and {MODEL} in "
                f"it, but {_what_is_there(path)}.{_near_runs(path)}"
            )
        return cls(path, read_config(path / CONFIG))

    @property
    def title(self) -> str:
        """The name of the run in pictures."""
        return picture_text(f"{self.config.get('model', 'model')} on {self.config['data']}")

    def setting(self, name: str) -> Any:
        """A setting that some models need.

        Raises:
            ValueError: if `config.json` lacks it.
        """
        if name not in self.config:
            raise missing(self.path / CONFIG, name)
        return self.config[name]

    def classes(self, wanted: str | None, conditional: bool) -> list[int] | None:
        """The indices of the classes that a user asks for; None for a model without classes.

        Args:
            wanted: "0-9", "3,5", or names separated by commas; None for all.
            conditional: whether the model takes a class.

        Raises:
            ValueError: for a class that the model does not know.
        """
        if not conditional:
            if wanted is not None:
                raise ValueError(
                    f"--classes is for models that were trained with --conditional, but "
                    f"'{self.path}' was not. Leave it out."
                )
            return None
        known: list[str] = self.setting("classes")
        if wanted is None:
            return list(range(len(known)))
        found: list[int] = []
        for part in wanted.split(","):
            ends = part.strip().split("-")
            if len(ends) == 2 and all(end.isdigit() for end in ends):
                found += range(int(ends[0]), int(ends[1]) + 1)
            elif part.strip() in known:
                found.append(known.index(part.strip()))
            else:
                found.append(int(part) if part.strip().isdigit() else -1)
        if not found or min(found) < 0 or max(found) >= len(known):
            raise ValueError(
                f"--classes must name classes of the model, {', '.join(known)}, or their indices "
                f"from 0 to {len(known) - 1}, but got '{wanted}'."
            )
        return found

    def save_config(self) -> None:
        """Writes `config.json`."""
        with atomic_write(self.path / CONFIG) as file:
            file.write_text(self._config_text(), encoding="utf-8")

    def _config_text(self) -> str:
        return json.dumps(self.config, indent=2) + "\n"

    def save_model(self, model: DensityModel) -> None:
        """Writes `model.keras`."""
        with atomic_write(self.path / MODEL) as file:
            model.save(file)

    def load_model(self) -> Any:
        """Reads `model.keras`.

        Raises:
            ValueError: if it is damaged.
        """
        import kerasar

        file = self.path / MODEL
        try:
            with warnings.catch_warnings():
                # No command goes on with the optimizer that is saved with a model.
                warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
                model = kerasar.load(file)
        # A damaged archive fails in zipfile, h5py, json or Keras, each with errors of its own.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"'{file}' must be a model that 'kerasar train' saved, but cannot be read "
                f"({type(error).__name__}: {reason}). Copy it again, or train again."
            ) from error
        shape, kind = getattr(model, "data_shape", ()), self.config.get("kind", "images")
        if (len(shape) == 3) != (kind == "images"):
            raise ValueError(
                f"{CONFIG} in '{self.path}' says that its data are {kind}, but {MODEL} is a model "
                f"of examples of shape {tuple(shape)}: they are of two runs. Copy both of one run."
            )
        return model

    def data_source(self, data: str | None, data_dir: Path | None) -> tuple[str, Path | None]:
        """DATA and --data-dir: what the user passes, else those of the training."""
        kept = self.config.get("data_dir")
        if data is None and data_dir is None and kept is not None:
            data_dir = Path(kept)
        own = self.config.get("data_path") or self.config["data"]
        return own if data is None else data, data_dir

    def free(self, name: str) -> Path:
        """A new file in the folder: `name` with the next free number before its ending."""
        stem, ending = name.rsplit(".", 1)
        return next_free(self.path / f"{stem}-{{}}.{ending}", first=1)


def has_checkpoints(folder: Path) -> bool:
    """Whether a checkpoint was written to a folder."""
    return any(folder.glob("step-*.npz"))


def _explain_unfinished(path: Path, state: RunState) -> None:
    """Notes on stderr that a run is not finished; raises an error if it has no model."""
    if state is RunState.training:
        what = f"'{path}' is still being trained by another process"
        advice = "Wait for the end of its first epoch."
    else:
        what = f"The training of '{path}' never finished: it was stopped or killed"
        advice = f"Go on with {quoted(called_as())} train --resume {quoted(path)}, or remove it."
    if not (path / MODEL).is_file():
        raise FileNotFoundError(f"{what}, and no epoch had ended: there is no {MODEL}. {advice}")
    typer.echo(f"{plain_text(what)}. Its best model so far is taken.", err=True)


def _what_is_there(path: Path) -> str:
    if path.is_dir():
        return f"'{path}' holds no such files"
    return f"'{path}' is a file" if path.exists() else f"there is no '{path}'"


def _near_runs(path: Path) -> str:
    found = {
        str(config.parent)
        for folder in {path.parent, Path("runs")}
        if folder.is_dir()
        for config in folder.glob(f"*/{CONFIG}")
        if config.with_name(MODEL).is_file() and config.parent != path
    }
    names = {Path(run).name: run for run in sorted(found)}
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(repr(names[name]) for name in near)}?"
    if names:
        return f" There is {', '.join(repr(run) for run in sorted(names.values())[:5])}."
    return " Begin with 'kerasar train shifted-pixelcnn --data digits'."
