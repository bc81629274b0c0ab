"""The detector: what it finds, that it says why, and that it is the same saved and served."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import kerasar
from kerasar import AnomalyDetector
from kerasar.testing import randomize

LEVELS = 6


def image_model(**options):
    model = kerasar.models.GatedPixelCNN(
        (7, 6, 1), LEVELS, filters=4, blocks=1, skip_filters=4, head_filters=4, **options
    )
    randomize(model)
    return model


@pytest.fixture(scope="module")
def model():
    return image_model()


@pytest.fixture(scope="module")
def good(model):
    return model.sample(300, seed=0)


@pytest.fixture(scope="module")
def detector(model, good):
    return AnomalyDetector(model).fit(good)


def test_what_the_model_draws_is_good(model, detector):
    p = detector.p_value(model.sample(400, seed=1))
    assert 0.02 < (p <= 0.05).mean() < 0.1 and 0.4 < np.mean(p) < 0.6


@pytest.mark.parametrize("kind", ["blank", "noise", "shuffled"])
def test_what_it_does_not_draw_is_an_anomaly(kind, good, detector):
    rng = np.random.default_rng(0)
    x = {
        "blank": np.zeros_like(good[:20]),
        "noise": rng.integers(LEVELS, size=good[:20].shape),
        "shuffled": good[:20, ::-1, ::-1],
    }[kind]
    strange, usual = detector.score(x), detector.score(good)
    assert (strange[:, None] > usual).mean() > (0.6 if kind == "shuffled" else 0.95)


def test_it_says_which_statistic_and_where(good, detector):
    x = good[:1].copy()
    x[0, 3:5, 2:4] = (x[0, 3:5, 2:4] + 3) % LEVELS
    found = detector.explain(x)
    assert found.statistic[0] in found.statistics and found.excess_map.shape == (1, 7, 6)
    nats = -detector.model.log_prob_map(x)[..., 0]
    expected = found.statistics["expected_surprise"] * 42
    np.testing.assert_allclose(found.excess_map.sum(), nats.sum() - expected, rtol=1e-4)
    np.testing.assert_allclose(found.score, detector.score(x))
    np.testing.assert_allclose(found.p_value, detector.p_value(x))


def test_an_off_center_image_is_found_by_its_center():
    model = image_model()
    x = np.zeros((200, 7, 6, 1), int)
    x[:, 3, 2:4] = np.random.default_rng(0).integers(1, 6, size=(200, 2, 1))
    moved = np.roll(x[:5], -2, axis=1)
    found = AnomalyDetector(model).fit(x).explain(moved)
    assert set(found.statistic) == {"center_of_rows"} and np.all(found.p_value == 0.01)
    assert np.all(found.deviations["center_of_rows"] < -10)


def test_saved_and_loaded_it_is_the_same(tmp_path, good, detector):
    detector.save(tmp_path / "detector.keras")
    loaded = kerasar.load(tmp_path / "detector.keras")
    np.testing.assert_array_equal(loaded.score(good), detector.score(good))
    assert loaded.threshold(0.05) == detector.threshold(0.05)
    np.testing.assert_array_equal(loaded.model.log_prob(good), detector.model.log_prob(good))


def test_served_it_is_the_same(tmp_path, good, detector):
    detector.export(tmp_path / "1")
    served = tf.saved_model.load(tmp_path / "1").signatures
    assert {"log_prob", "sample", "inpaint", "anomaly"} <= set(served)
    found = served["anomaly"](x=tf.constant(good, tf.int32))
    np.testing.assert_allclose(found["score"], detector.score(good), rtol=1e-4, atol=1e-5)
    explained = detector.explain(good)
    np.testing.assert_allclose(found["p_value"], explained.p_value, atol=0.011)
    np.testing.assert_allclose(found["excess_map"], explained.excess_map, rtol=1e-3, atol=1e-4)
    for name, values in explained.statistics.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
    with pytest.raises(tf.errors.InvalidArgumentError):
        served["anomaly"](x=tf.constant(good[:1] + LEVELS, tf.int32))


def test_a_conditional_model_needs_its_condition(tmp_path):
    model = kerasar.models.MAF(3, hidden_units=(8,), depth=2, condition_shape=(2,))
    randomize(model)
    condition = np.random.default_rng(0).normal(size=(120, 2)).astype("float32")
    x = model.sample(120, condition=condition)
    detector = AnomalyDetector(model).fit({"x": x, "condition": condition})
    score = detector.score(x, condition=condition)
    np.testing.assert_array_equal(score, detector.score({"x": x, "condition": condition}))
    assert abs(score - detector.score(x, condition=condition[::-1])).max() > 0.1
    with pytest.raises(ValueError, match="needs the condition"):
        detector.score(x)
    detector.export(tmp_path / "1")
    served = tf.saved_model.load(tmp_path / "1").signatures["anomaly"]
    found = served(x=tf.constant(x), condition=tf.constant(condition))
    np.testing.assert_allclose(found["score"], score, rtol=1e-4, atol=1e-5)


def sequences():
    model = kerasar.AutoregressiveModel(networks.dilated())
    return model, lambda model: model.sample(100)


def padded_sequences():
    x = keras.Input((None,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(keras.layers.Embedding(4, 6)(x))
    model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))
    length = np.arange(100, dtype="int32") % 9 + 1
    return model, lambda model: {"x": model.sample(100, length=9), "length": length}


def series():
    likelihood = kerasar.distributions.GaussianMixture(2, num_variables=2)
    model = kerasar.models.CausalConvNet(8, None, likelihood=likelihood, filters=4)
    return model, lambda model: model.sample(100)


def series_with_gaps():
    likelihood = kerasar.distributions.Relative(kerasar.distributions.GaussianMixture())
    model = kerasar.models.CausalConvNet(9, None, likelihood=likelihood, filters=4)

    def draw(model):
        x = model.sample(100)
        x[np.random.default_rng(0).uniform(size=x.shape) < 0.3] = np.nan
        x[3] = np.nan
        return x

    return model, draw


def vectors():
    return kerasar.models.NADE(6), lambda model: model.sample(100)


def flow():
    return kerasar.models.MAF(3), lambda model: model.sample(100)


def image_flow():
    rng = np.random.default_rng(0)
    model = kerasar.models.MultiscaleRealNVP((8, 8, 1), 5, filters=(2, 2, 2))
    return model, lambda model: rng.integers(5, size=(100, 8, 8, 1))


def colors():
    model = kerasar.models.PixelCNN((4, 4, 3), 5, filters=3, blocks=1, head_filters=3)
    return model, lambda model: model.sample(100)


def autoencoder():
    model = kerasar.models.PixelCNNAutoencoder((8, 8, 1), 3, filters=4, blocks=1)
    rng = np.random.default_rng(0)
    return model, lambda model: rng.integers(3, size=(100, 8, 8, 1))


@pytest.mark.parametrize(
    "case",
    [
        sequences,
        padded_sequences,
        series,
        vectors,
        flow,
        *(pytest.param(case, marks=pytest.mark.long) for case in (series_with_gaps, image_flow)),
        *(pytest.param(case, marks=pytest.mark.long) for case in (colors, autoencoder)),
    ],
    ids=lambda case: case.__name__,
)
def test_it_takes_data_of_all_kinds(case):
    model, draw = case()
    randomize(model)
    x = draw(model)
    detector = AnomalyDetector(model).fit(x)
    found = detector.explain(x)
    assert np.isfinite(found.score).all() and found.score.shape == (100,)
    assert ("complexity" in found.statistics) == (model.data_levels is not None)
    one = {name: part[3:4] for name, part in x.items()} if isinstance(x, dict) else x[3:4]
    np.testing.assert_allclose(detector.score(one), found.score[3:4], rtol=1e-3, atol=1e-3)


def test_constant_data_have_a_detector(model):
    x = np.zeros((60, 7, 6, 1), int)
    detector = AnomalyDetector(model).fit(x)
    other = x[:1].copy()
    other[0, 2, 2] = 5
    assert detector.score(other)[0] > detector.score(x).max()
    assert detector.p_value(x).min() == 1


def test_what_does_not_fit_is_refused(model, good, detector):
    with pytest.raises(ValueError, match="is not fitted. Call fit"):
        AnomalyDetector(model).score(good)
    with pytest.raises(ValueError, match="at least 50 good examples, but got 20"):
        AnomalyDetector(model).fit(good[:20])
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 7, 6, 1\)"):
        detector.score(good[:, :6])
    with pytest.raises(ValueError, match=r"x must lie in \[0, 6\)"):
        detector.score(good + LEVELS)
    with pytest.raises(TypeError, match="takes a density model of kerasar's"):
        AnomalyDetector(model.network)
    with pytest.raises(ValueError, match="must be the name of a .keras file, but got 'a.h5'"):
        detector.save("a.h5")
    with pytest.raises(ValueError, match="patch"):
        AnomalyDetector(model, patch=0)
    with pytest.raises(ValueError, match="needs at least 999"):
        detector.is_anomaly(good, false_alarms=0.001)


def test_weights_that_are_not_finite_are_named():
    model = image_model()
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))
    with pytest.raises(ValueError, match=r"of x\[0\] is nan: model 'gated_pixel_cnn'"):
        AnomalyDetector(model).fit(np.zeros((60, 7, 6, 1), int))
