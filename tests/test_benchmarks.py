"""Each benchmark runs, in its tiny mode and without peers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["sampling", "training", "length", "flows"])
def test_it_runs_and_writes_its_table(tmp_path, name):
    script = str(ROOT / "benchmarks" / f"{name}.py")
    command = [sys.executable, script, "--tiny", "--repeat", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / f"{name}.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) > 3
