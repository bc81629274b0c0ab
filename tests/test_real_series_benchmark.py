"""The benchmark of real-valued series runs in its tiny mode, and its truth is the truth."""

import json

import numpy as np
from run_benchmark import run_benchmark

from benchmarks.quality import real_series as benchmark


def test_it_runs_and_writes_its_results(tmp_path):
    run_benchmark("quality.real_series", "--tiny", "--out", tmp_path)
    result = json.loads((tmp_path / "real_series.json").read_text())
    assert 0 <= result["coverage"] <= 1 and result["train_steps"] > result["test_steps"]
    assert (tmp_path / "real_series.png").exists()
    lines = (tmp_path / "real_series.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) == 5


def test_its_entropy_is_that_of_the_process():
    # The mean of -log p under the process itself is its entropy; 4,000 windows of 16 steps have a
    # standard error of 0.003 nats per step.
    x = benchmark.simulate(64_000, seed=1).reshape(-1, 16)
    assert abs(benchmark.true_nats(x) - benchmark.entropy_rate(16)) < 0.015


def test_its_covariance_is_that_of_the_series():
    x = benchmark.simulate(200_000, seed=2) - benchmark.MEAN
    steps = np.lib.stride_tricks.sliding_window_view(x, 3)[:, ::-1]
    found = steps.T @ steps / len(steps)
    np.testing.assert_allclose(found, benchmark.stationary(), rtol=0.05, atol=0.2)
