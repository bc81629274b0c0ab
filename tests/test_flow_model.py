"""A flow's density, latents and samples, each against its definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from flows import IMAGES, LABELS, POINTS, couplings, integers, pictures, plane

import kerasar
from kerasar.distributions import BaseDistribution, Logistic, StandardNormal, Uniform
from kerasar.layers import AffineCoupling, Inverse, Logit, PiecewiseLinear
from kerasar.sampling.flow_sampler import _shares
from kerasar.testing import randomize


def jacobian_log_det(model, x):
    """log |det ∂z/∂x| by autodiff, which knows nothing of the bijections' formulas."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = model(x)
    return np.linalg.slogdet(tape.batch_jacobian(z, x).numpy())[1], z.numpy()


def test_log_prob_is_the_change_of_variables():
    model = plane()
    log_det, z = jacobian_log_det(model, POINTS)
    normal = np.exp(-0.5 * z.astype("float64") ** 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(
        model.log_prob(POINTS), np.log(normal).sum(axis=1) + log_det, rtol=1e-5, atol=1e-5
    )


def test_log_prob_has_one_number_for_each_example_whatever_the_batches():
    model = plane()
    found = model.log_prob(POINTS)
    assert found.shape == (40,) and found.dtype == np.float32
    np.testing.assert_allclose(model.log_prob(POINTS, batch_size=7), found, rtol=1e-6, atol=1e-6)


def test_float64_stays_float64():
    model = kerasar.FlowModel([AffineCoupling(dtype="float64")], (2,))
    assert model.log_prob(POINTS.astype("float64")).dtype == np.float64
    assert model.sample(2).dtype == np.float64 and model.latent(POINTS).dtype == np.float64


@pytest.mark.rewritten
def test_low_precision_is_for_networks_only():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = plane()
    finally:
        keras.config.set_dtype_policy("float32")
    assert low.log_prob(POINTS).dtype == np.float32
    # bfloat16 has 8 bits: were data cast to it, the way back would miss by 1e-2.
    np.testing.assert_allclose(low.from_latent(low.latent(POINTS)), POINTS, atol=1e-4)
    full = plane()
    full.set_weights(low.get_weights())
    np.testing.assert_allclose(low.log_prob(POINTS), full.log_prob(POINTS), atol=0.3)


def test_latents_lead_back():
    model = plane()
    z = model.latent(POINTS)
    assert z.shape == (40, 2)
    np.testing.assert_allclose(model.from_latent(z), POINTS, atol=1e-5)
    np.testing.assert_allclose(model.from_latent(z, batch_size=9), POINTS, atol=1e-5)


def test_latents_of_integers_lead_back_exactly():
    model = pictures()
    np.testing.assert_array_equal(model.from_latent(model.latent(IMAGES)), IMAGES)


def test_latents_come_per_scale():
    model = pictures()
    scales = model.latent(IMAGES, per_scale=True)
    assert [part.shape for part in scales] == [(12, 8), (12, 8)]
    np.testing.assert_array_equal(np.concatenate(scales, axis=1), model.latent(IMAGES))
    np.testing.assert_array_equal(model.from_latent(scales), IMAGES)


def test_latents_of_samples_follow_the_base():
    model = plane()
    z = np.sort(model.latent(model.sample(4000, seed=1)), axis=0)
    below = np.searchsorted(z[:, 0], [-1.0, 0.0, 1.0]) / 4000
    np.testing.assert_allclose(below, [0.1587, 0.5, 0.8413], atol=0.025)  # 3 deviations
    assert abs(np.corrcoef(z[:, 0], model.latent(model.sample(4000, seed=2))[:, 0])[0, 1]) < 0.06


def test_a_sample_does_not_depend_on_how_many_are_drawn():
    model = plane()
    drawn = model.sample(20, seed=3)
    assert drawn.shape == (20, 2) and drawn.dtype == np.float32
    for other in (
        model.sample(7, seed=3),
        model.sample(20, seed=3, chunk_size=6),
        model.sample(20, seed=3, jit_compile=True),
        model.sample(20, seed=3, chunk_size=7, jit_compile=True),
    ):
        np.testing.assert_allclose(other, drawn[: len(other)], atol=1e-5)
    assert np.abs(model.sample(20, seed=4) - drawn).min() > 1e-6


@pytest.mark.parametrize("cores", [1, 3, None], ids=["one core", "three", "unknown"])
def test_cores_share_the_work_and_draw_the_same_samples(cores, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    model = plane(condition_shape=(3,))
    labels = np.tile(LABELS, (30, 1))
    for seed, given in ((3, labels[:1100]), (4, labels[1100:0:-1])):
        drawn = model.sample(1200, seed=seed, condition=np.resize(given, (1200, 3)))
        shared = model.sample(1100, seed=seed, condition=given, jit_compile=True)
        np.testing.assert_allclose(shared, drawn[:1100], atol=1e-5)


def test_what_is_compiled_draws_from_the_weights_of_the_day():
    model = plane()
    before = model.sample(20, seed=3, jit_compile=True)
    randomize(model, seed=5)
    after = model.sample(20, seed=3, jit_compile=True)
    np.testing.assert_allclose(after, model.sample(20, seed=3), atol=1e-5)
    assert np.abs(after - before).max() > 0.01


def test_few_sizes_are_ever_compiled_and_little_is_drawn_in_vain():
    counts = np.arange(1, 10_001)
    rooms = np.array([np.prod(_shares(int(count), cores=3)) for count in counts])
    assert len(set(rooms)) < 80
    assert (counts <= rooms).all() and (rooms <= counts * 9 / 8 + 3 * 16).all()


def test_temperature_spreads_the_latents():
    model = plane()
    cool, plain = (model.latent(model.sample(9, temperature=t)) for t in (0.5, 1.0))
    np.testing.assert_allclose(cool, 0.5 * plain, atol=1e-4)


def test_samples_of_integers_are_integers():
    model = integers()
    drawn = model.sample(200, seed=0)
    assert drawn.dtype == np.int32 and set(np.unique(drawn)) == {0, 1, 2}


def test_a_condition_reaches_density_and_samples():
    model = plane(condition_shape=(3,))
    found = model.log_prob(POINTS, condition=LABELS)
    np.testing.assert_allclose(model.log_prob({"x": POINTS, "condition": LABELS}), found)
    assert np.abs(model.log_prob(POINTS, condition=LABELS[::-1]) - found).min() > 1e-6
    drawn = model.sample(40, condition=LABELS, seed=1)
    np.testing.assert_allclose(
        model.sample(40, condition=LABELS, seed=1, chunk_size=13), drawn, atol=1e-5
    )
    np.testing.assert_allclose(
        model.sample(40, condition=LABELS, seed=1, chunk_size=13, jit_compile=True),
        drawn,
        atol=1e-5,
    )
    z = model.latent(drawn, condition=LABELS)
    np.testing.assert_allclose(z, plane().latent(plane().sample(40, seed=1)), atol=1e-4)
    np.testing.assert_allclose(model.from_latent(z, condition=LABELS), drawn, atol=1e-4)


@pytest.mark.parametrize("path", ["circle", "line"])
def test_interpolations_begin_and_end_at_the_data(path):
    model = plane()
    way = model.interpolate(POINTS[0], POINTS[1], steps=5, path=path)
    assert way.shape == (5, 2)
    np.testing.assert_allclose(way[[0, -1]], POINTS[:2], atol=1e-4)
    several = model.interpolate(POINTS[:3], POINTS[3:6], steps=5, path=path)
    assert several.shape == (3, 5, 2)
    np.testing.assert_allclose(several[:, -1], POINTS[3:6], atol=1e-4)


def test_interpolations_go_through_the_latents_between():
    model = plane()
    z = model.latent(POINTS[:2])
    halfway = model.latent(model.interpolate(*POINTS[:2], steps=3, path="line"))[1]
    np.testing.assert_allclose(halfway, z.mean(axis=0), atol=1e-4)
    halfway = model.latent(model.interpolate(*POINTS[:2], steps=3))[1]
    np.testing.assert_allclose(halfway, z.sum(axis=0) / np.sqrt(2), atol=1e-4)


BASES = {"normal": StandardNormal(), "logistic": Logistic(), "uniform": Uniform()}


@pytest.mark.parametrize("name", BASES)
def test_densities_of_every_base_integrate_to_one(name):
    squash = [Inverse(Logit(alpha=1e-6))] if name == "uniform" else []
    model = kerasar.FlowModel([PiecewiseLinear(5, -2, 2), *squash], (1,), BASES[name])
    randomize(model.bijection)
    x = np.linspace(-120, 120, 480_001, dtype="float32")[:, None]
    total = np.exp(model.log_prob(x).astype("float64")).sum() * 240 / 480_000
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", BASES)
def test_samples_of_every_base_follow_its_density(name):
    base = BASES[name]
    levels = (np.arange(20_000, dtype="float32")[:, None] + 0.5) / 20_000
    z = np.sort(base.sample(tf.constant(levels), tf.constant(1.0)).numpy(), axis=0)
    # The distribution function by sums over the density, at three points.
    grid = np.linspace(-20, 20, 80_001, dtype="float32")[:, None]
    density = np.exp(base.log_prob(tf.constant(grid)).numpy().astype("float64")) * 40 / 80_000
    for at in (-0.7, 0.3, 0.8):
        below = density[grid[:, 0] < at].sum()
        assert np.mean(z < at) == pytest.approx(below, abs=2e-3)


def test_numbers_of_exact_models_and_of_bounds_are_told_apart():
    assert plane().exact and not integers().exact


def test_there_is_no_map_of_events():
    with pytest.raises(NotImplementedError, match="is a flow: it has no events"):
        plane().log_prob_map(POINTS)


def test_a_single_bijection_needs_no_list():
    model = kerasar.FlowModel(AffineCoupling(), (2,))
    assert model.log_prob(POINTS).shape == (40,)


NAN = POINTS.copy()
NAN[3, 1] = np.nan

BAD_CALLS = {
    "dimension": (lambda m: m.log_prob(POINTS[:, :1]), ValueError, r"shape \(batch, 2\)"),
    "one example": (lambda m: m.log_prob(POINTS[0]), ValueError, r"pass x\[None\]"),
    "NaN": (lambda m: m.log_prob(NAN), ValueError, r"x must be finite, but x\[3, 1\] is nan"),
    "empty": (lambda m: m.log_prob(POINTS[:0]), ValueError, "x is empty"),
    "text": (lambda m: m.log_prob([["a", "b"]]), TypeError, "must hold numbers"),
    "condition": (lambda m: m.log_prob(POINTS, LABELS), ValueError, "has no condition"),
    "length": (
        lambda m: m.log_prob({"x": POINTS, "length": [2] * 40}),
        ValueError,
        "length is for sequences",
    ),
    "draws": (lambda m: m.log_prob(POINTS, num_samples=3), ValueError, "exact density"),
    "count": (lambda m: m.sample(0), ValueError, "num_samples must be at least 1"),
    "seed": (lambda m: m.sample(1, seed=-1), ValueError, "seed must be at least 0"),
    "temperature": (lambda m: m.sample(1, temperature=0), ValueError, "a number above 0"),
    "chunk": (lambda m: m.sample(1, chunk_size=0), ValueError, "chunk_size must be at least 1"),
    "latents": (lambda m: m.from_latent(POINTS[:, :1]), ValueError, r"z must have shape"),
    "path": (lambda m: m.interpolate(*POINTS[:2], path="arc"), ValueError, "circle, line"),
    "steps": (lambda m: m.interpolate(*POINTS[:2], steps=1), ValueError, "steps must be at least"),
    "pair": (lambda m: m.interpolate(POINTS[:1], POINTS[:2]), ValueError, "the same shape"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_is_refused(name):
    call, error, message = BAD_CALLS[name]
    with pytest.raises(error, match=message):
        call(plane())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (IMAGES + 1, r"x must lie in \[0, 4\)"),
        (IMAGES + 0.5, "whole numbers"),
        (IMAGES[..., 0], "channel axis"),
    ],
)
def test_bad_integers_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        pictures().log_prob(x)


def test_a_missing_or_wrong_condition_is_refused():
    model = plane(condition_shape=(3,))
    with pytest.raises(ValueError, match=r"needs the condition of shape \(3,\)"):
        model.log_prob(POINTS)
    with pytest.raises(ValueError, match="one row for each of the 40 examples, but has 39"):
        model.log_prob(POINTS, LABELS[1:])
    with pytest.raises(ValueError, match=r"condition must have shape \(batch, 3\)"):
        model.sample(40, condition=LABELS[:, :2])


def test_data_outside_a_bounded_domain_are_refused():
    model = kerasar.FlowModel([Logit(name="pixels"), *couplings()], (2,))
    with pytest.raises(ValueError, match=r"1.05.*\], the domain of layer 'pixels'.*is 1.5"):
        model.log_prob([[0.5, 1.5]])


def test_numbers_that_leave_a_domain_inside_the_flow_are_refused():
    model = kerasar.FlowModel([*couplings(), Logit(name="late")], (2,))
    assert np.isfinite(model.log_prob([[0.5, 0.5]])).all()
    for what, ask in (("log-probability", model.log_prob), ("latent", model.latent)):
        message = rf"{what} of x\[1\] is NaN. Layer 'late' is the first"
        with pytest.raises(ValueError, match=message):
            ask([[0.5, 0.5], [0.5, 7.0]])


def test_latents_that_a_bounded_layer_does_not_reach_are_refused():
    model = kerasar.FlowModel([Inverse(Logit(name="pixels"))], (2,))
    assert np.isfinite(model.from_latent([[0.5, 0.5]])).all()
    with pytest.raises(ValueError, match=r"latent z\[1\] of model.*hold NaN.*Uniform"):
        model.from_latent([[0.5, 0.5], [0.5, 7.0]])
    with pytest.raises(ValueError, match="sample [0-9]+ of model.*hold NaN"):
        model.sample(100)


def test_a_circle_is_no_way_between_latents_of_a_bounded_base():
    model = kerasar.FlowModel([Inverse(Logit(alpha=1e-6))], (2,), Uniform())
    ends = np.zeros(2), np.ones(2)
    assert np.isfinite(model.interpolate(*ends, path="line")).all()
    with pytest.raises(ValueError, match="base of Uniform. Pass path='line'"):
        model.interpolate(*ends)


def test_weights_that_are_not_finite_give_no_density():
    model = plane()
    model.trainable_weights[0].assign(np.nan * model.trainable_weights[0])
    with pytest.raises(ValueError, match="is NaN. Weight '.*kernel' is not finite"):
        model.log_prob(POINTS)


def test_a_temperature_beyond_a_bounded_base_is_refused():
    model = kerasar.FlowModel(couplings(), (2,), Uniform())
    assert np.isfinite(model.sample(3, temperature=1.0)).all()
    with pytest.raises(ValueError, match="base of Uniform, temperature must be at most 1"):
        model.sample(1, temperature=1.5)


BAD_MODELS = {
    "no list": (dict(bijections=3), TypeError, "must be a Bijection or a list"),
    "empty list": (dict(bijections=[]), TypeError, "must be a Bijection or a list"),
    "a layer": (dict(bijections=[keras.layers.Dense(2)]), TypeError, "Dense"),
    "base": (dict(base="normal"), TypeError, "base must be"),
    "dequantize": (dict(dequantize=2.5), TypeError, "number of levels"),
    "levels": (dict(dequantize=1), ValueError, "levels must be at least 2"),
    "open shape": (dict(event_shape=(None,)), TypeError, "each size in event_shape"),
    "no shape": (dict(event_shape=2), ValueError, r"such as \(2,\)"),
    "too small": (dict(event_shape=(1,)), ValueError, "at least 2"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models_are_refused(name):
    arguments, error, message = BAD_MODELS[name]
    with pytest.raises(error, match=message):
        kerasar.FlowModel(**{"bijections": couplings(), "event_shape": (2,), **arguments})


def test_a_base_of_ones_own_serves():
    @keras.saving.register_keras_serializable(package="test")
    class Wide(BaseDistribution):
        def log_prob(self, z):
            return StandardNormal().log_prob(z / 2) - 2 * np.log(2.0)

        def sample(self, uniforms, temperature):
            return 2 * StandardNormal().sample(uniforms, temperature)

    model = kerasar.FlowModel(couplings(), (2,), Wide())  # a new coupling is the identity
    narrow = kerasar.FlowModel(couplings(), (2,))
    np.testing.assert_allclose(model.sample(5), 2 * narrow.sample(5), atol=1e-5)
    np.testing.assert_allclose(
        model.log_prob(POINTS), narrow.log_prob(POINTS / 2) - 2 * np.log(2), rtol=1e-5
    )
