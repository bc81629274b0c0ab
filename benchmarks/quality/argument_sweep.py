"""Replaces one argument of a right call by something wrong, and looks at what the user is told.

What is right is a TypeError or ValueError of kerasar's own that names the argument. A raw error
comes from inside Keras, TensorFlow, NumPy or Python, or does not say which argument it is about.

    python -m benchmarks.quality.argument_sweep  # some minutes
    python -m benchmarks.quality.argument_sweep --tiny --out /tmp/tiny  # seconds, to see it run
"""

import contextlib
import io
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine

#: What arguments are replaced by: the name of the value in the report, and the value.
WRONG: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "'no'": "no",
    "''": "",
    "b'x'": b"x",
    "2.5": 2.5,
    "-1": -1,
    "-2.5": -2.5,
    "0": 0,
    "nan": float("nan"),
    "inf": float("inf"),
    "10**11": 10**11,
    "10**30": 10**30,
    "-10**30": -(10**30),
    "1+2j": 1 + 2j,
    "[]": [],
    "()": (),
    "{}": {},
    "{'a': 1}": {"a": 1},
    "[[1]]": [[1]],
    "[None]": [None],
    "['no']": ["no"],
    "[2.5, -1]": [2.5, -1],
    "(True, True)": (True, True),
    "(-1, 0, 2)": (-1, 0, 2),
    "(10**30,)": (10**30,),
    "{2, 3}": {2, 3},
    "object()": object(),
    "type": int,
    "print": print,
    "range(3)": range(3),
    "int64(2)": np.int64(2),
    "float32(1.5)": np.float32(1.5),
    "bool_(True)": np.bool_(True),
    "array of complex": np.ones((2, 2), complex),
    "array of text": np.array(["a", "b"]),
    "array of objects": np.array([None, {}], object),
    "array of rank 0": np.array(1),
    "array of rank 6": np.ones((1,) * 6),
    "array of NaN": np.full((2, 2), np.nan),
    "empty array": np.ones((0, 2)),
}

CLEAR, RIGHT, RAW, WRONGLY = "told clearly", "rightly accepted", "raw error", "wrongly accepted"


class Argument(NamedTuple):
    """A right value of an argument, and which other values would be right too."""

    value: Any
    fits: Callable[[Any], bool]


class Entry(NamedTuple):
    """A public entry point: how it is called, with what."""

    name: str
    call: Callable[..., Any]
    arguments: dict[str, Argument]


class Case(NamedTuple):
    """What came of one call with one wrong argument."""

    entry: str
    argument: str
    value: str
    outcome: str
    message: str


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--cases", type=int, default=2000, help="how many calls are made")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print what went wrong")
    parser.add_argument("--only", default="", help="only entry points with this in their name")
    parser.add_argument("--name", default="argument_sweep", help="of the files of the results")
    options = parse(parser, arguments, cases=20)
    # A count that is taken at its word must end in an error, not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))
    started = time.monotonic()
    options.out = options.out.resolve()
    with scratch_folder():
        entries = [entry for entry in entry_points() if options.only in entry.name]
        cases = []
        for case in sweep(entries, options.cases, options.seed):
            cases.append(case)
            if options.show and case.outcome in (RAW, WRONGLY):
                where = f"{case.entry}({case.argument}={case.value})"
                print(f"{where}: {case.outcome}: {case.message}", flush=True)
    counts = Counter(case.outcome for case in cases)
    bad = counts[RAW] + counts[WRONGLY]
    for outcome in (CLEAR, RIGHT, RAW, WRONGLY):
        print(f"{outcome}: {counts[outcome]}")
    print(f"share of the last two: {bad / len(cases):.1%}")
    result = {
        "entry_points": len(entries),
        "cases": len(cases),
        "raw": counts[RAW],
        "accepted": counts[WRONGLY],
        "share": bad / len(cases),
        "seed": options.seed,
        "seconds": round(time.monotonic() - started, 1),
        "machine": machine(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{options.name}.json").write_text(json.dumps(result, indent=2) + "\n")


def entry_points() -> list[Entry]:
    """Those of the installed kerasar whose right call works (0.1 has not all of them).

    To be called within a `scratch_folder`, as they write files.
    """
    from benchmarks.quality.entry_points import ENTRIES

    found = []
    for entry in ENTRIES():
        try:
            call(entry, {})
        except Exception as error:
            print(f"{entry.name} is left out: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            found.append(entry)
    return found


def sweep(entries: Sequence[Entry], count: int, seed: int) -> Iterator[Case]:
    """Calls with one wrong argument each, drawn by a seed; entry points take turns."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        if number % len(entries) == 0:
            order = generator.permutation(len(entries))
        entry = entries[order[number % len(entries)]]
        argument = str(generator.choice(list(entry.arguments)))
        value = str(generator.choice(list(WRONG)))
        yield try_one(entry, argument, value)


def try_one(entry: Entry, argument: str, value: str) -> Case:
    """Makes one call, and judges what came of it."""
    wrong = WRONG[value]
    try:
        with time_limit():
            call(entry, {argument: wrong})
    except Exception as error:
        # A right value may not go with the other arguments: then one of those may be named.
        fits = entry.arguments[argument].fits(wrong)
        names = entry.arguments if fits else [argument]
        outcome = CLEAR if any(is_clear(error, name) for name in names) else RAW
        message = f"{type(error).__name__}: {error}"
    else:
        outcome = RIGHT if entry.arguments[argument].fits(wrong) else WRONGLY
        message = ""
    return Case(entry.name, argument, value, outcome, " ".join(message.split())[:200])


def call(entry: Entry, replaced: dict[str, Any]) -> None:
    """The call, without what it prints."""
    given = {name: argument.value for name, argument in entry.arguments.items()}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        entry.call(**{**given, **replaced})


def is_clear(error: Exception, argument: str) -> bool:
    """Whether an error is kerasar's own, of the right kind, and names the argument."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = f"{os.sep}kerasar{os.sep}" in frames[-1].filename
    kinds = (TypeError, ValueError, FileNotFoundError, FileExistsError, NotADirectoryError)
    named = re.search(rf"\b{argument}\b", str(error)) is not None
    # A path that does not suit is named by itself.
    return ours and isinstance(error, kinds) and (named or isinstance(error, OSError))


@contextlib.contextmanager
def time_limit(seconds: int = 20) -> Iterator[None]:
    """Ends what takes longer: a count that was taken at its word."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def scratch_folder() -> Iterator[None]:
    """Within it, files go to a folder that vanishes."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


if __name__ == "__main__":
    main()
