"""`kerasar runs`."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.support.outputs import print_table
from kerasar.cli.support.run_config import read_config
from kerasar.cli.support.run_folder import CONFIG, RunState, has_checkpoints

_STATES = {
    RunState.finished: "finished",
    RunState.training: "being trained",
    RunState.killed: "not finished",
}


def runs(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where runs are, at any depth.")
    ] = Path("runs"),
) -> None:
    """List the runs in FOLDER: model, data, epochs, the best validation result, finished or not.

    kerasar runs
    kerasar runs experiments
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"FOLDER must be a folder with runs in it, but there is no folder '{folder}'. "
            "'kerasar train' makes runs/ unless --out says otherwise."
        )
    rows = [_row(file.parent) for file in sorted(folder.rglob(CONFIG)) if _is_run(file)]
    if not rows:
        raise FileNotFoundError(
            f"FOLDER must be a folder with runs in it, but '{folder}' has none."
        )
    print_table(("RUN", "model", "data", "epochs", "best bits/dim", "state"), rows)


def _is_run(file: Path) -> bool:
    """Not the notes of an export, which have the same name."""
    return file.parent.name != "assets" and RunState.of(file.parent) is not None


def _row(path: Path) -> tuple[str, ...]:
    state = RunState.of(path)
    said = "" if state is None else _STATES[state]
    if state is RunState.killed and has_checkpoints(path / "checkpoints"):
        said += ", can be resumed"
    try:
        config = read_config(path / CONFIG)
    except ValueError as error:
        return str(path), "", "", "", "", f"damaged: {error}"
    reached = _reached(path / "history.csv")
    of_all = "" if config.get("epochs") is None else f"/{config['epochs']}"
    best = f"{min(reached):.3f}" if reached else ""
    return str(path), config.get("model", ""), config["data"], f"{len(reached)}{of_all}", best, said


def _reached(file: Path) -> list[float]:
    """The validation result of each epoch, as far as they were written."""
    try:
        with file.open(encoding="utf-8") as rows:
            return [float(row["val_bits_per_dim"]) for row in csv.DictReader(rows)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
