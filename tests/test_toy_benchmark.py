"""The benchmark of the toy problem runs in its tiny mode, and does not train twice."""

import json

import pytest
from run_benchmark import run_benchmark


def run(out, *arguments):
    run_benchmark("quality.toy", "--tiny", "--out", out, *arguments)
    return json.loads((out / "toy.json").read_text())


@pytest.mark.long
def test_it_writes_its_table_and_pictures(tmp_path):
    summary = run(tmp_path, "--only", "plain", "masked")
    assert [result["name"] for result in summary["results"]] in (
        ["plain", "masked"],
        ["masked", "plain"],
    )
    assert summary["entropy"] == pytest.approx(9.2054, abs=1e-4)
    for result in summary["results"]:
        # Nothing is learned in so short a time, and nothing beats the exact probability.
        assert result["excess"] > 10 and 0 <= result["valid_samples"] < 0.5
    lines = (tmp_path / "toy.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) == 2 + 2 + 1
    for name in ("toy.png", "posterior.png"):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.long
def test_all_networks_run_and_results_are_kept(tmp_path):
    assert len(run(tmp_path)["results"]) == 6
    times = {path: path.stat().st_mtime for path in tmp_path.glob("*.keras")}
    run(tmp_path)
    assert {path: path.stat().st_mtime for path in tmp_path.glob("*.keras")} == times
