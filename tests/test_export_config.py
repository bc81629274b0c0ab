"""What an export says of itself, in assets/config.json."""

import json

import numpy as np
import pytest
from drawing import some
from serving import serve

import kerasar
from kerasar.cli.server.export_folder import ExportFolder
from kerasar.testing import randomize


def config_of(model, folder, **options):
    model.export(str(folder), **options)
    return json.loads((folder / "assets" / "config.json").read_text())


def test_an_export_describes_itself(sequences, tmp_path):
    found = config_of(sequences(), tmp_path / "1", max_samples=7, max_positions=99)
    assert found["model"] == "AutoregressiveModel" and found["levels"] == 3
    assert found["data_shape"] == [4] and found["values"] == "integers from 0 to 2"
    assert (found["max_samples"], found["max_positions"]) == (7, 99)
    assert set(found["signatures"]) == {"log_prob", "sample", "inpaint", "continuation"}
    log_prob = found["signatures"]["log_prob"]
    assert log_prob["inputs"] == {"x": {"dtype": "int32", "shape": [None, 4]}}
    assert log_prob["outputs"]["log_prob"] == {"dtype": "float32", "shape": [None]}
    seed = found["signatures"]["sample"]["inputs"]["seed"]
    assert seed == {"dtype": "int32", "shape": []}


def test_real_values_and_conditions(conditional, tmp_path):
    found = config_of(conditional, tmp_path / "1")
    assert found["signatures"]["sample"]["inputs"]["label"]["shape"] == [None, 2]
    flow = kerasar.models.NICE(2, hidden_units=(4,))
    randomize(flow.bijection)
    found = config_of(flow, tmp_path / "2")
    assert found["values"] == "real numbers" and found["levels"] is None


@pytest.mark.parametrize("name", some(["PixelCNNAutoencoder", "PixelVAE"], ["PixelVAE"]))
def test_models_with_a_latent(name, tmp_path):
    model = getattr(kerasar.models, name)((4, 4, 1), 3, filters=4, blocks=1, encoder_filters=4)
    model.log_prob(np.zeros((1, 4, 4, 1), int))
    found = config_of(model, tmp_path / "1")
    assert found["model"] == type(model).__name__ and "decode" in found["signatures"]


def test_a_server_can_warm_up(sequences, tmp_path):
    model = sequences(length=None)
    model.export(str(tmp_path / "1"), streaming=True)
    requests = dict(ExportFolder(tmp_path).warm_up_requests())
    assert len(requests) == 8 and requests["sample"]["length"] == 16
    np.testing.assert_array_equal(requests["log_prob"]["x"], np.zeros((1, 16)))
    assert requests["draw_step"]["state_step"].dtype == np.int32
    answers = serve(tmp_path / "1", requests.items())
    assert all(isinstance(answer, dict) for answer in answers), answers
    np.testing.assert_allclose(answers[0]["log_prob"], model.log_prob([[0] * 16]), atol=1e-4)


def test_a_flow_of_an_interval_warms_up_inside(tmp_path):
    flow = kerasar.FlowModel(kerasar.layers.Logit(low=2.0, high=3.0), (2,))
    assert flow.domain[0] > 0
    flow.export(str(tmp_path / "1"))
    requests = dict(ExportFolder(tmp_path / "1").warm_up_requests())
    np.testing.assert_allclose(requests["latent"]["x"], [[2.5, 2.5]])
