"""The transformer: what it sees, its conditions, its ends, and what it refuses."""

import functools
import warnings

import keras
import numpy as np
import pytest
from drawing import check_cached, some
from serving import serve

import kerasar
from kerasar.distributions import Categorical, GaussianMixture, Independent
from kerasar.models import Transformer
from kerasar.testing import check_normalized, check_samples, check_the_sample, randomize

TINY = dict(units=8, layers=2, num_heads=2)


def fresh(length=4, levels=3, **options):
    model = Transformer(length, levels, **(TINY | options))
    randomize(model.network)
    return model


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


FORMS = {
    "plain": ({}, None),
    "window": (dict(window=2, num_kv_heads=1, normalization="rms"), None),
    "one_hot": (dict(input_encoding="one_hot"), None),
    "scalar": (dict(input_encoding="scalar"), None),
    "dropout": (dict(dropout=0.1), None),
    "class": (dict(num_classes=3), np.array([2])),
    "both": (
        dict(global_features=2, local_features=2),
        {"global": noise(1, 2), "local": noise(1, 4, 2)},
    ),
}


@functools.cache
def model_of(name):
    """Shared by the tests, for the loops of a model are traced once."""
    return fresh(**FORMS[name][0])


@pytest.mark.parametrize("name", some(FORMS, FORMS.keys() - {"plain", "class"}))
def test_its_probabilities_sum_to_one(name):
    check_normalized(model_of(name), FORMS[name][1])


@pytest.mark.parametrize("name", some(FORMS, ["window", "both"]))
def test_it_is_drawn_from_its_caches(name):
    model = model_of(name)
    assert not model.analysis.unknown
    check_samples(model, condition=FORMS[name][1], num_samples=8, seed=1, methods=["cached"])


def test_an_embedding_gives_the_logits_too():
    model = fresh(tie_weights=True)
    check_normalized(model)
    shapes = [weight.shape for weight in model.network.weights]
    assert shapes.count((3, 8)) == 1 and (8, 3) not in shapes
    assert not model.analysis.unknown
    check_samples(model, num_samples=8, seed=1, methods=["cached"])


@pytest.mark.parametrize("window", some([None, 2], [2]))
def test_of_open_length_it_is_the_same(window):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is proven, not probed
        fixed, free = (fresh(length, window=window) for length in (6, None))
    free.set_weights(fixed.get_weights())
    drawn = free.sample(4, seed=1, length=6, method="cached")
    check_the_sample(fixed, drawn, seed=1)
    np.testing.assert_allclose(free.log_prob(drawn), fixed.log_prob(drawn), rtol=1e-4)


def test_a_window_bounds_what_is_seen():
    assert kerasar.receptive_field(fresh(12, window=3, layers=3).network).reach == 7
    assert kerasar.receptive_field(fresh(12).network).reach == 11


@pytest.mark.parametrize("part", ["global", "local"])
def test_conditions_matter(part):
    model, condition = model_of("both"), dict(FORMS["both"][1])
    x = np.array([[0, 2, 1, 1]])
    before = model.log_prob_map(x, condition=condition)
    condition[part] = condition[part] + 1
    assert (np.abs(model.log_prob_map(x, condition=condition) - before) > 1e-4).all()


def test_a_local_condition_reaches_its_own_step_and_later_ones():
    model, condition = model_of("both"), dict(FORMS["both"][1])
    x = np.array([[0, 2, 1, 1]])
    before = model.log_prob_map(x, condition=condition)
    condition["local"] = condition["local"] + np.array([0, 0, 1, 0], "float32")[:, None]
    moved = np.abs(model.log_prob_map(x, condition=condition) - before)[0] > 1e-5
    np.testing.assert_array_equal(moved, [False, False, True, True])


@pytest.mark.parametrize(
    ("options", "x"),
    [
        (dict(levels=None, likelihood=GaussianMixture(2)), noise(3, 4)),
        pytest.param(
            dict(likelihood=Independent(2, Categorical())),
            np.zeros((3, 4, 2), int),
            marks=pytest.mark.long,
        ),
    ],
    ids=["real values", "two variables"],
)
def test_other_data(options, x):
    model = fresh(**options)
    model.compile("adam", jit_compile=False)
    assert np.isfinite(model.fit(x, epochs=1, verbose=0).history["loss"]).all()
    check_cached(model, num_samples=3)


def test_it_is_saved_and_exported(tmp_path):
    model = model_of("window")
    model.save(tmp_path / "model.keras")
    expected = model.sample(4, seed=3)
    np.testing.assert_array_equal(
        kerasar.load(tmp_path / "model.keras").sample(4, seed=3), expected
    )
    model.export(str(tmp_path / "served"))
    request = dict(num_samples=4, seed=3, temperature=1.0, top_k=0, top_p=1.0)
    (served,) = serve(tmp_path / "served", [("sample", request)])
    np.testing.assert_array_equal(served["samples"], expected)


@pytest.mark.long
def test_it_learns_to_repeat_a_step_far_back():
    """Step t repeats step t - 4: what attention by relative positions finds."""
    x = np.tile(np.random.default_rng(0).integers(0, 4, (256, 4)), (1, 3))
    keras.utils.set_random_seed(0)
    model = Transformer(12, 4, units=16, layers=1, num_heads=2)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    model.fit(x, batch_size=32, epochs=12, verbose=0)
    repeats = -model.log_prob_map(x[:64])[:, 4:].mean()
    assert repeats < 0.3  # nats; log(4) = 1.39 for one that sees nothing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(normalization="batch"), "'layer' or 'rms', but got normalization='batch'"),
        (dict(units=6), "must be even, but it is 3"),
        (dict(units=0), "units must be at least 1, but got 0"),
        (dict(num_kv_heads=4), "must divide num_heads"),
        (dict(tie_weights=True, input_encoding="one_hot"), "tie_weights=True uses the embedding"),
        (dict(tie_weights=True, levels=None, likelihood=GaussianMixture(2)), "but got levels=None"),
        (dict(num_classes=3, global_features=2), "either a class or a vector, but Transformer got"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Transformer(**({"length": 4, "levels": 3} | TINY | options))
