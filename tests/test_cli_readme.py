"""What the README says is true: its Python runs, its commands and pictures exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from guide import DOCS, README, ROOT, blocks, run
from matplotlib.image import imread
from serving import serve
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.data import ImageData


def test_the_python_code_runs(tmp_path, monkeypatch):
    """Word for word, on small images in place of MNIST, for two passes in place of five minutes."""
    values = np.random.RandomState(0)
    mnist = ImageData(
        "mnist", values.randint(0, 9, (40, 6, 5, 1)), values.randint(0, 9, (9, 6, 5, 1)), 9
    )
    monkeypatch.setattr(kerasar.data, "load_images", lambda name: {"mnist": mnist}[name])
    budget = kerasar.training.TimeBudget
    clock = iter(range(100)).__next__  # a minute a look
    monkeypatch.setattr(kerasar.training, "TimeBudget", partial(budget, clock=clock))
    monkeypatch.chdir(tmp_path)
    code = blocks(README)[0]
    run(code, "README.md")
    assert {path.name for path in tmp_path.iterdir()} == {
        "samples.png",
        "completed.png",
        "exported",
    }


def test_the_code_for_other_networks_prints_what_it_says(capsys):
    code = blocks(README)[1]
    run(code, "README.md")
    printed = capsys.readouterr().out.split("\n")
    promised = [line.partition("  # ")[2] for line in code.split("\n") if line.startswith("print")]
    assert printed[:2] == promised[:2] and printed[2] == "(4, 100)"


@pytest.mark.long
def test_the_guide_to_forecasting_is_true(tmp_path, monkeypatch, capsys):
    data = os.environ.get("KERASAR_TEST_DATA")
    if data is None:
        pytest.skip("KERASAR_TEST_DATA is not set")
    shutil.copy(Path(data, "series", "airline_passengers.csv"), tmp_path)
    monkeypatch.chdir(tmp_path)
    found = dict[str, Any]()
    code, of_panel = blocks(DOCS["forecasting.md"])
    run(code, "forecasting.md", found)
    ours, naive, held = map(float, capsys.readouterr().out.split())
    assert ours < naive and held > 0.7
    assert str(found["future"].times[0]).startswith("1961-01-01")
    rng, rows = np.random.default_rng(0), ["unique_id,ds,y,region"]
    for shop in range(9):
        months = np.datetime64("2020-01") + np.arange(40)
        waves = (shop + 1) * (20 + 5 * np.sin(np.arange(40) / 12 * 2 * np.pi) + rng.normal(size=40))
        region = "north" if shop % 2 else "south"
        rows += [f"shop {shop},{m},{y},{region}" for m, y in zip(months, waves, strict=True)]
    Path("sales.csv").write_text("\n".join(rows) + "\n")
    run(of_panel, "forecasting.md", {"kerasar": kerasar})
    assert float(capsys.readouterr().out.split()[0]) < 1


def test_the_code_for_series_prints_what_it_says(tmp_path, monkeypatch, capsys):
    values = np.sin(np.arange(300) / 4) + np.random.RandomState(0).normal(0, 0.1, 300)
    rows = "\n".join(f"{i},{value:.4f}" for i, value in enumerate(values))
    (tmp_path / "tide.csv").write_text(f"hour,metres\n{rows}\n")
    monkeypatch.chdir(tmp_path)
    code = blocks(README)[2].replace("epochs=10", "epochs=1, verbose=0")
    run(code, "README.md", {"kerasar": kerasar})
    assert capsys.readouterr().out.startswith("(3, 24)\n[")


def test_the_code_for_flows_prints_what_it_says(capsys):
    code = blocks(README)[4].replace("10_000", "200").replace("epochs=20", "epochs=1, verbose=0")
    run(code, "README.md", {"kerasar": kerasar})
    assert capsys.readouterr().out.strip() == code.strip().rpartition("  # ")[2]


def test_the_code_for_windows_prints_what_it_says(capsys):
    code = blocks(README)[3]
    run(code, "README.md", {"kerasar": kerasar, "keras": keras})
    assert capsys.readouterr().out.strip() == code.strip().rpartition("  # ")[2]


@pytest.mark.parametrize("line", re.findall(r"kerasar (\w+) .*?--data (\w+)", README)[:1])
def test_the_first_command_is_one_that_exists(line):
    assert CliRunner().invoke(app, [line[0], "--help"]).exit_code == 0
    assert line[1] in kerasar.data.DATASETS


@pytest.fixture(scope="module")
def helps():
    commands = ("train", "sample", "inpaint", "score", "export", "inspect")
    return "".join(CliRunner().invoke(app, [command, "--help"]).stdout for command in commands)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)`", README))))
def test_each_option_that_is_named_exists(option, helps):
    assert option in helps


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((docs/[^)]*)\)", README))))
def test_each_file_that_is_linked_exists(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("name", ["samples.png", "inpainting.png", "moons.png", "map.png"])
def test_the_pictures_are_small_files_and_large_enough_to_see(name):
    file = ROOT / "docs" / "images" / name
    assert file.stat().st_size < 100_000 and imread(file).shape[1] > 500


def test_the_result_in_the_readme_is_that_of_the_results_page():
    (reached,) = re.findall(r"\(297\): ([\d.]+) bits/dim", README)
    assert reached in DOCS["results.md"]


FLOWS = DOCS["serving.md"].index("\n## Flows")


@pytest.mark.parametrize(
    ("model", "page"),
    [
        (kerasar.models.ShiftedPixelCNN((3, 3, 1), levels=2), DOCS["serving.md"][:FLOWS]),
        (kerasar.models.RealNVP(2, hidden_units=4, depth=2), DOCS["serving.md"][FLOWS:]),
    ],
    ids=["images", "flows"],
)
def test_the_signatures_on_the_serving_page_are_those_of_an_export(model, page, tmp_path):
    import tensorflow as tf

    model.export(str(tmp_path / "1"))
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    described = {
        name: set(re.findall(r"`(\w+)`", inputs))
        for names, inputs, _ in rows
        for name in re.findall(r"`(\w+)`", names)
        if "sequences" not in names
    }
    actual = {
        name: set(signature.structured_input_signature[1]) for name, signature in signatures.items()
    }
    assert described == actual


def test_the_requests_to_a_flow_on_the_serving_page_are_answered(tmp_path):
    model = kerasar.models.RealNVP(2, hidden_units=4, depth=2)
    model.export(str(tmp_path / "1"))
    found = re.findall(r"-d '(\{.*?\})'\n", DOCS["serving.md"][FLOWS:], re.DOTALL)
    requests = [json.loads(request) for request in found]
    points = np.array(requests[1]["inputs"]["x"], "float32")
    requests[1]["inputs"]["x"] = points
    sent = [(request["signature_name"], request["inputs"]) for request in requests]
    drawn, scored = serve(tmp_path / "1", sent)
    np.testing.assert_allclose(drawn["samples"], model.sample(3, seed=0), atol=1e-5)
    np.testing.assert_allclose(scored["log_prob"], model.log_prob(points), rtol=1e-5)


@pytest.mark.long
def test_the_code_for_anomalies_runs(tmp_path, monkeypatch, capsys):
    (code,) = blocks(DOCS["anomalies.md"])
    monkeypatch.chdir(tmp_path)
    code = code.replace("epochs=30", "epochs=1, verbose=0")
    run(code, "anomalies.md")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[0.005 0.005 0.005]" and printed[-1].endswith(" (3, 8, 8)")
    assert {path.name for path in tmp_path.iterdir()} == {"digits.keras", "exported"}


@pytest.mark.long
def test_the_code_for_several_processes_runs(tmp_path):
    section = DOCS["serving.md"].split("## In a Python process of your own")[1].split("\n## ")[0]
    assert "TensorFlow cannot be forked" in section
    (code,) = blocks(section)
    (tmp_path / "processes.py").write_text(code)
    kerasar.models.NADE(5, hidden_units=3).save(tmp_path / "model.keras")
    command = [sys.executable, "processes.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.stdout == "[(4, 5), (4, 5)]\n", done.stderr
