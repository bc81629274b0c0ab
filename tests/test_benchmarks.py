"""Each benchmark runs, in its tiny mode and without peers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


#: Half a minute each and more, for their peers are compiled too.
LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("training", "convolutionalize")]


@pytest.mark.parametrize("name", ["sampling", "length", "flows", "image_sampling", *LONG])
def test_it_runs_and_writes_its_table(tmp_path, name):
    script = str(ROOT / "benchmarks" / f"{name}.py")
    command = [sys.executable, script, "--tiny", "--repeat", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / f"{name}.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and len(lines) > 3


def test_speech_is_learned_judged_and_sampled(tmp_path):
    for name, folder in (("spoken_digits", "--out"), ("spoken_digits_samples", "--run")):
        script = str(ROOT / "benchmarks" / f"{name}.py")
        command = [sys.executable, script, "--tiny", folder, str(tmp_path)]
        if name == "spoken_digits_samples":
            command += ["--samples", "600"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "result.json").read_text())
    assert 7.9 < result["test_bits_per_sample"] < 8.1, "noise takes 8 bits"
    assert (tmp_path / "sample_1.wav").exists() and (tmp_path / "spectrograms.png").exists()
