"""Times of a series as files write them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasar.data.frequency import Times, find_frequency

#: Names that columns of times have.
TIME_NAMES = frozenset(
    "ds date dates time times timestamp datetime epoch unixtime day week month quarter year "
    "period".split()
)
_MONTHS = (
    "january february march april may june july august september october november december"
).split()
#: A date, and what may follow: a time of day, and its distance from that of Greenwich.
_PARTS = re.compile(
    r"(.*?)(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?"
    r"(?: *([AP])\.?M\.?)?(?: *(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$",
    re.IGNORECASE,
)
_BY_MONTH = re.compile(r"([A-Za-z]{3,})\.?[-/. ]*(\d{2})$")
_ANY_ORDER = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})$")
#: Which part is the year, the month and the day, in the orders that a date may have.
_ORDERS = ((2, 1, 0), (2, 0, 1), (0, 1, 2))

_Date = np.datetime64 | None


def parse_times(cells: Sequence[str], bare_years: bool = False) -> Times | None:
    """Cells as times, `datetime64[s]`; None unless all are times of a known form.

    Known are `2000-06-05`, also with `/` or `.`; `20000605`; `2000-06`, `2000M06`, `2000 Jun`,
    `Jun 2000`, `Jun-00`, `Jun 5 2000`, `5 Jun 2000`; `2000Q2`, `Q2 2000`; `2000-W23`; years; and
    seconds and milliseconds since 1970. `05.06.2000` begins with the day, and `05/06/2000` with
    the day or the month: the one with which all cells are dates, and the most evenly apart; where
    neither is, it is none. Behind a date may be a time of day. Those in one time zone are its
    clocks'; those in several become those of Greenwich.

    Args:
        cells: the texts.
        bare_years: whether numbers like 2000, 200006, 20000605 and 960163200 are times too.
    """
    parts = [_PARTS.match(cell.strip()) for cell in cells]
    if not parts or not all(parts):
        return None
    dates: list[str] = []
    clocks = np.zeros(len(cells), "int64")
    zones = np.zeros(len(cells), "int64")
    fractions = set()
    for i, match in enumerate(parts):
        date, hour, minute, second, fraction, half, zone = match.groups()  # type: ignore[union-attr]
        clock = _seconds(hour, minute, second, half)
        if clock is None:
            return None
        dates.append(date.strip())
        clocks[i], zones[i] = clock, _offset(zone)
        fractions.add((fraction or "").rstrip("0"))
    if len(fractions) > 1:
        return None
    if (zones != zones[0]).any():
        clocks -= zones
    clock_times = clocks * np.timedelta64(1, "s")
    days = _days(dates, bare_years, clock_times)
    return None if days is None else days + clock_times


def _days(dates: Sequence[str], bare: bool, clocks: Any) -> Times | None:
    """Dates as times, by the first form that all of them have."""
    forms: list[Callable[[str], Any]] = [_plain_date]
    forms += [_number] if bare else []
    for form in forms:
        if (found := _each(dates, form)) is not None:
            return found
    by_month = [_BY_MONTH.match(date) for date in dates]
    if all(by_month) and len({match[1] for match in by_month if match}) > 1:
        return _each(dates, lambda date: _month_and_year(*_BY_MONTH.match(date).groups()))  # type: ignore[union-attr]
    return _in_any_order(dates, clocks)


def _each(dates: Sequence[str], form: Callable[[str], Any]) -> Times | None:
    found = np.empty(len(dates), "datetime64[s]")
    for i, date in enumerate(dates):
        moment = form(date)
        if moment is None:
            return None
        found[i] = moment
    return found


_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Any]], ...] = (
    (re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$"), lambda y, _, m, d: _date(y, m, d)),
    (re.compile(r"(\d{4})[-/. ](\d{1,2})$"), lambda y, m: _date(y, m)),
    (re.compile(r"(\d{4})[-/. ]?M(\d{1,2})$"), lambda y, m: _date(y, m)),
    (re.compile(r"(\d{4})[-/. ]?Q([1-4])$", re.I), lambda y, q: _date(y, 3 * int(q) - 2)),
    (re.compile(r"Q([1-4])[-/. ]*(\d{4})$", re.I), lambda q, y: _date(y, 3 * int(q) - 2)),
    (re.compile(r"(\d{4})[-/. ]?W(\d{2})(?:-?([1-7]))?$", re.I), lambda *ywd: _week(*ywd)),
    (
        re.compile(r"(\d{4})[-/. ]+([A-Za-z]{3,})\.?(?:[-/. ]+(\d{1,2}))?$"),
        lambda y, m, d: _date(y, _month(m), d),
    ),
    (
        re.compile(r"(\d{1,2})[-/. ]+([A-Za-z]{3,})\.?[-/., ]+(\d{4}|\d{2})$"),
        lambda d, m, y: _date(_full(y), _month(m), d),
    ),
    (
        re.compile(r"([A-Za-z]{3,})\.?[-/. ]+(?:(\d{1,2}),?[-/. ]+)?(\d{4})$"),
        lambda m, d, y: _date(y, _month(m), d),
    ),
)


def _plain_date(cell: str) -> _Date:
    """A date that can be read in one way only."""
    for pattern, read in _FORMS:
        if match := pattern.match(cell):
            return read(*match.groups())
    return None


def _number(cell: str) -> _Date:
    """A date that is written as a number."""
    cell = re.sub(r"\.0*$", "", cell)
    if match := re.match(r"([12]\d{3})(?:(\d{2})(\d{2})?)?$", cell):
        return _date(*match.groups())
    if re.match(r"\d{9,10}$", cell):
        return np.datetime64(int(cell), "s")
    if re.match(r"\d{9,10}000$", cell):
        return np.datetime64(int(cell) // 1000, "s")
    return None


def _in_any_order(dates: Sequence[str], clocks: Any) -> Times | None:
    """Dates whose day may be before or behind their month, by what is possible and likely."""
    matches = [match for date in dates if (match := _ANY_ORDER.match(date))]
    if len(matches) < len(dates):
        return None
    parts = [(match[1], match[3], match[4]) for match in matches]
    is_long = any(len(part[2]) == 4 for part in parts)
    count = 3 if not is_long else 1 if matches[0][2] == "." else 2
    found = []
    for year, month, day in _ORDERS[:count]:
        times = _each(
            [f"{_full(part[year])}-{part[month]}-{part[day]}" for part in parts], _plain_date
        )
        if times is not None:
            found.append((_evenness(times + clocks), times))
    found.sort(key=lambda pair: pair[0], reverse=True)
    if not found or (len(found) > 1 and found[0][0] == found[1][0]):
        return None
    return found[0][1]


def _evenness(times: Times) -> float:
    """The share of steps that have a time; 0 if some are between steps."""
    different = np.unique(times)
    frequency = find_frequency(different)
    if frequency is None:
        return 0.0
    steps = frequency.steps_between(different)
    return len(steps) / (float(steps[-1]) + 1) if (steps % 1 == 0).all() else 0.0


def _full(year: str) -> str:
    """A year of two digits is one of 1970 to 2069."""
    return year if len(year) == 4 else str(1970 + (int(year) - 70) % 100)


def _month(name: str) -> int:
    """The number of the month whose name so begins; 0 for none."""
    found = [i for i, month in enumerate(_MONTHS) if month.startswith(name.lower())]
    return found[0] + 1 if found else 0


def _month_and_year(name: str, year: str) -> _Date:
    return _date(_full(year), _month(name))


def _date(year: str, month: str | int | None = None, day: str | None = None) -> _Date:
    """The date, or None if there is no such day."""
    try:
        month_number = 1 if month is None else int(month)
        return np.datetime64(f"{year}-{month_number:02d}-{int(day or 1):02d}", "s")
    except ValueError:
        return None


def _week(year: str, week: str, day: str | None) -> _Date:
    """A day of a week, by default Monday: the first week of a year is that of January 4."""
    fourth = np.datetime64(f"{year}-01-04")
    monday = fourth - (int(fourth.astype("int64")) + 3) % 7
    found = monday + 7 * (int(week) - 1) + int(day or 1) - 1
    return found.astype("datetime64[s]") if 1 <= int(week) <= 53 else None


def _seconds(hour: str | None, minute: str, second: str | None, half: str | None) -> int | None:
    """The second of the day, 0 without a time of day; None if there is no such."""
    if hour is None:
        return 0
    hours = int(hour)
    if half is not None:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + 12 * (half.upper() == "P")
    if hours > 23 or int(minute) > 59 or int(second or 0) > 59:
        return None
    return 3600 * hours + 60 * int(minute) + int(second or 0)


def _offset(zone: str | None) -> int:
    """How many seconds the clocks of a zone are ahead of those of Greenwich."""
    if zone is None or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = 3600 * int(digits[:2]) + 60 * int(digits[2:])
    return -seconds if zone[0] == "-" else seconds
