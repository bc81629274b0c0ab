"""`kerasar inspect`."""

import re

import pytest
from matplotlib.image import imread
from networks import dilated, masked_grey
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.pictures import receptive_field_figure


def inspect(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_a_model_by_name(tmp_path):
    result = inspect("shifted-pixelcnn", "--out", tmp_path / "field.png")
    assert result.exit_code == 0, result.output
    assert re.search(r"conv1h +VerticalConv2D +15 pixels: rows -3 to -1", result.output)
    assert "Proven causal. The output sees 50 positions, 10 in blind spots." in result.output
    assert imread(tmp_path / "field.png").shape[1] > 300


def test_a_saved_model(tmp_path):
    kerasar.AutoregressiveModel(dilated()).save(tmp_path / "model.keras")
    result = inspect(tmp_path / "model.keras", "--out", tmp_path / "field.png")
    assert result.exit_code == 0, result.output
    assert re.search(r"causal_shift\w* +CausalShift +t-1", result.output)
    assert "The output sees 8 positions." in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shifted-pixelcn",), "Did you mean 'shifted-pixelcnn'"),
        (("./nothing.keras",), "no model at"),
        (("shifted-pixelcnn", "--out", "field.jpg"), "must end in .png"),
    ],
)
def test_bad_input_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = inspect(*arguments)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_blind_spots_have_a_colour_of_their_own():
    field = kerasar.receptive_field(masked_grey())
    assert field.blind_spot
    axes = receptive_field_figure(field).axes[0]
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert len(set(colours)) == 4  # seen, blind, the pixel itself, later
