"""Piecewise linear, logit, normalisations and the 1×1 convolution: what is special to each."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from bijections import IMAGES, NUMBERS, VECTORS

from kerasar.layers import (
    ActNorm,
    BatchNormBijection,
    Chain,
    Invertible1x1Conv,
    Logit,
    PiecewiseLinear,
)
from kerasar.testing import randomize


def built(layer, x):
    layer.build((None, *x.shape[1:]))
    randomize(layer)
    return layer


MANY = np.random.default_rng(3).normal([5.0, -300.0], [0.01, 20.0], (500, 2)).astype("float32")


# Piecewise linear.


def test_between_the_knots_it_interpolates():
    layer = built(PiecewiseLinear(7, -2.0, 3.0, dtype="float64"), NUMBERS)
    alpha, xi = float(layer.alpha[0]), np.asarray(layer.xi)[0]
    knots, values = np.linspace(-2, 3, 8), alpha + np.concatenate([[0], np.cumsum(np.exp(xi))])
    x = np.concatenate([np.linspace(-2, 3, 101), knots])
    z, _ = layer(x[:, None])
    np.testing.assert_allclose(z[:, 0], np.interp(x, knots, values), atol=1e-12)


def test_outside_the_first_and_last_piece_go_on():
    layer = built(PiecewiseLinear(7, -2.0, 3.0, dtype="float64"), NUMBERS)
    width, xi = 5 / 7, np.asarray(layer.xi)[0]
    for edge, piece in ((-2.0, 0), (3.0, -1)):
        at, far = (layer(np.array([[edge + step]])) for step in (0.0, np.sign(edge) * 100))
        slope = np.exp(xi[piece]) / width
        np.testing.assert_allclose(abs(far[0] - at[0]), [[100 * slope]], rtol=1e-9)
        np.testing.assert_allclose(far[1], [np.log(slope)], rtol=1e-9)


def test_each_feature_has_a_map_of_its_own():
    layer = built(PiecewiseLinear(5), VECTORS)
    z, _ = layer(np.full((1, 5), 0.3, "float32"))
    assert len(set(np.asarray(z)[0].round(4))) == 5


def test_a_new_map_is_the_identity_everywhere():
    x = np.array([[-50.0], [-4.0], [0.123], [4.0], [50.0]], "float32")
    z, log_det = PiecewiseLinear(1001, -4.0, 4.0)(x)
    # A thousand pieces are added up.
    np.testing.assert_allclose(z, x, atol=2e-3)
    np.testing.assert_allclose(log_det, np.zeros(5), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(pieces=0), "must be at least 1, but got 0"),
        (dict(xmin=1.0, xmax=1.0), "needs an interval, xmin < xmax, but got xmin=1.0, xmax=1.0"),
        (dict(xmax=float("inf")), "xmax must be a finite number, but got inf"),
        (dict(xmin=float("nan")), "xmin must be a finite number, but got nan"),
    ],
)
def test_a_piecewise_map_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f"'step'.*{message}"):
        PiecewiseLinear(name="step", **arguments)


# Logit.


def test_logit_by_its_formula():
    x = np.random.default_rng(0).uniform(10, 20, (4, 3))
    z, log_det = Logit(10.0, 20.0, alpha=0.1, dtype="float64")(x)
    p = 0.1 + 0.8 * (x - 10) / 10
    np.testing.assert_allclose(z, np.log(p / (1 - p)), rtol=1e-12)
    np.testing.assert_allclose(log_det, np.log(0.08 / (p * (1 - p))).sum(axis=1), rtol=1e-12)


def test_a_little_outside_of_its_interval_the_logit_goes_on_and_further_out_it_is_nan():
    layer = Logit(alpha=0.05)  # p reaches 1 at x = 1 + 0.05 / 0.9
    ends, log_det = layer(np.array([[end] for end in layer.domain], "float32"))
    assert np.isfinite(ends).all() and np.isfinite(log_det).all()
    near, _ = layer(np.array([[-0.05], [1.05]], "float32"))
    assert np.isfinite(near).all()
    for x in (-0.06, 1.06, 1e4, -1e4):
        z, log_det = layer(np.array([[x]], "float32"))
        assert np.isnan(z).all() and np.isnan(log_det).all()


def test_the_latents_of_a_logit_reach_a_little_beyond_its_interval():
    layer = Logit(alpha=0.05)
    layer.build((None, 1))
    x, log_det = layer.inverse(np.array([[-1e4], [1e4]], "float32"))
    np.testing.assert_allclose(x[:, 0], [-0.05 / 0.9, 1 + 0.05 / 0.9], rtol=1e-6)
    assert np.isfinite(log_det).all()


def test_a_logit_says_its_domain():
    low, high = Logit(-1.0, 2.0, alpha=0.05).domain
    beyond = 3 * 0.05 / 0.9  # where p reaches 0 and 1
    np.testing.assert_allclose([low, high], [-1 - beyond, 2 + beyond], rtol=1e-5)
    assert -1 - beyond < low and high < 2 + beyond


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(low=1.0), "needs an interval, low < high, but got low=1.0, high=1.0"),
        (dict(high=float("inf")), "high must be a finite number, but got inf"),
        (dict(alpha=0.0), "needs an alpha between 0 and ½.*infinite latents, but got 0.0"),
        (dict(alpha=0.5), "needs an alpha between 0 and ½"),
    ],
)
def test_a_logit_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f"'step'.*{message}"):
        Logit(name="step", **arguments)


# ActNorm.


def test_the_first_training_batch_comes_out_normalised():
    layer = ActNorm()
    z, log_det = layer(MANY, training=True)
    np.testing.assert_allclose(np.mean(z, axis=0), [0, 0], atol=1e-3)
    np.testing.assert_allclose(np.std(z, axis=0), [1, 1], atol=1e-3)
    expected = -np.log(MANY.astype("float64").std(axis=0)).sum()
    np.testing.assert_allclose(log_det, np.full(500, expected), rtol=1e-3)


def test_later_batches_and_batches_outside_of_training_set_nothing():
    layer = ActNorm()
    layer(MANY)
    np.testing.assert_array_equal(layer.data_mean, [0, 0])
    layer(MANY, training=True)
    before = layer.get_weights()
    layer(MANY * 2, training=True)
    for found, expected in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("compiled", [False, True])
def test_initialisation_inside_a_compiled_step(compiled):
    layer = ActNorm()
    layer.build((None, 2))

    @tf.function(jit_compile=compiled, autograph=False)
    def step(x):
        with tf.GradientTape() as tape:
            z, log_det = layer(x, training=True)
            loss = tf.reduce_sum(z**2) - tf.reduce_sum(log_det)
        return z, tape.gradient(loss, [layer.log_scale.value, layer.shift.value])

    z, gradients = step(tf.constant(MANY))
    np.testing.assert_allclose(np.std(z, axis=0), [1, 1], atol=1e-3)
    assert np.isfinite(gradients).all()
    mean = np.asarray(layer.data_mean)
    step(tf.constant(MANY * 2))
    np.testing.assert_array_equal(layer.data_mean, mean)


def test_initialisation_survives_a_file(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, ActNorm()(inputs))
    z, _ = model(MANY, training=True)
    model.save(tmp_path / "norm.keras")
    loaded = keras.saving.load_model(tmp_path / "norm.keras")
    np.testing.assert_allclose(loaded(MANY)[0], z, atol=1e-6)
    np.testing.assert_allclose(loaded(MANY * 2, training=True)[0], model(MANY * 2)[0], atol=1e-6)


@pytest.mark.parametrize(
    "x",
    [MANY[:1], np.full((4, 2), 1234.5, "float32"), np.full((4, 2), 1e4, "float32")],
    ids=["one vector", "constant", "constant and large"],
)
def test_a_batch_without_spread_leaves_the_scale(x):
    layer = ActNorm()
    z, log_det = layer(x, training=True)
    np.testing.assert_allclose(z, np.zeros_like(x), atol=1e-3)
    np.testing.assert_array_equal(log_det, np.zeros(len(x)))


def test_a_batch_of_one_image_is_enough():
    z, _ = ActNorm()(IMAGES[:1], training=True)
    np.testing.assert_allclose(np.std(z, axis=(0, 1, 2)), [1, 1], atol=1e-4)


# Batch normalisation.


def test_in_training_it_normalises_by_the_batch():
    layer = BatchNormBijection(epsilon=0.5)
    z, log_det = layer(IMAGES, training=True)
    mean, variance = IMAGES.mean(axis=(0, 1, 2)), IMAGES.var(axis=(0, 1, 2))
    np.testing.assert_allclose(z, (IMAGES - mean) / np.sqrt(variance + 0.5), atol=1e-5)
    expected = -0.5 * 8 * np.log(variance + 0.5).sum()  # 8 pixels
    np.testing.assert_allclose(log_det, [expected] * 2, rtol=1e-5)


def test_the_moving_statistics_follow_in_training_only():
    layer = BatchNormBijection(momentum=0.9)
    layer(MANY)
    np.testing.assert_array_equal(layer.moving_mean, [0, 0])
    np.testing.assert_array_equal(layer.moving_variance, [1, 1])
    layer(MANY, training=True)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * MANY.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * MANY.var(axis=0), rtol=1e-4)


def test_outside_of_training_and_backwards_it_uses_the_moving_statistics():
    layer = built(BatchNormBijection(epsilon=1e-3), VECTORS)
    mean, deviation = layer.moving_mean, np.sqrt(np.asarray(layer.moving_variance) + 1e-3)
    np.testing.assert_allclose(layer(VECTORS)[0], (VECTORS - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(layer.inverse(VECTORS)[0], VECTORS * deviation + mean, atol=1e-5)


def test_batches_train_it_as_deep_as_it_lies():
    layer = BatchNormBijection(momentum=0.0)
    Chain([Chain([layer])])(MANY, training=True)
    np.testing.assert_allclose(layer.moving_mean, MANY.mean(axis=0), rtol=1e-4)


def test_one_vector_in_training_is_finite():
    z, log_det = BatchNormBijection()(VECTORS[:1] * 1e4, training=True)
    np.testing.assert_array_equal(z, np.zeros_like(VECTORS[:1]))
    assert np.isfinite(log_det).all()


def test_gradients_run_through_the_statistics_of_the_batch():
    layer = BatchNormBijection(epsilon=1e-6)
    x = tf.constant(VECTORS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z, _ = layer(x, training=True)
        total = tf.reduce_sum(z**2)  # the same for all data
    np.testing.assert_allclose(tape.gradient(total, x), np.zeros_like(VECTORS), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(momentum=1.0), r"needs a momentum in \[0, 1\).*but got 1.0"),
        (dict(momentum=-0.1), "needs a momentum"),
        (dict(epsilon=0.0), "needs an epsilon above 0.*but got 0.0"),
    ],
)
def test_a_batch_norm_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=f"'step'.*{message}"):
        BatchNormBijection(name="step", **arguments)


# 1×1 convolution.


def kernel_of(layer, channels):
    return np.asarray(layer(np.eye(channels))[0])


@pytest.mark.parametrize("channels", [1, 2, 7, 24])
def test_it_starts_as_a_rotation(channels):
    layer = Invertible1x1Conv(seed=3, dtype="float64")
    kernel = kernel_of(layer, channels)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(channels), atol=1e-12)
    np.testing.assert_allclose(layer(np.eye(channels))[1], np.zeros(channels), atol=1e-12)
    assert channels == 1 or np.abs(kernel - np.eye(channels)).max() > 0.1


def test_its_log_det_is_that_of_its_matrix_for_each_pixel():
    layer = built(Invertible1x1Conv(seed=0, dtype="float64"), IMAGES[..., [0, 1, 0]])
    kernel = np.asarray(layer(np.eye(3)[:, None, None, :].repeat(2, 1).repeat(4, 2))[0])[:, 0, 0]
    _, log_det = layer(IMAGES[..., [0, 1, 0]])
    np.testing.assert_allclose(log_det, [8 * np.linalg.slogdet(kernel)[1]] * 2, rtol=1e-10)


def test_all_pixels_get_the_same_matrix():
    layer = built(Invertible1x1Conv(seed=0), IMAGES)
    z, _ = layer(IMAGES)
    kernel = np.linalg.lstsq(IMAGES.reshape(-1, 2), np.reshape(z, (-1, 2)), rcond=None)[0]
    np.testing.assert_allclose(np.reshape(z, (-1, 2)), IMAGES.reshape(-1, 2) @ kernel, atol=1e-5)


def test_seeds_draw_rotations():
    kernels = [kernel_of(Invertible1x1Conv(seed=seed), 4) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1


def test_channels_must_be_known():
    with pytest.raises(ValueError, match="'step' must know the number of channels"):
        Invertible1x1Conv(name="step").build((None, 4, 4, None))
