"""The command-line arguments that benchmarks share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: What the minutes of a training count: time by the clock, or processor time per core.
WALL, CPU = "wall", "cpu"
DATA_DIR = Path("../shared/data")


def make_parser(doc: str | None, out: str) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark, `--out` and `--tiny`.

    Args:
        doc: the docstring of the script; its first paragraph is the description.
        out: the default folder of the results.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(out), help="folder of the results")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    return parser


def speed_parser(doc: str | None, repeat: int) -> argparse.ArgumentParser:
    """The options of benchmarks of speed.

    Args:
        doc: the docstring of the script.
        repeat: how many times each measurement is repeated by default.
    """
    parser = make_parser(doc, "docs/benchmarks")
    parser.add_argument("--repeat", type=int, default=repeat, help="measurements of each case")
    return parser


def trial_parser(
    doc: str | None, out: str, minutes: float, batch_size: int, learning_rate: float
) -> argparse.ArgumentParser:
    """The options of trainings for a stretch of time.

    Args:
        doc: the docstring of the script.
        out: the default folder of the results.
        minutes, batch_size, learning_rate: the defaults of the training.
    """
    parser = make_parser(doc, out)
    parser.add_argument("--minutes", type=float, default=minutes, help="of training")
    parser.add_argument("--clock", choices=[WALL, CPU], default=WALL, help="what minutes count")
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--learning-rate", type=float, default=learning_rate, help="the highest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-test", action="store_true", help="for trials: leave the test alone")
    return parser


def add_optimizer(
    parser: argparse.ArgumentParser, default: str = "muon", average: float | None = None
) -> None:
    """The options that `benchmarks.common.trial.optimizer` reads."""
    parser.add_argument("--optimizer", choices=["adam", "muon"], default=default)
    parser.add_argument(
        "--average",
        type=float,
        default=average,
        metavar="MOMENTUM",
        help="judge and keep averages of the weights, such as 0.999",
    )


def parse(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, **tiny: Any
) -> argparse.Namespace:
    """Parses arguments; with `--tiny` the values of `tiny` replace the given ones.

    Args:
        parser: from `make_parser` and the like.
        arguments: those of the command line if None.
        **tiny: values of options for `--tiny`.
    """
    options = parser.parse_args(arguments)
    if options.tiny:
        vars(options).update(tiny)
    return options
