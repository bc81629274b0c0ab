"""The lecture's causal network: what it sees, its variants, and what it refuses."""

import keras
import numpy as np
import pytest
from serving import serve

import kerasar
from kerasar.distributions.likelihoods import BernoulliNADE, GaussianMixture
from kerasar.models import CausalConvNet
from kerasar.testing import check_causal_by_probe, check_normalized, check_samples, randomize


def fresh(*args, **kwargs):
    model = CausalConvNet(*args, **kwargs)
    randomize(model.network)
    return model


def lags(model):
    return {-offset for (offset,) in kerasar.receptive_field(model.network).offsets}


def test_the_lecture_s_network_sees_five_steps():
    model = CausalConvNet(32, 64)
    assert lags(model) == {1, 2, 3, 4, 5}
    shapes = [tuple(weight.shape) for weight in model.network.weights]
    assert shapes == [(1, 32), (32,), *[(2, 32, 32), (32,)] * 4, (32, 64), (64,)]


def test_the_lecture_s_dilations_see_odd_lags_only():
    assert lags(CausalConvNet(64, 8, dilations=(2, 4, 8, 16))) == set(range(1, 32, 2))


def test_a_first_convolution_of_two_taps_fills_the_gaps():
    model = CausalConvNet(64, 8, dilations=(2, 4, 8, 16), first_layer="first_conv")
    assert lags(model) == set(range(1, 33))


VARIANTS = {
    "plain": dict(),
    "dilated": dict(dilations=(1, 2, 4)),
    "wide kernel": dict(kernel_size=3, dilations=(1, 3)),
    "first convolution": dict(first_layer="first_conv", dilations=(2, 4)),
    "added": dict(skip="add", dilations=(1, 2)),
    "added, of other widths": dict(skip="add", filters=(12, 16), dilations=(2, 2)),
    "concatenated": dict(skip="concatenate", filters=(12, 16), dilations=(2, 2)),
    "one-hot": dict(input_encoding="one_hot", dilations=(1, 2)),
    "embedded": dict(input_encoding="embedding", dilations=(1, 2), skip="add"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_sees_what_is_stated_and_nothing_else(name):
    options = dict(filters=16) | VARIANTS[name]
    model = fresh(14, 5, **options)
    x = np.random.default_rng(0).integers(5, size=(24, 14))
    stated = kerasar.receptive_field(model.network).offsets
    # By the definition: the first step back, or the first taps, and then sums of dilated lags.
    size = options.get("kernel_size", 2)
    first = range(1, size + 1) if "first_layer" in options else [1]
    sums = {(-lag,) for lag in first}
    for rate in options.get("dilations", (1, 1, 1, 1)):
        reached = {(lag - i * rate,) for (lag,) in sums for i in range(size)}
        sums = sums | reached if options.get("skip") else reached
    assert stated == sums
    check_causal_by_probe(model.network, x, lambda v: (v + 1) % 5, stated)


@pytest.mark.parametrize("name", VARIANTS)
def test_its_probabilities_sum_to_one(name):
    check_normalized(fresh(5, 3, **(dict(filters=6) | VARIANTS[name])))


@pytest.mark.parametrize("name", ["first convolution", "concatenated", "added, of other widths"])
def test_it_is_drawn_from_its_caches(name):
    model = fresh(14, 5, **(dict(filters=8) | VARIANTS[name]))
    check_samples(model, num_samples=16, methods=["cached"])


def test_a_skip_has_a_matching_1x1_convolution_only_where_widths_differ():
    model = CausalConvNet(8, 4, filters=(6, 6, 9), dilations=(1, 1, 1), skip="add")
    matching = [layer.name for layer in model.network.layers if layer.name.startswith("match")]
    assert matching == ["match3"]


def test_the_parts_are_joined_as_stated():
    x = np.random.default_rng(0).integers(5, size=(3, 9))
    for skip in ("add", "concatenate"):
        network = fresh(9, 5, filters=6, dilations=(1,), skip=skip).network
        layer = network.get_layer
        h = keras.ops.expand_dims(layer("scale")(x), -1)
        before = layer("first")(layer("shift")(h))
        after = layer("conv1")(before)
        joined = before + after if skip == "add" else keras.ops.concatenate([before, after], -1)
        np.testing.assert_allclose(network(x), layer("parameters")(joined), atol=1e-5)


def test_an_open_length_takes_any():
    model = fresh(None, 4, filters=6, dilations=(1, 2))
    assert model.log_prob(np.zeros((2, 7), int)).shape == (2,)
    assert model.sample(2, length=11).shape == (2, 11)


@pytest.mark.long  # tests/test_served_kinds.py has all kinds
def test_saved_and_served_it_gives_equal_numbers(tmp_path):
    model = fresh(6, 4, filters=6, skip="concatenate", first_layer="first_conv")
    x = np.random.default_rng(0).integers(4, size=(3, 6)).astype("int32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        kerasar.load(tmp_path / "model.keras").log_prob(x), model.log_prob(x)
    )
    model.export(tmp_path / "1")
    (given,) = serve(tmp_path / "1", [("serving_default", dict(x=x))])
    np.testing.assert_allclose(given["log_prob"], model.log_prob(x), atol=1e-5)


def test_real_series_are_standardised_inside():
    likelihood = GaussianMixture(1, mean=1000.0, scale=50.0)
    model = fresh(8, None, filters=6, likelihood=likelihood)
    x = np.random.default_rng(0).normal(1000, 50, (4, 8)).astype("float32")
    unit = fresh(8, None, filters=6, likelihood=GaussianMixture(1))
    expected = unit.log_prob((x - 1000) / 50) - 8 * np.log(50)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-4)


def test_the_variables_of_a_step_come_from_the_likelihood():
    model = fresh(6, None, filters=6, likelihood=GaussianMixture(2, num_variables=3))
    assert model.data_shape == (6, 3)
    assert model.sample(2).shape == (2, 6, 3)


def test_a_joint_of_binary_keys_is_a_likelihood_too():
    model = fresh(3, 2, filters=6, likelihood=BernoulliNADE(4, hidden_units=3))
    check_normalized(model)


@pytest.mark.long
def test_it_learns_what_repeats():
    keras.utils.set_random_seed(0)
    x = np.tile(np.arange(4), (64, 4))
    model = CausalConvNet(16, 4, filters=8, dilations=(1, 2))
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x, epochs=60, batch_size=64, verbose=0)
    # The first symbol alone stays unknown to a network that must give it before it sees any; here
    # it is always the same one.
    assert -model.log_prob(x[:1]) < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(skip="sum"), "skip None or 'add' or 'concatenate'.*skip='sum'"),
        (dict(first_layer="mask"), "first_layer 'shift' or 'first_conv'.*'mask'"),
        (dict(dilations=()), r"dilations must hold at least one integer"),
        (dict(dilations=(1, 0)), r"each of dilations must be at least 1, but got 0"),
        (dict(filters=(3, 4)), r"4 convolutions.*filters=\(3, 4\)"),
        (
            dict(input_encoding="bits"),
            "input_encoding 'scalar', 'one_hot', 'embedding'.*input_encoding='bits'",
        ),
        (dict(levels=None), "levels=None and the likelihood Categorical.*integers"),
        (dict(likelihood=GaussianMixture()), "levels=4 and the likelihood GaussianMixture"),
        (
            dict(levels=None, likelihood=GaussianMixture(), input_encoding="one_hot"),
            "single integers.*CausalConvNet is for real numbers",
        ),
        (
            dict(num_variables=3),
            "num_variables=3, but the likelihood Categorical draws single values",
        ),
        (
            dict(levels=None, likelihood=GaussianMixture(1, num_variables=2), num_variables=3),
            "num_variables=3, but.*steps of 2 variables",
        ),
        (dict(length=0), "length must be at least 1, but got 0"),
    ],
)
def test_it_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CausalConvNet(**(dict(length=8, levels=4) | options))
