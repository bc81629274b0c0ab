"""Converted window models as `AutoregressiveModel`: proof, training, sampling, export."""

import numpy as np
import pytest
from drawing import check_cached
from keras import layers as L
from serving import serve
from window_models import by_windows, model_of

import kerasar
from kerasar.layers import ScaleLevels

LEVELS, WINDOW = 4, 8


def scaled(window):
    return L.Reshape((-1, 1))(ScaleLevels(LEVELS)(window))


def strided(window):
    h = L.Conv1D(5, 2, strides=2, activation="tanh")(L.Embedding(LEVELS, 4)(window))
    h = L.MaxPooling1D(2)(h)
    return L.Dense(LEVELS)(L.Flatten()(h))


def bordered(window):
    """Borders, a skip, every sort of convolution, columns in another order."""
    h = L.Conv1D(4, 3, padding="same", activation="tanh")(scaled(window))
    h = L.Add()([h, L.SeparableConv1D(4, 2, strides=1, padding="same", activation="relu")(h)])
    h = L.AveragePooling1D(2, strides=2, padding="same")(h)
    h = L.DepthwiseConv1D(2, padding="same")(L.ZeroPadding1D((3, 0))(h))
    h = L.LayerNormalization()(L.Permute((2, 1))(h))
    h = L.Dense(6, activation="relu")(L.Flatten()(h))
    return L.Dense(LEVELS)(L.BatchNormalization()(h))


def grouped_and_pooled(window):
    h = L.Conv1D(4, 2, padding="causal", groups=1)(scaled(window))
    h = L.Conv1D(4, 3, groups=2, activation="tanh")(h)
    return L.Dense(LEVELS)(L.Concatenate()([L.GlobalAveragePooling1D()(h), L.Flatten()(h[:, -1:])]))


BUILDS = [strided, bordered, grouped_and_pooled]


def autoregressive(build, **options):
    theory = model_of(build, (WINDOW,), "int32")
    return theory, kerasar.AutoregressiveModel(
        kerasar.convolutionalize(theory, strictly_causal=True, **options),
        allow_training_leak=True,
    )


@pytest.mark.parametrize(
    ("build", "per_layer"),
    [
        (strided, False),
        (grouped_and_pooled, False),
        (bordered, True),
        pytest.param(bordered, False, marks=pytest.mark.long),
        pytest.param(strided, True, marks=pytest.mark.long),
        pytest.param(grouped_and_pooled, True, marks=pytest.mark.long),
    ],
)
def test_it_is_drawn_step_by_step(build, per_layer):
    _, model = autoregressive(build, per_layer_padding=per_layer)
    check_cached(model, num_samples=3, length=12)


def test_all_samplers_draw_the_same():
    _, model = autoregressive(strided)
    known = np.zeros((3, 12), bool)
    drawn = [
        model.inpaint(known.astype(int), known, seed=1, method=method)
        for method in kerasar.sampling.METHODS
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("build", BUILDS, ids=lambda b: b.__name__)
def test_a_log_probability_is_that_of_the_window_model(build):
    theory, model = autoregressive(build)
    x = np.random.default_rng(0).integers(LEVELS, size=(3, 14)).astype("int32")
    # The prediction of step t is made by the window that ends with step t - 1.
    seen = np.concatenate([np.zeros((3, 1), "int32"), x[:, :-1]], axis=1)
    logits = by_windows(theory, seen).astype("float64")
    normalised = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = np.take_along_axis(normalised, x[..., None], -1)[..., 0].sum(1)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-5)


def test_the_receptive_field_is_the_window():
    _, model = autoregressive(strided)
    assert kerasar.receptive_field(model.network).reach == WINDOW
    assert not kerasar.receptive_field(model.network).blind_spot


def test_it_learns_and_the_window_model_with_it():
    theory, model = autoregressive(strided)
    x = np.tile(np.arange(24) % LEVELS, (8, 1)).astype("int32")
    model.compile("adam", jit_compile=False)
    before, window = model.log_prob(x).mean(), theory(x[:, :WINDOW])
    model.fit(x, epochs=10, batch_size=8, verbose=0)
    assert model.log_prob(x).mean() > before + 1.0
    assert np.abs(theory(x[:, :WINDOW]) - window).max() > 0.01


def test_it_can_be_served(tmp_path):
    _, model = autoregressive(strided)
    model.export(str(tmp_path / "1"))
    x = np.random.default_rng(0).integers(LEVELS, size=(2, 10)).astype("int32")
    (found,) = serve(tmp_path / "1", [("log_prob", dict(x=x))])
    np.testing.assert_allclose(found["log_prob"], model.log_prob(x), rtol=1e-4)


def test_the_whole_model_survives_a_file(tmp_path):
    theory, model = autoregressive(bordered)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(LEVELS, size=(2, 10)).astype("int32")
    np.testing.assert_allclose(loaded.log_prob(x), model.log_prob(x), rtol=1e-5)
    assert loaded.count_params() == theory.count_params()


def test_a_model_that_sees_the_present_is_refused():
    theory = model_of(strided, (WINDOW,), "int32")
    with pytest.raises(ValueError, match="present"):
        kerasar.AutoregressiveModel(kerasar.convolutionalize(theory))
