"""Logits of levels that pixels nearby have: by hand, in each sampler, where they are refused."""

import keras
import numpy as np
import pytest
from drawing import some

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.layers import RepeatedLevels
from kerasar.models import GatedPixelCNN, PixelCNN
from kerasar.testing import check_causal_by_probe, check_normalized, check_samples, randomize

LEVELS = 5
GRAY = np.random.default_rng(0).integers(0, LEVELS, (4, 6, 7, 1)).astype("int32")

SIZES = {
    PixelCNN: dict(filters=4, blocks=1, head_filters=4, first_kernel_size=3),
    GatedPixelCNN: dict(filters=4, blocks=2, skip_filters=4, head_filters=4, first_kernel_size=3),
}


def build(builder, shape=(6, 7, 1), levels=LEVELS, **options):
    model = builder(shape, levels, **{**SIZES[builder], "repeats": True, **options})
    randomize(model.network)
    return model


@pytest.mark.parametrize("reach", [1, 2])
def test_each_neighbor_raises_the_logit_of_its_level(reach):
    layer = RepeatedLevels.from_config(RepeatedLevels(reach, name="r").get_config())
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 6, 7, LEVELS)).astype("float32")
    weights = rng.normal(size=(4, 6, 7, 2 * reach * (reach + 1))).astype("float32")
    expected = logits.copy()
    for n, y, x in np.ndindex(4, 6, 7):
        neighbors = [
            (row, column)
            for row in range(y - reach, y + 1)
            for column in range(x - reach, x + reach + 1)
            if (row, column) < (y, x)
        ]
        for weight, (row, column) in zip(weights[n, y, x], neighbors, strict=True):
            if 0 <= row and 0 <= column < 7:
                expected[n, y, x, GRAY[n, row, column, 0]] += weight
    for image in (GRAY, GRAY.astype("float32")):
        np.testing.assert_allclose(layer([logits, weights, image]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("builder", some(SIZES, [GatedPixelCNN]), ids=lambda b: b.__name__)
def test_samplers_agree_and_the_proof_holds(builder):
    model = build(builder)
    field = kerasar.receptive_field(model.network)
    assert {(-2, -2), (-2, 2), (0, -2)} <= set(field.offsets)
    check_causal_by_probe(model.network, GRAY, lambda x: (x + 1) % LEVELS, field.offsets)
    check_samples(model, num_samples=4)


def test_probabilities_of_all_images_sum_to_one():
    check_normalized(build(PixelCNN, (2, 2, 1), 3))


@pytest.mark.xla
def test_the_compiled_sampler_agrees():
    model = build(PixelCNN)
    np.testing.assert_array_equal(
        model.sample(3, seed=0, jit_compile=True), model.sample(3, seed=0, method="parallel")
    )


def test_it_learns_what_repeats(tmp_path):
    """Images of one level each, drawn anew: the logits of 64 levels are hard, a copy is easy."""
    x = np.random.default_rng(0).integers(0, 64, (256, 1, 1, 1)) * np.ones((1, 4, 4, 1), int)
    keras.utils.set_random_seed(0)
    bits = {}
    for repeats in (False, True):
        model = PixelCNN((4, 4, 1), 64, **SIZES[PixelCNN], repeats=repeats)
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(x, batch_size=32, epochs=15, verbose=0)
        bits[repeats] = model.evaluate(x, verbose=0, return_dict=True)["bits_per_dim"]
    assert bits[True] < 0.5 < 1 < bits[False]  # 6 / 16 is all there is to say
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(x[:3]), model.log_prob(x[:3]))


def test_images_of_any_size():
    model = build(PixelCNN, (None, None, 1))
    assert model.log_prob(GRAY[:, :3, :5]).shape == (4,)
    assert model.sample(2, image_shape=(3, 4)).shape == (2, 3, 4, 1)


def test_low_precision():
    layer = RepeatedLevels(dtype="mixed_bfloat16")
    logits = np.zeros((4, 6, 7, LEVELS), "float32")
    weights = np.ones((4, 6, 7, 12), "float32")
    counts = np.asarray(layer([keras.ops.cast(logits, "bfloat16"), weights, GRAY]))
    np.testing.assert_array_equal(counts.astype("float32"), layer([logits, weights, GRAY]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RepeatedLevels(0), "reach of layer .* at least 1, but got 0"),
        (
            lambda: RepeatedLevels(name="r")([GRAY, GRAY, GRAY]),
            r"12 weights.*gray images, but layer 'r' got input shapes .*\(4, 6, 7, 1\)",
        ),
        (lambda: RepeatedLevels(name="r")(GRAY), r"'r' got input shapes \(4, 6, 7, 1\)"),
        (lambda: build(PixelCNN, (4, 4, 3), filters=6, head_filters=6), r"3 channel\(s\)"),
        (lambda: build(PixelCNN, levels=2, likelihood=Bernoulli()), "under .*Bernoulli"),
    ],
)
def test_it_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
