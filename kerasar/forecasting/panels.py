"""Forecasts of many series by one model, all of them in one batch."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasar.arguments import checks_arguments
from kerasar.checks import check_choice, check_count, check_kind, check_memory, user_path
from kerasar.data import PanelData
from kerasar.data.plain_text import csv_cell
from kerasar.forecasting.draw import (
    SequenceModel,
    context_of,
    covariate_rows,
)
from kerasar.forecasting.paths import Forecast
from kerasar.forecasting.runaway import Limits, keep_within

#: Paths that are drawn at once: a panel has many, and each is short.
_CHUNK = 2048


class Origin(NamedTuple):
    """A place from which a series is forecast.

    Attributes:
        past: the steps that are known, `(steps,)`.
        covariates: of these and of those ahead, `(steps + ahead, covariates)`; None: none.
        series: which one it is, from 1; 0: none that the model knows.
    """

    past: NDArray[Any]
    covariates: NDArray[Any] | None = None
    series: int = 0


@dataclass(frozen=True, eq=False)
class PanelForecast:
    """Possible futures of many series.

    Attributes:
        forecasts: the `Forecast` of each series, by name.
    """

    forecasts: dict[str, Forecast]

    def __getitem__(self, name: str) -> Forecast:
        return self.forecasts[name]

    @property
    def clipped(self) -> int:
        """How many paths ran away."""
        return sum(each.clipped for each in self.forecasts.values())

    def write_paths(self, path: str | os.PathLike[str]) -> None:
        """Writes a CSV file as `Forecast.write_paths` does, behind a column `unique_id`."""
        self._write(path, {name: each.path_rows() for name, each in self.forecasts.items()})

    @checks_arguments
    def write_quantiles(
        self,
        path: str | os.PathLike[str],
        probabilities: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    ) -> None:
        """Writes a CSV file as `Forecast.write_quantiles` does, behind a column `unique_id`."""
        rows = {n: each.quantile_rows(probabilities) for n, each in self.forecasts.items()}
        self._write(path, rows)

    def _write(self, path: str | os.PathLike[str], tables: Mapping[str, Any]) -> None:
        with open(user_path(path), "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            for i, (name, (header, rows)) in enumerate(tables.items()):
                if i == 0:
                    table.writerow(["unique_id", *map(csv_cell, header)])
                table.writerows([csv_cell(name), *row] for row in rows)


@checks_arguments
def forecast_panel(
    model: SequenceModel,
    panel: PanelData | Mapping[str, Any],
    steps: int,
    num_paths: int = 200,
    seed: int = 0,
    known: Sequence[str] = (),
    context: int | None = None,
    on_runaway: str = "error",
    covariates: Mapping[str, Any] | None = None,
    **options: Any,
) -> PanelForecast:
    """Draws continuations of many series, all in one batch.

    Args:
        model: of one variable and of open length, such as a `Forecaster` whose likelihood has
            `own_scale=True`: it takes series of any size, also such that it was not trained on.
        panel: the series up to now, by name, `(steps,)` each; lengths may differ, NaN is missing.
        steps: int. How many steps to go on.
        num_paths: int. Paths of each series.
        seed: as for `model.sample`.
        known: the names of the series that the model was trained on, in their order, for a model
            that takes the condition `series`. Others are new to it.
        context, on_runaway: as for `kerasar.forecast`.
        covariates: of each series by name, of its steps and of those ahead. None takes those of a
            `PanelData`.
        **options: `temperature` and so on, as for `model.sample`.

    Returns:
        A `PanelForecast`.

    Raises:
        ValueError, TypeError: for arguments that do not fit.
        FloatingPointError: if paths run away; the message names the series.
    """
    check_count(steps, "steps")
    check_count(num_paths, "num_paths")
    check_choice(on_runaway, "on_runaway", ("error", "clip"))
    pasts: Mapping[str, Any] = panel.whole if isinstance(panel, PanelData) else panel
    if not pasts:
        raise ValueError("A panel needs at least one series, but got none.")
    place = {name: i + 1 for i, name in enumerate(known)}
    origins = []
    for i, (name, past) in enumerate(pasts.items()):
        given = check_kind(past, f"series '{name}'").astype("float32")
        beside = None if covariates is None else covariates[name]
        if beside is None and isinstance(panel, PanelData):
            beside = panel.series[i].covariates_of(len(given) + steps)
        origins.append(Origin(given, beside, place.get(name, 0)))
    drawn = draw_panel(model, origins, steps, num_paths, seed, context, **options)
    found = {}
    for i, (name, origin) in enumerate(zip(pasts, origins, strict=True)):
        limits = Limits.of(model.likelihood, origin.past[:, None])
        label = f"{model.name}' for series '{name}"
        paths, clipped = keep_within(drawn[i][..., None], limits, [name], on_runaway, label)
        times = None
        if isinstance(panel, PanelData):
            times = panel.series[i].times_after(origin.past, steps)
        column = panel.column if isinstance(panel, PanelData) else "value"
        found[name] = Forecast(origin.past, paths[..., 0], (column,), clipped, times)
    return PanelForecast(found)


def draw_panel(
    model: SequenceModel,
    origins: Sequence[Origin],
    steps: int,
    num_paths: int,
    seed: int = 0,
    context: int | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Paths from each origin, `(origins, num_paths, steps)`, in one batch.

    Series that are shorter than others have missing steps before them.
    """
    if len(model.data_shape) != 1 or model.data_shape[0] is not None or model.data_levels:
        raise ValueError(
            f"A panel is forecast by a model of real series of one variable and of open length, "
            f"but '{model.name}' is for data of shape {model.data_shape}."
        )
    for origin in origins:
        if origin.past.ndim != 1 or not np.isfinite(origin.past).any():
            raise ValueError(
                "Each series of a panel needs the shape (steps,) and a value that is observed, but "
                f"one has the shape {origin.past.shape} and "
                f"{int(np.isfinite(origin.past).sum())} values."
            )
    kept = context_of(model, context, steps, [origin.past for origin in origins])
    check_memory("num_paths", num_paths, (len(origins), num_paths, kept + steps))
    prompts = np.stack([_end(origin.past, kept, np.nan) for origin in origins])
    condition: dict[str, Any] = {}
    rows = []
    for origin in origins:
        place = len(origin.past)
        found = covariate_rows(model, origin.covariates, [place], min(kept, place), steps)
        if found is not None:
            rows.append(_end(found[0], kept + steps, 0.0))
    if rows:
        condition["covariates"] = np.repeat(np.stack(rows), num_paths, axis=0)
    if "series" in model.conditions.shapes:
        series = np.array([origin.series for origin in origins], "int32")
        condition["series"] = np.repeat(series, num_paths)
    if condition:
        options["condition"] = condition
    drawn = model.sample(
        len(origins) * num_paths,
        seed=seed,
        prompt=np.repeat(prompts, num_paths, axis=0),
        length=kept + steps,
        **{"chunk_size": _CHUNK, **options},
    )
    return drawn[:, kept:].reshape(len(origins), num_paths, steps)


def _end(rows: NDArray[Any], count: int, before: float) -> NDArray[Any]:
    """The last so many rows; where there are fewer, others in front."""
    rows = rows[-count:]
    lack = [(count - len(rows), 0), *[(0, 0)] * (rows.ndim - 1)]
    return np.pad(rows, lack, constant_values=before)
