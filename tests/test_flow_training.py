"""`fit` and `evaluate` of flows: nats, noise of integers, statistics, clipping, NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from flows import IMAGES, LABELS, POINTS, TINY, couplings, integers, pictures, plane

import kerasar
from kerasar.layers import ActNorm, AffineCoupling, Logit, StandardizeBijection

FAST = dict(jit_compile=False, steps_per_execution=1)


def compiled(model, optimizer=None, **kwargs):
    model.compile(optimizer or keras.optimizers.SGD(0.01), **{**FAST, **kwargs})
    return model


def test_loss_is_nats_per_example_and_bits_are_per_number():
    model = compiled(plane())
    found = model.evaluate(POINTS, return_dict=True, verbose=0, batch_size=16)
    nats = -model.log_prob(POINTS).astype("float64").mean()
    assert set(found) == {"loss", "bits_per_dim"}
    np.testing.assert_allclose(found["loss"], nats, rtol=1e-5)
    np.testing.assert_allclose(found["bits_per_dim"], nats / 2 / np.log(2), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [5, 12])
def test_evaluation_of_integers_is_log_prob_whatever_the_batches(batch_size):
    model = compiled(pictures())
    found = model.evaluate(IMAGES, return_dict=True, verbose=0, batch_size=batch_size)
    nats = -model.log_prob(IMAGES).astype("float64").mean()
    assert set(found) == {"loss", "bits_per_dim", "perplexity"}
    np.testing.assert_allclose(found["loss"], nats, rtol=1e-5)
    np.testing.assert_allclose(found["bits_per_dim"], nats / 16 / np.log(2), rtol=1e-5)


def test_one_step_is_gradient_descent_on_the_mean_of_minus_log_prob():
    model = compiled(plane())
    weights = model.trainable_weights
    before = [w.numpy() for w in weights]
    with tf.GradientTape() as tape:
        z, log_det = model.bijection(tf.constant(POINTS))
        loss = tf.reduce_mean(tf.reduce_sum(z**2 / 2, axis=1) - log_det)
    gradients = tape.gradient(loss, [w.value for w in weights])
    model.fit(POINTS, batch_size=40, verbose=0)
    for weight, old, gradient in zip(weights, before, gradients, strict=True):
        np.testing.assert_allclose(weight, old - 0.01 * gradient, rtol=1e-3, atol=1e-5)


def test_noise_of_integers_is_new_at_each_step():
    model = integers()
    batch = kerasar.training.density_model.Batch(tf.zeros((4, 2), tf.int32))
    one, other = (model.negative_log_likelihood(batch, training=True).numpy() for _ in range(2))
    assert np.abs(one - other).min() > 1e-6
    assert np.abs(one - one[0])[1:].min() > 1e-6  # each example has its own
    again = [model.negative_log_likelihood(batch, training=False).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*again)


@pytest.mark.long
def test_it_learns_as_compile_chooses():
    model = kerasar.FlowModel([StandardizeBijection(), *couplings(4)], (2,))
    model.compile(keras.optimizers.Adam(0.02))
    assert model.jit_compile and model.steps_per_execution == 20
    model.fit(POINTS, epochs=40, batch_size=20, verbose=0)
    start = kerasar.FlowModel([StandardizeBijection()], (2,))
    start.bijection.bijections[0].adapt(POINTS)
    assert model.log_prob(POINTS).mean() > start.log_prob(POINTS).mean() + 0.05


@pytest.mark.xla
def test_images_are_not_compiled_by_xla_unless_asked():
    model = pictures()
    model.compile()
    assert not model.jit_compile and model.steps_per_execution == 20


def test_arrays_dicts_and_datasets_train_alike():
    model = compiled(plane())
    start = model.get_weights()
    model.fit(POINTS, batch_size=8, shuffle=False, verbose=0)
    expected = model.get_weights()
    dataset = tf.data.Dataset.from_tensor_slices(POINTS).batch(8)
    for x, kwargs in [({"x": POINTS}, dict(batch_size=8, shuffle=False)), (dataset, {})]:
        model.set_weights(start)
        model.fit(x, verbose=0, **kwargs)
        for a, b in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_condition_is_learned_from():
    model = kerasar.FlowModel(couplings(2), (2,), condition_shape=(2,))
    compiled(model, keras.optimizers.Adam(0.05))
    near = (POINTS - [0, 5]) * 0.1
    data = {"x": near, "condition": near}  # the condition says it all
    model.fit(data, epochs=30, batch_size=20, verbose=0)
    told = model.log_prob(near, near).mean()
    assert told > model.log_prob(near, near[::-1]).mean() + 1


# Statistics of the data, kept in the model.


def test_statistics_are_taken_once_before_the_first_step():
    model = compiled(plane(standardize=True))
    model.fit(POINTS, verbose=0, epochs=1)
    first = model.bijection.bijections[0]
    np.testing.assert_allclose(first.mean, POINTS.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.exp(first.log_scale), POINTS.std(axis=0), rtol=1e-5)
    model.fit(3 * POINTS, verbose=0, epochs=1)
    np.testing.assert_allclose(first.mean, POINTS.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_statistics_of_a_dataset_are_those_of_the_array():
    model = compiled(plane(standardize=True))
    dataset = tf.data.Dataset.from_tensor_slices({"x": POINTS}).batch(7)
    model.fit(dataset, verbose=0)
    first = model.bijection.bijections[0]
    np.testing.assert_allclose(first.mean, POINTS.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.exp(first.log_scale), POINTS.std(axis=0), rtol=1e-5)


def test_standardised_densities_are_in_the_units_of_the_data():
    small, large = plane(standardize=True), plane(standardize=True)
    for model, scale in ((small, 1.0), (large, 100.0)):
        model.bijection.bijections[0].adapt(POINTS * scale)
    np.testing.assert_allclose(
        large.log_prob(POINTS * 100), small.log_prob(POINTS) - 2 * np.log(100), rtol=1e-5
    )
    np.testing.assert_allclose(large.sample(5), 100 * small.sample(5), rtol=1e-4)


def test_a_constant_feature_is_refused():
    model = compiled(plane(standardize=True))
    with pytest.raises(ValueError, match="feature 1 is 0 about a mean of 2"):
        model.fit(np.stack([POINTS[:, 0], np.full(40, 2.0)], axis=1), verbose=0)


def test_integers_are_not_standardised():
    model = compiled(kerasar.FlowModel([StandardizeBijection()], (2,), dequantize=3))
    with pytest.raises(ValueError, match="'standardize.*dequantizes integers"):
        model.fit(np.zeros((4, 2), int), verbose=0)


def test_the_first_batch_sets_activation_normalisation():
    model = compiled(kerasar.FlowModel([ActNorm()], (2,)), keras.optimizers.SGD(0.0))
    model.evaluate(POINTS, verbose=0)
    assert np.abs(model.latent(POINTS) - POINTS).max() < 1e-6  # not by an evaluation
    model.fit(POINTS, batch_size=40, verbose=0)
    z = model.latent(POINTS)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-4)


# Optimizers.


def test_an_optimizer_given_by_name_clips_gradients():
    model = plane()
    model.compile("sgd", **FAST)
    assert model.optimizer.global_clipnorm == 100.0
    before = model.get_weights()
    model.fit(1e4 * POINTS, batch_size=40, verbose=0)
    moved = np.sqrt(
        sum(((a - b) ** 2).sum() for a, b in zip(model.get_weights(), before, strict=True))
    )
    assert moved == pytest.approx(0.01 * 100, rel=1e-3)  # the rate of SGD times the norm


def test_an_optimizer_of_ones_own_is_left_alone():
    assert compiled(plane()).optimizer.global_clipnorm is None


def test_a_layer_that_takes_statistics_is_the_first():
    flow = [AffineCoupling(hidden_units=(4,)), StandardizeBijection(name="late")]
    with pytest.raises(ValueError, match="'late' takes its statistics.*must be the first"):
        compiled(kerasar.FlowModel(flow, (2,))).fit(POINTS, verbose=0)


def test_statistics_of_data_without_end_are_not_waited_for():
    model = compiled(kerasar.FlowModel([StandardizeBijection(name="first")], (2,)))
    endless = tf.data.Dataset.from_tensor_slices(POINTS).batch(4).repeat()
    with pytest.raises(ValueError, match="'first'.*no end.*adapt"):
        model.fit(endless, steps_per_epoch=2, verbose=0)


@pytest.mark.parametrize("bad", [1.2, -0.2, np.nan])
def test_a_dataset_outside_of_a_bounded_domain_is_refused(bad):
    model = compiled(kerasar.FlowModel([Logit()], (2,)))
    x = np.full((8, 2), 0.5, "float32")
    x[5, 1] = bad
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(4)
    with pytest.raises(ValueError, match="x must"):
        model.evaluate(dataset, verbose=0)


def test_a_condition_that_is_not_finite_is_refused_in_a_dataset():
    model = compiled(
        kerasar.FlowModel([AffineCoupling(hidden_units=(4,))], (2,), condition_shape=(1,))
    )
    condition = np.zeros((len(POINTS), 1), "float32")
    condition[3] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices({"x": POINTS, "condition": condition}).batch(4)
    with pytest.raises(ValueError, match="x must have a finite condition"):
        model.fit(dataset, verbose=0)


def test_nan_in_a_dataset_is_told_before_statistics_are_taken():
    model = compiled(kerasar.FlowModel([StandardizeBijection()], (2,)))
    dataset = tf.data.Dataset.from_tensor_slices(np.full((8, 2), np.nan, "float32")).batch(4)
    with pytest.raises(ValueError, match="x must be finite"):
        model.fit(dataset, verbose=0)


# What is not finite.


@keras.saving.register_keras_serializable(package="test")
class Gap(AffineCoupling):
    """NaN for some data only."""

    def call(self, x, condition=None):
        z, log_det = super().call(x, condition)
        return z * tf.where(x > 50, np.nan, 1.0), log_det


@pytest.mark.parametrize("jit_compile", some([False, True], [False]))
def test_what_is_not_finite_stops_training_and_is_named(jit_compile):
    flow = [AffineCoupling(**TINY, name="first"), Gap(**TINY, name="second"), *couplings(1)]
    model = kerasar.FlowModel(flow, (2,))
    bad = POINTS.copy()
    bad[21] = 60  # in the third batch of five
    model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile, steps_per_execution=3)
    good = kerasar.FlowModel.from_config(model.get_config())
    good.compile(keras.optimizers.SGD(0.01), **FAST)
    good.set_weights(model.get_weights())
    good.fit(POINTS[:16], batch_size=8, shuffle=False, verbose=0)
    with pytest.raises(FloatingPointError, match="Layer 'second' is the first.*finite_guard"):
        model.fit(bad, batch_size=8, shuffle=False, verbose=0)
    for weight, want in zip(model.get_weights(), good.get_weights(), strict=True):
        np.testing.assert_allclose(weight, want, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.finite_guard.batch().x, bad[16:24])


def test_layers_inside_a_factor_out_are_named():
    model = compiled(pictures())
    inside = model.bijection.bijections[-1].rest.bijections[0]
    inside.network.last.bias.assign(np.full(inside.network.last.bias.shape, 3e38))
    inside.network.last.kernel.assign(1e38 * inside.network.last.kernel)
    with pytest.raises(FloatingPointError, match=f"Layer '{inside.name}' is the first"):
        model.fit(IMAGES, verbose=0)


def test_a_weight_that_is_not_finite_is_named():
    model = compiled(plane())
    model.trainable_weights[0].assign(np.nan * model.trainable_weights[0])
    with pytest.raises(FloatingPointError, match="Weight '.*kernel' is not finite"):
        model.fit(POINTS, verbose=0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.where(np.arange(80).reshape(40, 2) == 9, np.nan, POINTS), r"x\[4, 1\] is nan"),
        (POINTS[:, :1], r"x must have shape \(batch, 2\)"),
        (tf.data.Dataset.from_tensor_slices(POINTS[:, :1]).batch(4), r"\(batch, 2\)"),
        ((POINTS, LABELS), "learns from x alone"),
        ({"x": POINTS, "condition": LABELS}, "has no condition"),
    ],
)
def test_bad_data_are_refused_before_training(x, message):
    model = compiled(plane())
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(x, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_in_a_dataset_is_refused():
    bad = POINTS.copy()
    bad[3] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices(bad).batch(4)
    with pytest.raises(ValueError, match="x must be finite"):
        compiled(plane()).fit(dataset, verbose=0)


@pytest.mark.long
def test_a_deep_stack_trains_at_a_high_rate_without_a_non_finite_value():
    keras.utils.set_random_seed(0)
    model = kerasar.models.RealNVP(64, hidden_units=64, depth=64, separate_networks=False)
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=100.0))
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(64, 64)) / 8
    x = np.tanh(rng.normal(size=(6400, 64)) @ mixing).astype("float32")
    history = model.fit(x, batch_size=64, epochs=20, verbose=0).history  # 2,000 steps
    assert np.isfinite(history["loss"]).all() and history["loss"][-1] < history["loss"][0]
    assert np.isfinite(model.sample(100)).all() and np.isfinite(model.log_prob(x[:100])).all()
