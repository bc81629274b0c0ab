"""Writes `docs/results.md`, the page of all results, from the files that the benchmarks left.

`docs/benchmarks/results.toml` lists the sections and rows; figures come from the CSV and JSON files
beside it, and from the rows themselves where a measurement left no file.

    python -m benchmarks.common.results_page
"""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"

INTRODUCTION = """\
# Results

What kerasar 0.1 reaches, the command that repeats it, and how long it takes. Machine: 2 cores of
an AMD EPYC, no GPU; Python 3.11.7, TensorFlow 2.21.0, Keras 3.15.1. The seed is 0 except where a
command names another one. It fixes weights, the order of examples and samples; sums are rounded
differently from run to run, so expect the third decimal to move. Bold figures meet their target.
How settings were chosen, what was tried and why:
[benchmarks/NOTEBOOK.md](../benchmarks/NOTEBOOK.md).

`python -m benchmarks.common.results_page` writes this page; edit
[benchmarks/results.toml](benchmarks/results.toml) instead.
"""


def page(folder: Path = DOCS / "benchmarks") -> str:
    """The text of the page.

    Args:
        folder: with `results.toml` and the results of the benchmarks.

    Raises:
        KeyError: if a row refers to a file or a value that does not exist.
    """
    contents = tomllib.loads((folder / "results.toml").read_text(encoding="utf-8"))
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    parts = [INTRODUCTION]
    for section in contents["section"]:
        columns = section.get("columns", contents["columns"])
        parts.append(_section(section, columns, folder).format_map(results))
    return "\n".join(parts)


def _section(section: dict[str, Any], columns: list[str], folder: Path) -> str:
    """A heading, what was done, its command, a table and pictures, with references unresolved."""
    lines = [f"## {section['title']}", "", section["about"].strip(), ""]
    rows = section.get("rows", [])
    time = section.get("time", "")
    if "table" in section:
        measured_on, columns, rows = _read_csv(folder / f"{section['table']}.csv")
        time = f"{time}; {measured_on}"
    if "command" in section:
        lines += [f"Command: `{section['command']}` ({time})", ""]
    lines += [_row(columns), "| --- " * len(columns) + "|", *map(_row, rows), ""]
    for title, path in section.get("pictures", []):
        lines.append(f"![{title}]({path})")
    return "\n".join(lines).rstrip("\n") + "\n"


def _read_csv(path: Path) -> tuple[str, list[str], list[list[str]]]:
    """The machine in the first line of a benchmark's CSV file, its header and its rows."""
    with open(path, newline="", encoding="utf-8") as file:
        measured_on = next(file).removeprefix("#").strip()
        header, *rows = csv.reader(file)
    return measured_on, header, rows


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    (DOCS / "results.md").write_text(page(), encoding="utf-8")
    print(f"'{DOCS / 'results.md'}' written")


if __name__ == "__main__":
    main()
