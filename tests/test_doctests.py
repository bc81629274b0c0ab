"""The examples in docstrings run and show what they say."""

import doctest
import importlib
from pathlib import Path

import pytest
from drawing import some

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "kerasar").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


#: These choose and draw forecasts.
LONG = {"kerasar.forecasting.choose_panel", "kerasar.models.forecaster"}


@pytest.mark.parametrize("name", some(MODULES, set(MODULES) - LONG))
def test_the_examples_of_a_module(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(module, optionflags=flags)
    assert not found.failed
    assert len(MODULES) > 30
