"""The benchmark of text runs in its tiny mode, and judges every character once."""

import json

import numpy as np
import pytest
from run_benchmark import run_benchmark

import kerasar
from benchmarks.quality.text import nats_a_character


@pytest.mark.long
def test_it_runs_and_leaves_the_test_part_alone_in_trials(tmp_path):
    run_benchmark("quality.text", "--tiny", "--no-test", "--out", tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["steps"] == 20 and "test" not in result
    assert 2 < result["valid"]["nats_per_character"] < 3.4  # the verse has 23 characters


def test_characters_are_judged_given_those_before():
    model = kerasar.models.CausalConvNet(9, 5, dilations=(1, 2))
    kerasar.testing.randomize(model)
    tokens = np.random.default_rng(0).integers(0, 5, 33)
    found = nats_a_character(model, tokens, 8)
    terms = [-model.log_prob_map(tokens[None, i : i + 9])[0] for i in range(0, 25, 8)]
    assert found["nats_per_character"] == pytest.approx(np.mean([t[1:] for t in terms]), abs=1e-4)
    assert found["from_nothing"] == pytest.approx(np.mean(terms), abs=1e-4)
