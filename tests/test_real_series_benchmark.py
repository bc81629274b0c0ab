"""The benchmark of real-valued series runs in its tiny mode, and its truth is the truth."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "real_series.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("real_series", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_and_writes_its_results(tmp_path):
    command = [sys.executable, str(SCRIPT), "--tiny", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "real_series.json").read_text())
    assert 0 <= result["coverage"] <= 1 and result["train_steps"] > result["test_steps"]
    assert (tmp_path / "real_series.png").exists()
    lines = (tmp_path / "real_series.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) == 5


def test_its_entropy_is_that_of_the_process(benchmark):
    # The mean of -log p under the process itself is its entropy; 4,000 windows of 16 steps have a
    # standard error of 0.003 nats per step.
    x = benchmark.simulate(64_000, seed=1).reshape(-1, 16)
    assert abs(benchmark.true_nats(x) - benchmark.entropy_rate(16)) < 0.015


def test_its_covariance_is_that_of_the_series(benchmark):
    x = benchmark.simulate(200_000, seed=2) - benchmark.MEAN
    steps = np.lib.stride_tricks.sliding_window_view(x, 3)[:, ::-1]
    found = steps.T @ steps / len(steps)
    np.testing.assert_allclose(found, benchmark.stationary(), rtol=0.05, atol=0.2)
