"""The anomaly detector of a run, for `kerasar score --detector`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.shell import quoted
from kerasar.data.plain_text import picture_text, plain_text

if TYPE_CHECKING:
    from kerasar.scores import AnomalyDetector, Explanation

DETECTOR = "detector.keras"
#: How many of the strangest are drawn.
_DRAWN = 12


def load_detector(run: RunFolder, model: Any) -> AnomalyDetector | None:
    """The detector that a run keeps; None if it keeps none.

    Raises:
        ValueError: if it is damaged, or of another model.
    """
    import kerasar

    path = run.path / DETECTOR
    if not path.is_file():
        return None
    detector = kerasar.load(path)
    weights = [getattr(part, "weights", ()) for part in (getattr(detector, "model", None), model)]
    same = len(weights[0]) == len(weights[1]) and all(
        a.shape == b.shape and np.array_equal(a, b) for a, b in zip(*weights, strict=True)
    )
    if not same:
        raise ValueError(
            f"'{path}' must be a detector of the model in '{run.path}', but it is of another one. "
            f"Remove it with rm {quoted(path)}, and it is made anew."
        )
    return detector


def fit_detector(model: Any, good: Any, whose: str) -> AnomalyDetector:
    """A detector fitted on good examples.

    Raises:
        ValueError: if they are too few; says what to do.
    """
    import kerasar

    try:
        return kerasar.AnomalyDetector(model).fit(good)
    except ValueError as error:
        raise ValueError(
            f"{error} They are {whose}; --good DATA names others, which the model has not seen."
        ) from error


def keep_detector(run: RunFolder, detector: AnomalyDetector) -> None:
    """Writes a detector to the run's folder."""
    with atomic_write(run.path / DETECTOR) as file:
        detector.save(file)


def describe(found: Explanation, names: Sequence[str], rate: float, limit: float) -> str:
    """How many alarms there are, and what is strangest."""
    k = int(np.argmax(found.score))
    alarms = int((found.score > limit).sum())
    return (
        f"{alarms:,} of {len(names):,} are alarms, at a rate of {rate:g} false alarms among good "
        f"ones; the strangest is {plain_text(names[k])}, by its {in_words(found.statistic[k])} "
        f"(p = {found.p_value[k]:.2g})."
    )


def in_words(statistic: str) -> str:
    """The name of a statistic as words."""
    return statistic.replace("_", " ")


def draw_strangest(
    path: Path, images: np.ndarray, found: Explanation, names: Sequence[str], levels: int, of: str
) -> None:
    """Writes a picture of the strangest images, and where they are strange."""
    from kerasar.pictures import save, strangest_figure

    excess = np.asarray(found.excess_map)
    order = np.argsort(-found.score)[:_DRAWN]
    titles = [
        picture_text(f"{names[k]}: {in_words(found.statistic[k])}, p = {found.p_value[k]:.2g}")
        for k in order
    ]
    heading = f"{of}: the strangest first; right: bits beyond what the model expected"
    with atomic_write(path) as file:
        save(strangest_figure(images[order], excess[order], levels, titles, heading), file)


def say_what_it_was_fitted_on(run: RunFolder, detector: AnomalyDetector) -> None:
    """A line on the terminal, for a detector that was fitted just now."""
    count = len(detector.rarity.calibration.scores)
    low, high = detector.expected_range(0.05)
    typer.echo(
        f"Fitted a detector on the examples that chose the best epoch, {count:,} of them for "
        f"calibration, and kept it as '{plain_text(run.path / DETECTOR)}'. Alarms asked for at "
        f"0.05 come at {low:.2g} to {high:.2g}.",
        err=True,
    )
