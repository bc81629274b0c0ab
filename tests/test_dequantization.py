"""Noise on integers: the bound of their log probability, against sums over whole cells."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from flows import IMAGES, TINY, integers

import kerasar
from kerasar.distributions import Dequantization, VariationalDequantization
from kerasar.layers import AffineCoupling, Logit, Squeeze2D
from kerasar.statistics import log_mean_exp
from kerasar.testing import randomize

PAIRS = np.array(list(itertools.product(range(3), repeat=2)))


def cell_probabilities(model, levels, fine=60):
    """P(x) of pairs by quadrature of the density of real numbers over each unit cell."""
    continuous = kerasar.FlowModel(model.bijection, (2,), model.base)
    centres = (np.arange(levels * fine) + 0.5) / (levels * fine)
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).astype("float32")
    density = np.exp(continuous.log_prob(grid.reshape(-1, 2)).astype("float64"))
    cells = density.reshape(levels, fine, levels, fine).mean(axis=(1, 3)) / levels**2
    return cells.reshape(-1)


def check_mean_weight(model):
    """The mean of exp(bound) over draws must be the cell's probability, within 5 deviations."""
    for pair, expected in zip(PAIRS, cell_probabilities(model, 3), strict=True):
        draws = np.exp(model.log_prob(np.repeat(pair[None], 20_000, axis=0)).astype("float64"))
        error = draws.std() / np.sqrt(len(draws))
        assert error < 0.05 * expected, "the check would prove little"
        assert abs(draws.mean() - expected) < 5 * error + 1e-3 * expected


def test_draws_are_unbiased_weights_of_the_cell():
    check_mean_weight(integers())


def test_several_draws_are_averaged_as_probabilities():
    model = integers()
    batch = kerasar.training.density_model.Batch(tf.constant(PAIRS))
    weights = []
    for draw in range(3):
        noise = model.uniforms(7, tf.range(9), draw, 2)
        weights.append(np.exp(model.compute_log_prob(batch, noise).numpy()))
    found = model.log_prob(PAIRS, num_samples=3, seed=7)
    np.testing.assert_allclose(found, np.log(np.mean(weights, axis=0)), rtol=1e-5)


def test_one_draw_is_on_average_a_lower_bound_that_more_draws_tighten():
    model = integers()
    expected = np.log(cell_probabilities(model, 3)).mean()

    def mean(num_samples):
        repeats = [model.log_prob(PAIRS, num_samples=num_samples, seed=s) for s in range(100)]
        return np.mean(repeats)

    one, four = mean(1), mean(4)
    assert one < four - 0.01 and four < expected


def test_the_noise_belongs_to_the_example_and_the_seed():
    model = integers()
    found = model.log_prob(PAIRS, num_samples=2, seed=5)
    for batch_size in (1, 4):
        again = model.log_prob(PAIRS, num_samples=2, seed=5, batch_size=batch_size)
        np.testing.assert_allclose(again, found, rtol=1e-5)
    assert np.abs(model.log_prob(PAIRS, num_samples=2, seed=6) - found).min() > 1e-6


def test_latents_are_those_of_the_cells_middles():
    model = integers()
    continuous = kerasar.FlowModel(model.bijection, (2,))
    middles = ((PAIRS + 0.5) / 3).astype("float32")
    np.testing.assert_allclose(model.latent(PAIRS), continuous.latent(middles), atol=1e-5)


@pytest.mark.parametrize("levels", [2, 256, 65536])
def test_integers_come_back_from_their_noisy_cells(levels):
    layer = Dequantization(levels)
    x = np.array([[0, 1, levels // 2, levels - 1]])
    for noise in (2.0**-24, 0.5, 1 - 2.0**-24):
        uniforms = tf.fill((1, 4), tf.constant(noise, tf.float32))
        y, log_volume = layer(tf.constant(x), uniforms)
        assert 0 <= float(tf.reduce_min(y)) and float(tf.reduce_max(y)) < 1
        if noise == 0.5 or levels < 1000:  # float32 rounds edges of 65,536 cells
            assert np.abs(layer.integers(y) - x).max() <= (noise > 0.5)
        assert float(log_volume[0]) == pytest.approx(-4 * np.log(levels))
    np.testing.assert_array_equal(layer.integers(layer.midpoint(tf.constant(x), tf.float32)), x)


def test_numbers_outside_go_to_the_first_or_last_level():
    found = Dequantization(4).integers(tf.constant([-3.0, -0.01, 1.0, 1.7]))
    np.testing.assert_array_equal(found, [0, 0, 3, 3])


def variational(dtype="float32"):
    noise = [AffineCoupling(invert=bool(i), dtype=dtype, **TINY) for i in range(2)]
    dequantize = VariationalDequantization(3, noise, dtype=dtype)
    flow = [Logit(dtype=dtype), AffineCoupling(dtype=dtype, **TINY)]
    model = kerasar.FlowModel(flow, (2,), dequantize=dequantize)
    randomize(model.bijection)
    randomize(model.dequantization)
    return model


def test_the_density_of_learned_noise_is_that_of_autodiff():
    layer = variational().dequantization
    uniforms = tf.random.stateless_uniform((9, 2), (0, 0), 0.05, 0.95)
    with tf.GradientTape() as tape:
        tape.watch(uniforms)
        u, log_density = layer.noise(tf.constant(PAIRS), uniforms, False)
    _, log_det = np.linalg.slogdet(tape.batch_jacobian(u, uniforms))
    np.testing.assert_allclose(log_density, -log_det, atol=1e-3)
    assert np.abs(log_det).max() > 0.1


def test_draws_of_learned_noise_are_unbiased_weights_too():
    model = variational()
    for weight in model.dequantization.weights:
        weight.assign(0.3 * weight)  # near uniform, so that the weights vary little
    check_mean_weight(model)


def test_learned_noise_is_trained_and_saved(tmp_path):
    model = variational()
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    before = [w.numpy() for w in model.dequantization.trainable_weights]
    model.fit(np.repeat(PAIRS, 4, axis=0), epochs=2, verbose=0)
    after = model.dequantization.trainable_weights
    assert len(after) == 8 and all(
        np.abs(a - b).max() > 0 for a, b in zip(after, before, strict=True)
    )
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.log_prob(PAIRS), model.log_prob(PAIRS), rtol=1e-6)


def test_learned_noise_in_float64():
    model = variational(dtype="float64")
    assert model.log_prob(PAIRS).dtype == "float64"


def test_learned_noise_serves_images():
    noise = [AffineCoupling("checkerboard", **TINY)]
    flow = [Logit(), AffineCoupling("checkerboard", **TINY)]
    model = kerasar.FlowModel(flow, (4, 4, 1), dequantize=VariationalDequantization(4, noise))
    assert np.isfinite(model.log_prob(IMAGES)).all()


@pytest.mark.parametrize(
    ("builder", "shape", "sizes"),
    [
        (kerasar.models.Glow, (4, 6, 3), dict(stages=1, depth=1, filters=4)),
        (kerasar.models.MultiscaleRealNVP, (3, 5, 2), dict(stages=0, filters=4, blocks=1)),
    ],
    ids=["colors", "odd sizes"],
)
def test_flows_of_images_learn_noise(builder, shape, sizes, tmp_path):
    x = np.random.default_rng(0).integers(0, 4, (12, *shape))
    model = builder(shape, 4, dequantization="variational", **sizes)
    uniform = builder(shape, 4, **sizes)
    np.testing.assert_allclose(  # new noise is uniform
        model.log_prob(x), uniform.log_prob(x), rtol=1e-5
    )
    model.compile(kerasar.training.Muon(1e-2), jit_compile=False)
    model.fit(x, batch_size=4, epochs=3, verbose=0)
    u = np.random.default_rng(1).uniform(size=x.shape).astype("float32")
    noise, log_density = model.dequantization.noise(tf.constant(x), tf.constant(u), False)
    assert np.abs(noise - u).max() > 1e-3 and np.abs(log_density).max() > 1e-2
    assert 0 < np.min(noise) and np.max(noise) < 1
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.log_prob(x), model.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("levels", "dequantization", "message"),
    [
        (None, "variational", "levels=None the images hold real numbers. Leave dequantization out"),
        (4, "learned", "dequantization must be 'uniform' or 'variational', but got 'learned'"),
    ],
)
def test_noise_that_images_do_not_take(levels, dequantization, message):
    with pytest.raises(ValueError, match=message):
        kerasar.models.Glow((4, 4, 1), levels, dequantization=dequantization)


def test_bijections_of_noise_must_keep_the_shape():
    dequantize = VariationalDequantization(4, [Squeeze2D()])
    with pytest.raises(ValueError, match="one noise value for each integer"):
        kerasar.FlowModel([Logit()], (4, 4, 1), dequantize=dequantize)


def test_all_draws_without_probability_have_none():
    draws = np.array([[-np.inf, -1.0], [-np.inf, -np.inf]], "float32")
    np.testing.assert_allclose(log_mean_exp(draws), [-np.inf, -1 - np.log(2)], rtol=1e-6)
