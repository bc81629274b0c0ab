"""Each benchmark runs, in its tiny mode and without peers."""

import json

import pytest
from run_benchmark import run_benchmark, run_benchmark_in_fresh_process

#: Some seconds each, or half a minute.
_LONG = (
    "training", "convolutionalize", "linear_recurrence", "proof", "flows", "attention",
    "construction", "image_sampling", "serving", "workers", "sampling",
)  # fmt: skip
LONG = [pytest.param(name, marks=pytest.mark.long) for name in _LONG]


@pytest.mark.parametrize("name", ["length", *LONG])
def test_it_runs_and_writes_its_table(tmp_path, name):
    run_benchmark(f"speed.{name}", "--tiny", "--repeat", 1, "--out", tmp_path)
    lines = (tmp_path / f"{name}.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) > 3


@pytest.mark.long
def test_it_runs_as_a_module(tmp_path):
    run_benchmark_in_fresh_process("speed.length", "--tiny", "--out", tmp_path)
    lines = (tmp_path / "length.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) > 3


@pytest.mark.long
def test_speech_is_learned_judged_and_sampled(tmp_path):
    run_benchmark("quality.spoken_digits", "--tiny", "--out", tmp_path)
    tiny = ("--tiny", "--run", tmp_path, "--samples", 300)
    run_benchmark("quality.spoken_digits_samples", *tiny)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 7.9 < result["test_bits_per_sample"] < 8.1, "noise takes 8 bits"
    assert (tmp_path / "sample_1.wav").exists() and (tmp_path / "spectrograms.png").exists()


@pytest.mark.long
def test_anomalies_are_judged(tmp_path):
    run_benchmark("quality.anomalies", "--tiny", "--out", tmp_path)
    rows = (tmp_path / "anomalies.csv").read_text().splitlines()[1:]
    assert rows[0] == "model of,anomalies,surprise,typicality,complexity-corrected,detector"
    found = {row.split(",")[1]: [float(cell) for cell in row.split(",")[2:]] for row in rows[1:]}
    assert found["blank"][0] < 0.5 < 0.9 < found["blank"][-1], "likely, and found all the same"
    assert (tmp_path / "false_alarms.csv").read_text().count("digits") == 1


@pytest.mark.long
def test_streams_are_compared_with_one_pass(tmp_path):
    run_benchmark("speed.streams", "--tiny", "--out", tmp_path)
    rows = (tmp_path / "streams.csv").read_text().splitlines()[2:]
    assert [float(row.split(",")[1]) < 1e-4 for row in rows] == [True, True]


@pytest.mark.long
def test_a_server_under_load_answers_right(tmp_path):
    pytest.importorskip("kserve")
    run_benchmark("speed.server_load", "--tiny", "--out", tmp_path)
    row = (tmp_path / "server_load.csv").read_text().splitlines()[2].split(",")
    right, wrong, failed, _, not_refused = map(int, row[2:7])
    assert right > 0 == wrong == failed == not_refused


@pytest.mark.long  # each starts several processes
@pytest.mark.parametrize("name", ["memory", "kills", "resumed", "streaming", "precision"])
def test_long_use_and_ends_of_runs(tmp_path, name):
    run_benchmark(f"quality.{name}", "--tiny", "--out", tmp_path)
    assert len((tmp_path / f"{name}.csv").read_text().splitlines()) > 2


@pytest.mark.long
def test_a_model_is_compared_as_a_coder(tmp_path):
    pytest.importorskip("constriction")
    run_benchmark("quality.compression", "--tiny", "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 < result["bytes_beyond_log_prob"] < 64
    assert set(result["others"]) == {"png", "webp", "xz"}


@pytest.mark.long
def test_samples_are_judged_by_a_classifier(tmp_path):
    run_benchmark("quality.recognizable", "--tiny", "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["classifier"] > 0.4 and 0 <= result["sure_of_real"] <= 1
