"""The steps from one time of a series to the next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
#: Days from the first time to the last from which on weekdays without any are known to have none,
#: and the share of the others that has a time, at least.
_WEEKS_SEEN, _DENSE = 21, 0.7


@dataclass(frozen=True)
class Frequency:
    """The step from one time to the next: so many months, or so many seconds.

    Attributes:
        months: 1 for months, 3 for quarters, 12 for years; 0 for steps of equal length.
        seconds: their length; 0 for months.
        day: the day of the month, and the last one of months that are shorter: 31 is the end.
        weekdays: where steps are days of some weekdays only: these, 0 for Monday.
    """

    months: int = 0
    seconds: int = 0
    day: int = 1
    weekdays: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.weekdays:
            usual = self.weekdays == (0, 1, 2, 3, 4)
            return "weekday" if usual else f"day of weeks of {len(self.weekdays)} days"
        for count, unit in ((self.months, 12), (self.months, 1)):
            if count and count % unit == 0:
                return _counted(count // unit, {12: "year", 1: "month"}[unit])
        units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
        length, name = next(unit for unit in units if self.seconds % unit[0] == 0)
        return _counted(self.seconds // length, name)

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` makes it from again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Frequency":
        """That of which `to_dict` is this."""
        return cls(**{**given, "weekdays": tuple(given["weekdays"])})

    def after(self, last: Any, steps: int) -> Times:
        """The times of the steps after one."""
        ahead = np.arange(1, steps + 1)
        if self.seconds and not self.weekdays:
            return last + ahead * np.timedelta64(self.seconds, "s")
        date = last.astype("datetime64[D]")
        if self.weekdays:
            dates = np.busday_offset(date, ahead, "preceding", weekmask=self._mask)
        else:
            dates = _dates(last.astype("datetime64[M]") + ahead * self.months, self.day)
        return dates.astype("datetime64[s]") + (last - date)

    def steps_between(self, times: Times) -> NDArray[np.float64]:
        """Of each time, how many steps after the first it is; not whole where it is off."""
        if self.seconds and not self.weekdays:
            return (times - times[0]).astype("int64") / self.seconds
        dates = times.astype("datetime64[D]")
        within = times - dates
        if self.weekdays:
            fits = np.is_busday(dates, weekmask=self._mask)
            count = np.busday_count(dates[0], dates, weekmask=self._mask).astype("float64")
        else:
            months = times.astype("datetime64[M]")
            fits = dates == _dates(months, self.day)
            count = (months - months[0]).astype("int64") / self.months
        return count + np.where(fits & (within == within[0]), 0.0, 0.5)

    @property
    def is_of_days(self) -> bool:
        """Whether steps are days, of all weekdays or of some."""
        return self.seconds == 86_400

    @property
    def _mask(self) -> list[bool]:
        return [day in self.weekdays for day in range(7)]


def find_frequency(times: Times) -> Frequency | None:
    """The step that most neighbors have; None for fewer than two different times."""
    if len(times) < 2:
        return None
    months = times.astype("datetime64[M]")
    apart = np.abs(np.diff(months.astype("int64")))
    if (apart != 0).all():
        dates = times.astype("datetime64[D]")
        ends = (dates == _dates(months, 31)).all()
        day = 31 if ends else int((dates - months).astype("int64").max()) + 1
        within = times - dates
        if (dates == _dates(months, day)).all() and (within == within[0]).all():
            return Frequency(months=_commonest(apart), day=day)
    seconds = np.abs(np.diff(times).astype("int64"))
    seconds = seconds[seconds > 0]
    if not len(seconds):
        return None
    found = Frequency(seconds=_commonest(seconds))
    return _on_weekdays(times, found) or found


def _on_weekdays(times: Times, plain: Frequency) -> Frequency | None:
    """The frequency of days on some weekdays, if times are on all of these and no others."""
    dates = times.astype("datetime64[D]")
    seen = tuple(np.unique((dates.astype("int64") + 3) % 7).tolist())  # 1970 began on a Thursday
    apart = dates.max() - dates.min()
    if len(seen) == 7 or apart < _WEEKS_SEEN * _DAY or (np.diff(dates) < _DAY).any():
        return None
    found = Frequency(seconds=86_400, weekdays=seen)
    density = _density(times, found)
    return found if density >= _DENSE and density > _density(times, plain) else None


def _density(times: Times, frequency: Frequency) -> float:
    """The share of steps that have a time; 0 if some times are between steps."""
    steps = frequency.steps_between(times)
    return len(steps) / (steps.max() + 1) if (steps % 1 == 0).all() else 0.0


def _dates(months: Any, day: int) -> Any:
    """The day of each month, or the last one of a shorter one."""
    first = months.astype("datetime64[D]")
    last = (months + 1).astype("datetime64[D]") - _DAY
    return np.minimum(first + (day - 1) * _DAY, last)


def _commonest(values: NDArray[Any]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _counted(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def time_text(moment: Any) -> str:
    """A time as it is written to files: a date, with the time of day if it is not midnight."""
    text = str(np.datetime64(moment, "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")
