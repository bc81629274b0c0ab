"""Each builder's flow: densities that integrate to one, the parts that the papers name, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from flows import LABELS

import kerasar
from kerasar.data import mixture_entropy, mixture_log_prob, toy_density
from kerasar.models import (
    MAF,
    NICE,
    Glow,
    MultiscaleRealNVP,
    NeuralSplineFlow,
    PiecewiseLinearFlow,
    RealNVP,
)
from kerasar.testing import randomize

SMALL = (8,)

#: Name -> the flow, its dimension, and the toy density that it is fitted to.
FLOWS = {
    "piecewise linear": (lambda: PiecewiseLinearFlow(20), "mixture"),
    "MAF on the line": (lambda: MAF(1, hidden_units=SMALL, depth=2), "mixture"),
    "NICE": (lambda: NICE(2, hidden_units=SMALL, depth=3), "moons"),
    "RealNVP": (lambda: RealNVP(2, hidden_units=8, depth=4), "moons"),
    "RealNVP, one network": (
        lambda: RealNVP(2, hidden_units=8, depth=4, separate_networks=False),
        "moons",
    ),
    "RealNVP, unbounded": (lambda: RealNVP(2, hidden_units=8, depth=4, scale_bound=None), "moons"),
    "MAF": (lambda: MAF(2, hidden_units=SMALL, depth=2, standardize=True), "circles"),
    "neural spline": (
        lambda: NeuralSplineFlow(2, hidden_units=SMALL, depth=2, standardize=True),
        "circles",
    ),
    "neural spline, plain": (
        lambda: NeuralSplineFlow(2, hidden_units=SMALL, depth=2, linear=False),
        "moons",
    ),
}


def total_probability(model, dim):
    """The integral of the density by sums over a fine grid."""
    if dim == 1:
        x = np.linspace(-12, 12, 24_001)[:, None]
        return np.exp(model.log_prob(x).astype("float64")).sum() * 24 / 24_000
    side = np.linspace(-7, 8, 321)
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    return np.exp(model.log_prob(x).astype("float64")).sum() * (15 / 320) ** 2


#: One of each kind; variants have the same layers.
FITTED = ["piecewise linear", "NICE", "MAF", "neural spline"]


@pytest.mark.parametrize("name", some(FLOWS, FITTED))
def test_a_fitted_density_integrates_to_one(name):
    build, data = FLOWS[name]
    keras.utils.set_random_seed(0)
    model = build()
    points = toy_density(data, 640)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    history = model.fit(points, batch_size=64, epochs=10, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert total_probability(model, points.shape[1]) == pytest.approx(1, abs=1e-3)


def test_a_fitted_density_of_images_integrates_to_one_over_its_domain():
    keras.utils.set_random_seed(0)
    model = MultiscaleRealNVP((1, 2, 1), levels=None, stages=0, filters=4, blocks=1)
    points = 1 / (1 + np.exp(-toy_density("moons", 640)))
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    history = model.fit(points.reshape(-1, 1, 2, 1), epochs=10, batch_size=64, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    low, high = model.domain
    side = low + (np.arange(200) + 0.5) * (high - low) / 200
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 1, 2, 1)
    total = np.exp(model.log_prob(x).astype("float64")).sum() * ((high - low) / 200) ** 2
    assert total == pytest.approx(1, abs=1e-3)
    assert np.isfinite(model.log_prob(model.sample(200))).all()


def test_numbers_of_any_scale_are_learned_on_the_line():
    incomes = 50_000 + 10_000 * np.random.default_rng(0).normal(size=(600, 1))
    model = PiecewiseLinearFlow(20, standardize=True)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    model.fit(incomes, epochs=10, verbose=0)
    true = np.log(10_000 * np.sqrt(2 * np.pi * np.e))
    assert -model.log_prob(incomes).mean() == pytest.approx(true, abs=0.1)


@pytest.mark.parametrize("name", FLOWS)
def test_the_way_back_is_that_of_the_model(name):
    build, data = FLOWS[name]
    model = build()
    randomize(model.bijection)
    x = toy_density(data, 30)
    z = model.latent(x)
    assert np.abs(z - x).max() > 0.1
    np.testing.assert_allclose(model.from_latent(z), x, atol=1e-3)


IMAGES = {
    "multiscale RealNVP": (
        lambda **kwargs: MultiscaleRealNVP((8, 8, 1), 4, filters=4, blocks=1, **kwargs),
        [32, 16, 16],
    ),
    "colours": (
        lambda **kwargs: MultiscaleRealNVP((4, 4, 3), 4, stages=1, filters=4, **kwargs),
        [24, 24],
    ),
    "Glow": (lambda **kwargs: Glow((8, 8, 1), 4, depth=1, filters=4, **kwargs), [32, 32]),
}


@pytest.mark.parametrize("name", some(IMAGES, ["multiscale RealNVP", "Glow"]))
def test_images_have_latents_of_each_scale_and_come_back(name):
    build, sizes = IMAGES[name]
    model = build()
    randomize(model.bijection)
    x = np.random.default_rng(0).integers(0, 4, (3, *model.data_shape))
    assert [part.shape[1] for part in model.latent(x, per_scale=True)] == sizes
    np.testing.assert_array_equal(model.from_latent(model.latent(x)), x)
    assert np.isfinite(model.log_prob(x)).all() and not model.exact


def test_images_take_a_condition():
    model = IMAGES["Glow"][0](condition_shape=(3,))
    x = np.random.default_rng(0).integers(0, 4, (40, 8, 8, 1))
    randomize(model.bijection)
    found = model.log_prob(x, condition=LABELS)
    assert np.abs(found - model.log_prob(x, condition=LABELS[::-1])).max() > 1e-3


def test_images_of_real_numbers_have_an_exact_density():
    model = MultiscaleRealNVP((4, 4, 1), None, stages=1, filters=4, blocks=1)
    assert model.exact and model.data_levels is None
    assert np.isfinite(model.log_prob(np.zeros((2, 4, 4, 1)))).all()
    with pytest.raises(ValueError, match=r"1.05.*\], the domain of layer 'logit'"):
        model.log_prob(np.full((1, 4, 4, 1), 2.0))


def test_the_multiscale_flow_has_the_papers_parts():
    flow = kerasar.models.MultiscaleRealNVP((28, 28, 1), filters=2, blocks=0).bijection
    kinds = []
    while flow is not None:
        for part in flow.bijections:
            kinds.append(getattr(part, "mask", type(part).__name__))
        flow = flow.bijections[-1].rest
    on_pixels, on_channels = ["ActNorm", "checkerboard"], ["ActNorm", "channelwise"]
    stage = on_pixels * 3 + ["Squeeze2D"] + on_channels * 3 + ["FactorOut"]
    assert kinds == ["Logit", *stage, *stage, *on_pixels * 4, "FactorOut"]


@pytest.mark.parametrize(("filters", "used"), [(2, [2, 4, 8]), ([3, 5, 2], [3, 5, 2])])
def test_each_stage_has_its_own_number_of_filters(filters, used):
    flow = kerasar.models.MultiscaleRealNVP((28, 28, 1), filters=filters, blocks=1).bijection
    for count in used:
        networks = [part.network for part in flow.bijections if hasattr(part, "network")]
        assert {network.filters for network in networks} == {count}
        flow = flow.bijections[-1].rest


def test_real_nvp_alternates_random_halves_with_their_complements():
    flow = RealNVP(6, hidden_units=4, depth=6, seed=3).bijection
    randomize(flow)
    x = np.random.default_rng(0).normal(size=(1, 6)).astype("float32")
    kept = []
    for i in range(0, 9, 3):
        shuffle, first, second = flow.bijections[i : i + 3]
        shuffled, _ = shuffle(x)
        for coupling in (first, second):
            moved, _ = coupling(shuffled)
            stays, _ = shuffle.inverse(moved)
            kept.append(tuple(np.asarray(stays == x)[0]))
        assert len(first._networks()) == 2
    for first, second in zip(kept[::2], kept[1::2], strict=True):
        assert sum(first) == 3 and second == tuple(not one for one in first)
    assert len(set(kept[::2])) > 1


def test_real_nvp_takes_the_lectures_activation_or_another():
    def activations(model):
        return {part.activation.__name__ for part in model._flatten_layers() if is_hidden(part)}

    def is_hidden(part):
        return isinstance(part, keras.layers.Dense) and part.activation.__name__ != "linear"

    assert activations(RealNVP(2, hidden_units=4, depth=2)) == {"tanh"}
    assert activations(RealNVP(2, hidden_units=4, depth=2, activation="relu")) == {"relu"}


def test_nice_scales_at_its_end_only_and_takes_integers():
    model = NICE(6, 4, hidden_units=SMALL, depth=2)
    x = np.random.default_rng(0).integers(0, 4, (5, 6))
    assert isinstance(model.base, kerasar.distributions.Logistic) and not model.exact
    _, log_det = model.bijection(x.astype("float32"))
    np.testing.assert_array_equal(log_det, 0)
    np.testing.assert_array_equal(model.from_latent(model.latent(x)), x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RealNVP(1), "dim must be at least 2"),
        (lambda: NeuralSplineFlow(1), "dim must be at least 2"),
        (lambda: NICE(1), "dim must be at least 2.*For scalars take MAF"),
        (lambda: MAF(0), "dim must be at least 1"),
        (lambda: RealNVP(2, depth=0), "depth must be at least 1"),
        (lambda: MultiscaleRealNVP((30, 28, 1)), "multiples of 4, but image_shape is"),
        (lambda: Glow((28, 28, 1), stages=3), "multiples of 8"),
        (lambda: MultiscaleRealNVP((28, 28, 1), filters=[8, 8]), "3 in all, but got"),
        (lambda: MultiscaleRealNVP((28, 28, 1), filters=[8, 0, 8]), "each of filters must be"),
        (lambda: MultiscaleRealNVP((28, 28)), r"\(height, width, channels\), but got"),
        (lambda: Glow((28,)), r"\(height, width, channels\), but got \(28,\)"),
        (
            lambda: MultiscaleRealNVP((28, 28, 1), blocks=-1),
            "blocks must be at least 0, but got -1",
        ),
        (
            lambda: MAF(4, hidden_units=(8, 0)),
            "each of hidden_units must be at least 1, but got 0",
        ),
        (lambda: Glow((28, 28, 1), alpha=0.7), "alpha between 0 and"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("builder", [NICE, MAF, NeuralSplineFlow])
def test_one_width_is_no_list_of_hidden_layers(builder):
    with pytest.raises(TypeError, match="hidden_units must be a sequence of integers, but got 64"):
        builder(4, hidden_units=64)


def test_the_shape_of_a_tensor_is_the_shape_of_its_images():
    assert MultiscaleRealNVP(tf.zeros((1, 4, 4, 1)).shape[1:], stages=1).data_shape == (4, 4, 1)


@pytest.mark.long
def test_the_lectures_map_comes_within_a_hundredth_of_a_nat_of_the_entropy():
    keras.utils.set_random_seed(0)
    model = PiecewiseLinearFlow(100)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 4000)))
    model.fit(toy_density("mixture", 25_000), batch_size=250, epochs=40, verbose=0)
    held_out = toy_density("mixture", 200_000, seed=1)
    above = (mixture_log_prob(held_out) - model.log_prob(held_out)).mean()
    assert 0 <= above < 0.01
    assert -model.log_prob(held_out).mean() == pytest.approx(mixture_entropy(), abs=0.01)
