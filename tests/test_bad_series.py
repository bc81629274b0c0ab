"""Files and options that no forecaster can be trained on: refused before anything is written."""

import numpy as np
import pytest
from typer.testing import CliRunner

from kerasar.cli import app

DAYS = [str(np.datetime64("2023-01-01") + i) for i in range(60)]
MONTHS = [f"2024-{month:02d}-01" for month in range(1, 13)]
VALUES = [f"{50 + value:.3f}" for value in np.random.default_rng(0).normal(size=60)]


def table(days=DAYS, values=VALUES, header="ds,y", ending=""):
    rows = zip(days, values, strict=False)
    return "\n".join([header, *(f"{day},{value}{ending}" for day, value in rows)])


SEVERAL = "\n".join(
    ["unique_id,ds,y,region"]
    + [f"{name},{day},{value},{'x' if i < 30 or name == 'a' else 'z'}" for name in "ab"
       for i, (day, value) in enumerate(zip(DAYS, VALUES, strict=True))]
)  # fmt: skip
TEXT = table(values=[*VALUES[:20], "abc", *VALUES[21:]])


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        (table([*DAYS[:30], *DAYS[28:]]), [], "goes from 2023-01-29 after 2023-01-30 in line 32"),
        (table([*DAYS[:30], *DAYS[29:]]), [], "has 2023-01-30 after 2023-01-30 again in line 32"),
        (
            table([*DAYS[:40], *(f"2024-{m:02d}-01" for m in range(1, 13))]),
            [],
            "goes by a day, and",
        ),
        (table(values=[""] * 60), [], "all its values are missing"),
        (table(values=["7"] * 60), [], "never changes"),
        (TEXT, [], "column 'y' is 'abc' in line 22"),
        (table(DAYS[:5]), [], "at least 10 steps to train on"),
        (table(), ["--column", "yy"], "Did you mean 'y'"),
        (table(ending=",1", header="ds,y,price"), ["--covariate", "prise"], "Did you mean 'price'"),
        (table(), ["--series", "a"], "no column that names such"),
        (table(), ["--static", "y"], "DATA are a single series"),
        (SEVERAL, ["--static", "region"], "changes from 'x' to 'z' in line 92"),
        (SEVERAL, ["--series", "c"], "no series 'c'"),
        (SEVERAL.replace(",50.", ",5."), ["--covariate", "z"], "columns named 'z'"),
        ("ds,y", [], "a header and nothing else"),
        ("", [], "is empty"),
    ],
)
def test_it_is_an_error_before_anything_is_written(tmp_path, text, options, match):
    file, run = tmp_path / "bad.csv", tmp_path / "run"
    file.write_text(text + "\n")
    arguments = ["train", "forecaster", "--data", str(file), *options, "--out", str(run)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 2, found.output
    assert match in " ".join(found.stderr.split())
    assert not run.exists()
