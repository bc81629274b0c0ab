"""The examples run, say something and leave a picture."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from drawing import some
from matplotlib.figure import Figure
from matplotlib.image import imread

EXAMPLES = {path.stem: path for path in (Path(__file__).parents[1] / "examples").glob("*.py")}
NOTEBOOKS = {path.stem: path for path in Path(__file__).parents[1].glob("examples/notebooks/*.py")}
#: Run by a test of its own: it talks to a server.
CLIENT = EXAMPLES.pop("compression_client")

#: What each one prints of its result, whatever training reached.
SAYS = {
    "own_image_network": "layer 'first'",
    "anomalies": "(AUROC)",
    "tide_forecast": "The 90 % band held",
    "posterior": "nats learned, ",
}


def test_every_example_is_run():
    assert set(EXAMPLES) == set(SAYS)


@pytest.mark.parametrize("name", some(SAYS, ["tide_forecast"]))
def test_it_runs(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES[name]))["main"](epochs=1)
    assert SAYS[name] in capsys.readouterr().out
    (picture,) = tmp_path.glob("*.png")
    assert np.ptp(imread(picture)) > 0.5


@pytest.mark.parametrize("name", some(NOTEBOOKS, ["text"]))
def test_a_notebook_runs_in_its_quick_mode(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASAR_QUICK", "1")
    names = runpy.run_path(str(NOTEBOOKS[name]))
    assert names["QUICK"] and len(capsys.readouterr().out.splitlines()) > 1
    assert name == "text" or any(isinstance(made, Figure) for made in names.values())


def test_the_posterior_it_is_judged_by_is_that_of_the_simulator():
    """Weights of the prior's draws by the likelihood of a measurement give the same mean."""
    example = runpy.run_path(str(EXAMPLES["posterior"]))
    parameters, _ = example["simulate"](200_000, seed=3)
    seen = np.array([[0.5, 0.2, 0.1]])
    off = (seen - parameters @ example["MEASURE"].T) / example["NOISE"]
    weights = np.exp(-0.5 * (off**2).sum(axis=1))
    by_weights = (weights[:, None] * parameters).sum(axis=0) / weights.sum()
    grid = np.stack(np.meshgrid(*[np.linspace(-3, 3, 301)] * 2), axis=-1).reshape(-1, 2)
    density = np.exp(example["exact_log_prob"](grid, np.repeat(seen, len(grid), axis=0)))
    np.testing.assert_allclose(density.sum() * 0.02**2, 1, atol=1e-3)
    by_formula = (density[:, None] * grid).sum(axis=0) / density.sum()
    np.testing.assert_allclose(by_formula, by_weights, atol=0.02)
