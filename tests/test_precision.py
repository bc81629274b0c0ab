"""In which precision models are trained: right or refused, for each family."""

from itertools import product

import keras
import numpy as np
import pytest
from drawing import some
from replicas import FAMILIES

import kerasar


@pytest.fixture(autouse=True)
def policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def built(family, name):
    keras.config.set_dtype_policy(name)
    keras.utils.set_random_seed(1)
    return FAMILIES[family]()


@pytest.mark.parametrize("family", some(FAMILIES, ["sequences", "flow"]))
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_weights_of_half_precision_are_refused(family, name):
    model, _ = built(family, name)
    with pytest.raises(ValueError, match=f"Weights of {name} cannot be trained.*mixed_bfloat16"):
        model.compile("adam")


@pytest.mark.parametrize("family", some(FAMILIES, ["sequences", "flow"]))
def test_scaled_losses_are_refused(family):
    model, _ = built(family, "mixed_float16")
    with pytest.raises(ValueError, match="Loss scaling"):
        model.compile("adam")


TRAINED = list(product(["mixed_bfloat16", "float64"], FAMILIES))
TRAINED_OFTEN = [("mixed_bfloat16", family) for family in ("images", "vae", "flow")]
TRAINED_OFTEN += [("float64", family) for family in ("sequences", "flow_of_integers")]


@pytest.mark.parametrize("case", some(TRAINED, TRAINED_OFTEN), ids="-".join)
def test_models_learn(case):
    name, family = case
    model, x = built(family, name)
    model.compile(keras.optimizers.Adam(0.02), steps_per_execution=1)
    before = model.evaluate(x, verbose=0, return_dict=True)["loss"]
    losses = model.fit(x, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert (
        losses[-1] < losses[0] and model.evaluate(x, verbose=0, return_dict=True)["loss"] < before
    )
    weights = {str(weight.dtype) for weight in model.trainable_variables}
    assert weights == {"float64" if name == "float64" else "float32"}
    if hasattr(model, "log_prob"):
        found = model.log_prob(x[:3])
        assert found.dtype in (np.float32, np.float64) and np.isfinite(found).all()


@pytest.mark.parametrize("family", some(FAMILIES, ["images", "flow_of_integers"]))
def test_low_precision_is_near_to_full(family):
    low, x = built(family, "mixed_bfloat16")
    full, _ = built(family, "float32")
    full.set_weights(low.get_weights())
    for model in (low, full):
        model.compile("adam", steps_per_execution=1)
    one, other = (m.evaluate(x, verbose=0, return_dict=True)["bits_per_dim"] for m in (low, full))
    assert abs(one - other) < 0.01 and one != 0


def test_metrics_are_in_full_precision():
    model, _ = built("sequences", "mixed_bfloat16")
    assert {str(v.dtype) for metric in model.metrics for v in metric.variables} == {"float32"}
    assert isinstance(model, kerasar.AutoregressiveModel)
