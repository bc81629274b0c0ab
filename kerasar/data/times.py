"""Times of a series as files write them, and the steps from one to the next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Names that columns of times have.
TIME_NAMES = frozenset(
    "ds date dates time times timestamp datetime day week month quarter year period".split()
)
_MONTHS = ("jan feb mar apr may jun jul aug sep oct nov dec").split()
_CLOCK = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:Z|[+-]00:?00)?)?"
_NUMBERS = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_CLOCK}$")
_JOINED = re.compile(rf"([12]\d{{3}})(\d{{2}})(\d{{2}}){_CLOCK}$")
_MONTH = re.compile(r"(\d{4})[-/. ](\d{1,2})$|(\d{4})[-/. ]?M(\d{1,2})$")
_QUARTER = re.compile(r"(\d{4})[-/. ]?Q([1-4])$", re.IGNORECASE)
_YEAR = re.compile(r"([12]\d{3})(?:\.0*)?$")
_NAMED = re.compile(r"(\d{4})[-/. ]+([A-Za-z]{3})[a-z]*(?:[-/. ]+(\d{1,2}))?$")
_NAMED_FIRST = re.compile(
    r"(?:(\d{1,2})[-/. ]+)?([A-Za-z]{3})[a-z]*[-/. ]+(?:(\d{1,2}),?[-/. ]+)?(\d{4})$"
)

Times = NDArray[np.datetime64]


def parse_times(cells: Sequence[str], bare_years: bool = False) -> Times | None:
    """Cells as times, `datetime64[s]`; None unless all are times of a known form.

    Known are `2000-06-05`, also with `/` or `.`, and with a time of day; `20000605`; `2000-06`,
    `2000M06`, `2000 Jun`, `Jun 2000`, `Jun 5 2000`, `5 Jun 2000`; `2000Q2`; and years.

    Args:
        cells: the texts.
        bare_years: whether numbers like 2000 and 20000605 are times too.
    """
    found = np.empty(len(cells), "datetime64[s]")
    for i, cell in enumerate(cells):
        moment = _parsed(cell.strip(), bare_years)
        if moment is None:
            return None
        found[i] = moment
    return found if len(found) else None


def _parsed(cell: str, bare: bool) -> Any:
    if match := _NUMBERS.match(cell):
        year, _, month, day, *clock = match.groups()
        return _moment(year, month, day, *clock)
    if match := _MONTH.match(cell):
        year, month, other_year, other = match.groups()
        return _moment(year or other_year, month or other)
    if match := _QUARTER.match(cell):
        return _moment(match[1], str(3 * int(match[2]) - 2))
    if match := _NAMED.match(cell):
        return _moment(match[1], _month_number(match[2]), match[3])
    if match := _NAMED_FIRST.match(cell):
        return _moment(match[4], _month_number(match[2]), match[1] or match[3])
    if bare and (match := _JOINED.match(cell)):
        return _moment(*match.groups())
    if bare and (match := _YEAR.match(cell)):
        return _moment(match[1])
    return None


def _month_number(name: str) -> str:
    return str(_MONTHS.index(name.lower()) + 1) if name.lower() in _MONTHS else "0"


def _moment(
    year: str,
    month: str | None = None,
    day: str | None = None,
    hour: str | None = None,
    minute: str | None = None,
    second: str | None = None,
) -> Any:
    """The time, or None if there is no such day or hour."""
    text = f"{year}-{int(month or 1):02d}-{int(day or 1):02d}T"
    text += f"{int(hour or 0):02d}:{int(minute or 0):02d}:{int(second or 0):02d}"
    try:
        return np.datetime64(text, "s")
    except ValueError:
        return None


@dataclass(frozen=True)
class Frequency:
    """The step from one time to the next: so many months, or so many seconds.

    Attributes:
        months: 1 for months, 3 for quarters, 12 for years; 0 for steps of equal length.
        seconds: their length; 0 for months.
        ends: whether times are the last days of months, whatever their number.
    """

    months: int = 0
    seconds: int = 0
    ends: bool = False

    def __str__(self) -> str:
        for count, unit in ((self.months, 12), (self.months, 1)):
            if count and count % unit == 0:
                return _counted(count // unit, {12: "year", 1: "month"}[unit])
        units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
        length, name = next(unit for unit in units if self.seconds % unit[0] == 0)
        return _counted(self.seconds // length, name)

    def after(self, last: Any, steps: int) -> Times:
        """The times of the steps after one."""
        ahead = np.arange(1, steps + 1)
        if self.seconds:
            return last + ahead * np.timedelta64(self.seconds, "s")
        month = last.astype("datetime64[M]")
        # The last day of a month is counted back from the first of the next.
        anchor = month + int(self.ends)
        within = last - anchor.astype("datetime64[s]")
        return (anchor + ahead * self.months).astype("datetime64[s]") + within

    def steps_between(self, times: Times) -> NDArray[np.float64]:
        """Of each time, how many steps after the first it is; not whole where it is off."""
        if self.seconds:
            return (times - times[0]).astype("int64") / self.seconds
        months = times.astype("datetime64[M]")
        within = (times - (months + int(self.ends)).astype("datetime64[s]")).astype("int64")
        off = np.where(within == within[0], 0.0, 0.5)
        return (months - months[0]).astype("int64") / self.months + off


def find_frequency(times: Times) -> Frequency | None:
    """The step that most neighbors have; None for fewer than two different times."""
    if len(times) < 2:
        return None
    months = times.astype("datetime64[M]")
    apart = np.diff(months.astype("int64"))
    for ends in (False, True):
        within = (times - (months + int(ends)).astype("datetime64[s]")).astype("int64")
        if (within == within[0]).all() and (apart != 0).all():
            return Frequency(months=_commonest(np.abs(apart)), ends=ends)
    seconds = np.abs(np.diff(times).astype("int64"))
    seconds = seconds[seconds > 0]
    return Frequency(seconds=_commonest(seconds)) if len(seconds) else None


def _commonest(values: NDArray[Any]) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _counted(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def time_text(moment: Any) -> str:
    """A time as it is written to files: a date, with the time of day if it is not midnight."""
    text = str(np.datetime64(moment, "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")
