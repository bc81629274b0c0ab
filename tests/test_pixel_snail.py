"""PixelSNAIL: what it sees, its attention, its conditions, and what it refuses."""

import functools

import keras
import numpy as np
import pytest
from drawing import some

import kerasar
from kerasar.distributions import Bernoulli, Categorical, Independent
from kerasar.models import PixelSNAIL
from kerasar.testing import check_normalized, randomize

TINY = dict(filters=4, blocks=1, residuals=1, first_kernel_size=3, key_size=3, head_filters=4)

FORMS = {
    "gray": ((2, 3, 1), 3, {}, None),
    "two blocks": ((3, 2, 1), 2, dict(blocks=2, likelihood=Bernoulli(), dropout=0.1), None),
    "color": ((2, 2, 3), 2, {}, None),
    "class": ((2, 2, 1), 3, dict(num_classes=3), np.array([2])),
    "vector": ((2, 2, 1), 3, dict(global_features=2), np.array([[0.5, -1.0]], "float32")),
}


@functools.cache
def model_of(name):
    """Shared by the tests, for the loops of a model are traced once."""
    shape, levels, options, _ = FORMS[name]
    model = PixelSNAIL(shape, levels, **(TINY | options))
    randomize(model.network)
    return model


@pytest.mark.parametrize("name", FORMS)
def test_its_probabilities_sum_to_one(name):
    check_normalized(model_of(name), FORMS[name][3])


@pytest.mark.parametrize("name", some(["gray", "color", "class"], ["color"]))
def test_all_samplers_draw_the_same(name):
    model = model_of(name)
    assert not model.analysis.unknown
    options = dict(num_samples=4, seed=1, condition=FORMS[name][3])
    if FORMS[name][3] is not None:
        options["condition"] = np.repeat(FORMS[name][3], 4)
    drawn = [model.sample(method=m, **options) for m in ("parallel", "sequential", None)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_every_pixel_before_is_seen():
    model = PixelSNAIL((4, 5, 1), 3, **TINY)
    randomize(model.network)
    assert not kerasar.receptive_field(model.network).blind_spot
    x = np.random.default_rng(0).integers(0, 3, (4, 4, 5, 1))
    before = model.network(x).numpy()
    seen = np.zeros((20, 20), bool)
    for i in range(20):
        moved = x.copy().reshape(4, 20, 1)
        moved[:, i] = (moved[:, i] + 1) % 3
        after = model.network(moved.reshape(x.shape)).numpy()
        changed = np.abs(after - before).reshape(4, 20, -1).max(axis=(0, 2)) > 1e-7
        seen[:, i] = changed
    np.testing.assert_array_equal(seen, np.tril(np.ones((20, 20), bool), -1))


def test_the_attention_reads_the_pixels_before():
    """With the equations of the layer's own weights, one pixel after the other."""
    model = PixelSNAIL((2, 3, 1), 3, **TINY)
    randomize(model.network)
    x = np.random.default_rng(0).integers(0, 3, (1, 2, 3, 1))
    layers = [f"attention0_{part}" for part in ("query", "key", "value")] + ["attention0"]
    probe = keras.Model(model.network.inputs, [model.network.get_layer(n).output for n in layers])
    query, key, value, found = (part[0].numpy().reshape(6, -1) for part in probe({"x": x}))
    for i in range(6):
        scores = np.exp(20 * np.tanh(key[:i] @ query[i] / np.sqrt(3) / 20))
        expected = scores @ value[:i] / (1 + scores.sum())
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)
    assert (found[0] == 0).all()


def test_it_is_saved_and_trained(tmp_path):
    model = model_of("gray")
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    x = np.random.default_rng(0).integers(0, 3, (8, 2, 3, 1))
    np.testing.assert_allclose(loaded.log_prob(x), model.log_prob(x), rtol=1e-5)
    loaded.compile(jit_compile=False)
    history = loaded.fit(x, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((None, 3, 1), {}, r"image_shape must be known, but got \(None, 3, 1\)"),
        ((2, 3), {}, "image_shape must be a tuple"),
        (
            (2, 3, 3),
            dict(likelihood=Categorical()),
            r"draws whole pixels, but .* Categorical draws their 3 .* Independent\(3, Categorical",
        ),
        ((2, 3, 1), dict(blocks=0), "blocks must be at least 1, but got 0"),
        ((2, 3, 1), dict(dropout=-0.1), r"dropout must lie in \[0, 1\)"),
        ((2, 3, 1), dict(first_kernel_size=4), "must be odd, but got kernel_size=4"),
    ],
)
def test_what_does_not_fit_is_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        PixelSNAIL(shape, 3, **(TINY | options))


def test_colors_by_another_likelihood_of_whole_pixels():
    model = PixelSNAIL((2, 2, 2), 2, likelihood=Independent(2, Categorical()), **TINY)
    randomize(model.network)
    check_normalized(model)
