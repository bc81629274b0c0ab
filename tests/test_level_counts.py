"""Levels that were drawn before, counted: by hand, in each sampler, where they are refused."""

import keras
import numpy as np
import pytest
from drawing import some
from keras import layers as L

import kerasar
from kerasar.distributions import Bernoulli
from kerasar.layers import CausalShift, LevelCountsAbove, LevelCountsLeft, SeenLevels
from kerasar.models import GatedPixelCNN, PixelCNN
from kerasar.testing import check_causal_by_probe, check_normalized, check_samples, randomize

LEVELS = 5
GRAY = np.random.default_rng(0).integers(0, LEVELS, (4, 6, 7, 1)).astype("int32")
SIZES = {
    PixelCNN: dict(filters=4, blocks=1, head_filters=4, first_kernel_size=3),
    GatedPixelCNN: dict(filters=4, blocks=2, skip_filters=4, head_filters=4, first_kernel_size=3),
}
SMALL = [GatedPixelCNN]


def build(builder, shape=(6, 7, 1), levels=LEVELS, **options):
    model = builder(shape, levels, **{**SIZES[builder], "level_counts": True, **options})
    randomize(model.network)
    return model


def before(shape=(6, 7, 1)):
    """The input of a network, and how often each level was drawn before each pixel."""
    x = keras.Input(shape, dtype="int32")
    above = CausalShift(axis=1, dtype="float32")(LevelCountsAbove(LEVELS)(x))
    return x, L.Add()([above, LevelCountsLeft(LEVELS)(x)])


def logits(h):
    return kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(h))


def counted(images, y, x, whole_rows=False):
    """Of each image, how often each level occurs before pixel (y, x), or in all rows before y."""
    seen = images[:, :y].reshape(len(images), -1)
    if not whole_rows:
        seen = np.concatenate([seen, images[:, y, :x, 0]], axis=1)
    return np.stack([np.bincount(one, minlength=LEVELS) for one in seen])


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_what_they_count(dtype):
    images = GRAY.astype(dtype)
    above, left = LevelCountsAbove(LEVELS)(images), LevelCountsLeft(LEVELS)(images)
    for y, x in np.ndindex(6, 7):
        rows = counted(GRAY, y + 1, 0, whole_rows=True)
        np.testing.assert_array_equal(above[:, y, x], rows)
        in_row = counted(GRAY, y, x) - counted(GRAY, y, 0)
        np.testing.assert_array_equal(left[:, y, x], in_row)
    network = keras.Model(*before())
    for y, x in np.ndindex(6, 7):
        np.testing.assert_array_equal(network(GRAY)[:, y, x], counted(GRAY, y, x))


def test_many_pixels_are_counted_exactly_in_low_precision():
    images = np.zeros((1, 40, 30, 1), "int32")
    for layer, last in ((LevelCountsAbove, 1200), (LevelCountsLeft, 29)):
        counts = np.asarray(layer(2, dtype="bfloat16")(images))
        assert counts.dtype == "float32" and counts[0, -1, -1].tolist() == [last, 0]


def test_levels_that_were_seen_are_raised():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 6, 7, LEVELS)).astype("float32")
    weights = rng.normal(size=(4, 6, 7, 2)).astype("float32")
    counts = rng.integers(0, 3, (4, 6, 7, LEVELS)).astype("float32")
    layer = SeenLevels.from_config(SeenLevels(name="s").get_config())
    expected = logits + weights[..., :1] * (counts > 0) + weights[..., 1:] * np.log(1 + counts)
    np.testing.assert_allclose(layer([logits, weights, counts]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("builder", some(SIZES, SMALL), ids=lambda builder: builder.__name__)
def test_samplers_agree_and_the_proof_holds(builder, repeats):
    model = build(builder, repeats=repeats)
    field = kerasar.receptive_field(model.network)
    everything = {(-y, x) for y in range(1, 6) for x in range(-6, 7)} | {
        (0, -x) for x in range(1, 7)
    }
    assert set(field.offsets) == everything
    check_causal_by_probe(model.network, GRAY, lambda x: (x + 1) % LEVELS, field.offsets)
    check_samples(model, num_samples=4)


def test_in_a_network_of_ones_own():
    """Counts at the input of convolutions, which read them at other pixels, too."""
    x, counts = before()
    h = L.Dense(4, activation="relu")(keras.ops.log1p(counts))
    h = kerasar.layers.MaskedConv2D(4, 3, mask="B", activation="relu")(h)
    model = kerasar.AutoregressiveModel(keras.Model(x, logits(h)))
    randomize(model.network)
    sees = kerasar.receptive_field(model.network).offsets
    check_causal_by_probe(model.network, GRAY, lambda x: (x + 1) % LEVELS, sees)
    check_samples(model, num_samples=4)


def test_a_pixel_of_the_own_row_is_a_leak():
    x = keras.Input((6, 7, 1), dtype="int32")
    network = keras.Model(x, logits(LevelCountsAbove(LEVELS, name="rows")(x)))
    with pytest.raises(ValueError, match="rows"):
        kerasar.AutoregressiveModel(network)


def test_probabilities_of_all_images_sum_to_one():
    check_normalized(build(PixelCNN, (2, 2, 1), 3))


@pytest.mark.xla
def test_the_compiled_sampler_agrees():
    model = build(PixelCNN)
    np.testing.assert_array_equal(
        model.sample(3, seed=0, jit_compile=True), model.sample(3, seed=0, method="parallel")
    )


def test_it_learns_palettes(tmp_path):
    """Images of three levels of 64 each, drawn anew: far apart, so that no neighbor tells them."""
    rng = np.random.default_rng(0)
    palettes = np.stack([rng.choice(64, 3, replace=False) for _ in range(512)])
    x = np.take_along_axis(palettes, rng.integers(0, 3, (512, 64)), axis=1).reshape(-1, 8, 8, 1)
    keras.utils.set_random_seed(0)
    bits = {}
    for level_counts in (False, True):
        options = {**SIZES[PixelCNN], "repeats": False, "level_counts": level_counts}
        model = PixelCNN((8, 8, 1), 64, **options)
        model.compile(keras.optimizers.Adam(1e-2))
        model.fit(x[:-64], batch_size=16, epochs=8, verbose=0)
        held_out = model.evaluate(x[-64:], verbose=0, return_dict=True)
        bits[level_counts] = held_out["bits_per_dim"]
    assert bits[True] < 2.2 < 3 < bits[False]  # at the least log2 3 = 1.6, and the palette's 0.3
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.log_prob(x[:3]), model.log_prob(x[:3]))


@pytest.mark.parametrize("builder", some(SIZES, SMALL), ids=lambda builder: builder.__name__)
def test_images_of_any_size(builder):
    model = build(builder, (None, None, 1))
    assert model.log_prob(GRAY[:, :3, :5]).shape == (4,)
    assert model.sample(2, image_shape=(3, 4)).shape == (2, 3, 4, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LevelCountsLeft(1), "levels of layer .* at least 2, but got 1"),
        (
            lambda: LevelCountsAbove(4, name="c")(GRAY[..., 0]),
            r"gray images.*'c' got input shape \(4, 6, 7\)",
        ),
        (
            lambda: LevelCountsLeft(4, name="c")(np.zeros((1, 2, 2, 3))),
            r"'c' got input shape \(1, 2, 2, 3\)",
        ),
        (lambda: SeenLevels(name="s")([GRAY, GRAY, GRAY]), r"2 weights.*'s' got input shapes"),
        (lambda: SeenLevels(name="s")(GRAY), r"'s' got input shapes \(4, 6, 7, 1\)"),
        (lambda: build(PixelCNN, (4, 4, 3), filters=6, head_filters=6), "Leave out level_counts"),
        (lambda: build(PixelCNN, levels=2, likelihood=Bernoulli()), "under .*Bernoulli"),
    ],
)
def test_it_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
@pytest.mark.parametrize("builder", some(SIZES, SMALL), ids=lambda builder: builder.__name__)
def test_other_precisions_are_stepped(builder, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build(builder)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.sample(2, seed=0, method="cached").shape == (2, 6, 7, 1)
