"""What the calendar says of each step: covariates that are known of any step ahead."""

import numpy as np
from numpy.typing import NDArray

from kerasar.data.frequency import Frequency, Times

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def calendar_columns(times: Times, step: Frequency) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The place of each time in the day, the week and the year, as far as steps tell them apart.

    Args:
        times: of the steps.
        step: from one to the next. Hours are told for steps of less than a day, weekdays up to a
            day, and the time of the year for less than a year.

    Returns:
        Names, and values `(steps, columns)`: sines and cosines of the first two harmonics of the
        day and of the year, and 1 on each weekday.

    Raises:
        ValueError: for steps of a year or more, of which a calendar says nothing.
    """
    seconds = times.astype("datetime64[s]").astype("int64")
    found: dict[str, NDArray[np.float64]] = {}
    if step.seconds and step.seconds < 86_400:
        found |= _circle("hour", seconds % 86_400 / 86_400)
    if step.seconds and step.seconds <= 86_400:
        weekday = (seconds // 86_400 + 3) % 7  # 1970 began on a Thursday
        found |= {name: (weekday == i).astype("float64") for i, name in enumerate(_DAYS)}
    if step.months < 12 and step.seconds < 300 * 86_400:
        years = times.astype("datetime64[Y]")
        begin, end = ((years + later).astype("datetime64[s]").astype("int64") for later in (0, 1))
        found |= _circle("year", (seconds - begin) / (end - begin))
    if not found:
        raise ValueError(f"The calendar says nothing of steps of a {step}. Leave calendar out.")
    return tuple(found), np.stack(list(found.values()), axis=1).astype("float32")


def _circle(name: str, share: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Sines and cosines of a share of a period."""
    return {
        f"{name} {label} {k}": wave(2 * np.pi * k * share)
        for k in (1, 2)
        for label, wave in (("sin", np.sin), ("cos", np.cos))
    }
