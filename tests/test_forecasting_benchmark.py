"""The benchmark of forecasts runs in its tiny mode."""

import json
import os
from pathlib import Path

import pytest
from run_benchmark import run_benchmark


@pytest.mark.long
def test_it_runs_and_writes_its_results(tmp_path):
    data = os.environ.get("KERASAR_TEST_DATA")
    if data is None:
        pytest.skip("KERASAR_TEST_DATA is not set")
    folder = Path(data, "series")
    run_benchmark("quality.forecasting", "--tiny", "--out", tmp_path, "--data-dir", folder)
    (found,) = json.loads((tmp_path / "forecasting.json").read_text())["series"].values()
    scores = found["scores"]
    assert 0 < scores["kerasar"]["crps"] < scores["seasonal naive"]["crps"]
    assert len((tmp_path / "forecasting.csv").read_text().splitlines()) == 3
