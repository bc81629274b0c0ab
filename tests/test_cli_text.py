"""A user's text: printed as it is, pasted as it was meant, harmless in a spreadsheet."""

import csv
import io
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from test_cli_kinds import refuse, small_models, succeed  # noqa: F401  (a fixture)

from kerasar.cli.kinds import KINDS
from kerasar.cli.support.outputs import print_table
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.shell import quoted, styled
from kerasar.data.plain_text import csv_cell, picture_text, plain_text
from kerasar.forecasting import Forecast

NAMES = ["b [v1]/a.npz", "wind [m/s]", "x[/b]y", ":smile: [red]", "it's", 'a "b" $c', "back\\\\"]

STRANGE = ["a\x1b[31m", "a\nb'\\", "\udcff", "-x", "ä", "~/x", "a\u202eb"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(name):
    text = io.StringIO()
    Console(file=text, emoji=False, width=200).print(styled((name, "bold"), ""))
    assert text.getvalue() == f"{name}\n"


@pytest.mark.parametrize("name", [*NAMES, *STRANGE])
def test_commands_can_be_pasted(name):
    line = f"printf %s {quoted(name)}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout == name.encode("utf-8", "surrogateescape")
    assert plain_text(line) == line


def test_a_path_is_no_option():
    assert quoted(Path("-x")) == "./-x"


def test_what_a_terminal_would_obey_is_escaped():
    assert plain_text("a\x1b]0;x\x07\r\n\x9b\u202e\udc80") == (r"a\x1b]0;x\x07\r\n\x9b\u202e\udc80")
    assert plain_text("wind [m/s] äß 日本 🙂") == "wind [m/s] äß 日本 🙂"


def test_tables_and_errors_escape(capsys):
    print_table(("a", "b"), [("x\x1b[31m", "y [b]")])
    said = capsys.readouterr().out
    assert "\x1b[31m" not in said and r"x\x1b[31m" in said and "y [b]" in said
    said = refuse("sample", "a\x1b[31m[/b]")
    assert r"a\x1b[31m[/b]" in said and "\x1b" not in said
    assert r"'a\nError: b'" in refuse("sample", "a\nError: b")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_no_spreadsheet_runs_a_cell(sign):
    cell = csv_cell(f"{sign}cmd|' /C calc'!A0")
    assert cell.startswith("'") and plain_text(cell) == cell


@pytest.mark.parametrize("number", ["-1.5", "+2", "-1e-9", "0", "-inf", "a-b"])
def test_numbers_stay_numbers(number):
    assert csv_cell(number) == number


def test_columns_of_forecasts_and_points_are_cells(tmp_path):
    Forecast(np.zeros(3), np.zeros((2, 3, 1)), ("=1+1",)).write_paths(tmp_path / "paths.csv")
    run = RunFolder(tmp_path, {"data": "x", "column": ["=1+1", 'a,"b']})
    KINDS["vectors"].write_readable(tmp_path / "points.csv", _Samples(), run, None)
    for name, header in (("paths", ["path", "step", "'=1+1"]), ("points", ["'=1+1", 'a,"b'])):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == header and len(rows[1]) == len(header)
        assert float(rows[1][-1]) <= 0


class _Samples:
    values = np.full((2, 2), -1.5)


def test_no_picture_takes_a_name_for_mathematics(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.suptitle(picture_text("$x^$ costs $"))  # as mathematics it is an error
    figure.savefig(tmp_path / "a.png")
    assert RunFolder(tmp_path, {"data": "$a$"}).title == r"model on \$a\$"


def test_the_next_commands_of_a_run_are_for_a_shell():
    run = RunFolder(Path("run [v1]"), {"data": "x"})
    for arguments, _ in KINDS["vectors"].next_steps(run, object(), "my data;rm.csv"):
        words = shlex.split(arguments)
        assert words[1] == "run [v1]"
        assert words[0] != "score" or words[2] == "my data;rm.csv"


@pytest.mark.usefixtures("small_models")
def test_the_least_likely_is_named_harmlessly(tmp_path):
    np.savez(tmp_path / "=a [v1].npz", train=np.arange(40).reshape(10, 4) % 3)
    common = ("--levels", 3, "--epochs", 1, "--out", tmp_path / "run [b]")
    done = succeed("train", "causal-conv-net", "--data", tmp_path / "=a [v1].npz", *common)
    assert "=a [v1].npz" in done.output and "run [b]" in done.output
