"""A run: the folder that `kerasar train` makes and the other commands take."""

from __future__ import annotations

import contextlib
import difflib
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasar.cli.support.outputs import atomic_write, next_free

CONFIG, MODEL = "config.json", "model.keras"


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
        """Makes a new run, with its settings; removes it at the end if it has no model."""
        import keras

        import kerasar

        versions = {
            "kerasar": kerasar.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        }
        made = [parent for parent in path.parents if not parent.exists()]
        path.mkdir(parents=True)
        run = cls(path, {**versions, **config})
        try:
            run.save_config()
            yield run
        finally:
            if not (path / MODEL).exists():
                shutil.rmtree(path)
                for parent in made:
                    parent.rmdir()

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Opens a run that exists.

        Raises:
            FileNotFoundError: if there is no such folder, or it is not a run's.
            ValueError: if its `config.json` is damaged.
        """
        if not (path / CONFIG).is_file() or not (path / MODEL).is_file():
            raise FileNotFoundError(
                f"RUN must be a folder that 'kerasar train' made, with {CONFIG} and {MODEL} in "
                f"it, but {_what_is_there(path)}.{_near_runs(path)}"
            )
        try:
            config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"'{path / CONFIG}' must be JSON, as 'kerasar train' wrote it, but cannot be read: "
                f"{error}. Restore it, or train again."
            ) from error
        if not isinstance(config, dict) or "data" not in config:
            raise ValueError(
                f"'{path / CONFIG}' must hold what 'kerasar train' wrote, with \"data\" among it, "
                "but does not. Restore it, or train again."
            )
        return cls(path, config)

    @property
    def title(self) -> str:
        """The name of the run in pictures."""
        return f"{self.config.get('model', 'model')} on {self.config['data']}"

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
        known: list[str] = self.config["classes"]
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
            file.write_text(json.dumps(self.config, indent=2) + "\n", encoding="utf-8")

    def save_model(self, model: Any) -> None:
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
            return kerasar.load(file)
        # A damaged archive fails in zipfile, h5py, json or Keras, each with errors of its own.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"'{file}' must be a model that 'kerasar train' saved, but cannot be read "
                f"({type(error).__name__}: {reason}). Copy it again, or train again."
            ) from error

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
    }
    names = {Path(run).name: run for run in sorted(found)}
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return f" Did you mean {' or '.join(repr(names[name]) for name in near)}?"
    if names:
        return f" There is {', '.join(repr(run) for run in sorted(names.values())[:5])}."
    return " Begin with 'kerasar train shifted-pixelcnn --data digits'."
