"""What the command says while it works, and of data and models that do not suit each other."""

import io
import time

import pytest
from rich.console import Console
from test_cli_kinds import refuse

from kerasar.cli.support import heartbeat as module
from kerasar.cli.support.heartbeat import heartbeat, status


@pytest.mark.parametrize(
    "model, data, noun, suited",
    [
        ("glow", "moons", "points", "realnvp"),
        ("shifted-pixelcnn", "toy", "sequences", "causal-conv-net"),
        ("realnvp", "digits", "images", "glow"),
        ("wavenet", "mixture", "points", "piecewise-linear-flow"),
    ],
)
def test_data_of_another_kind_name_their_models(tmp_path, model, data, noun, suited):
    said = refuse("train", model, "--data", data, "--out", tmp_path / "run")
    assert f"'{data}' holds {noun}. Models for {noun} are " in said and suited in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("show", [heartbeat, status])
def test_long_work_is_heard_where_there_is_no_terminal(monkeypatch, show):
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    text = io.StringIO()
    with show("drawing [x]", Console(file=text)):
        time.sleep(0.2)
    lines = text.getvalue().splitlines()
    assert len(lines) > 2 and set(lines) == {"drawing [x] (0 s)"}


def test_a_terminal_hears_nothing_more(monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.02)
    text = io.StringIO()
    with heartbeat("drawing", Console(file=text, force_terminal=True)):
        time.sleep(0.1)
    assert not text.getvalue()
