"""Moves, new names and shared pieces change no probability and no sample."""

import numpy as np
import pytest
from drawing import some
from recorded_values import FILE, cases, computed, machine

RECORDED = np.load(FILE)
pytestmark = pytest.mark.rewritten


#: One small network of each way to be stepped; the others are compared with the whole network in
#: tests/test_samplers_agree.py too. All builders, flows and window models are quick.
NETWORKS = ["plain", "pooled", "recurrent", "nade", "transformer", "conditional"]
NETWORKS += ["row_recurrent"]
#: Of a family of which others are quick.
LONG = {"PixelCNN", "GatedPixelCNN colour", "PixelRNN diagonal", "PixelCNNAutoencoder"}
LONG |= {"CausalConvNet", "WaveNet logistic", "NADE in order", "MultiscaleRealNVP"}
LONG |= {"GatedPixelCNN with recurrences"}
QUICK = [name for name in cases() if not name.startswith("network ") and name not in LONG]
QUICK += [f"network {name}" for name in NETWORKS]


@pytest.mark.parametrize("name", some(cases(), QUICK))
def test_values_are_those_that_were_recorded(name):
    found = computed(name)
    expected = {key: RECORDED[key] for key in RECORDED.files if key.startswith(f"{name}: ")}
    assert found.keys() == expected.keys()
    same_machine = str(RECORDED["machine"]) == machine()
    for key, value in found.items():
        if same_machine or value.dtype == "int32":
            np.testing.assert_array_equal(value, expected[key], key)
        else:  # another processor adds in another order
            np.testing.assert_allclose(value, expected[key], 1e-4, 1e-4, err_msg=key)


def test_everything_recorded_is_computed():
    assert {key.split(": ")[0] for key in RECORDED.files} == {"machine", *cases()}
