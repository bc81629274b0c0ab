"""The bijections: the check that all must pass, and what they have in common."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from bijections import BIJECTIONS, IMAGES, SMALL, VECTOR, VECTORS, multiscale, network
from drawing import some

from kerasar.layers import (
    ActNorm,
    AffineCoupling,
    Bijection,
    Chain,
    FactorOut,
    Inverse,
    Logit,
    MaskedAutoregressive,
    Permute,
    PiecewiseLinear,
    Squeeze2D,
)
from kerasar.testing import check_bijection, randomize


def built(layer, x, condition=None):
    layer.build((None, *x.shape[1:]), None if condition is None else condition.shape)
    randomize(layer)
    return layer


#: Each with a form that is quick.
LONG = {"multi-scale", "chain", "spline, half"}


@pytest.mark.parametrize("name", some(BIJECTIONS, BIJECTIONS.keys() - LONG))
def test_it_is_a_bijection(name):
    make, x, options = BIJECTIONS[name]
    check_bijection(make, x, **options)


# Conditions.


@pytest.mark.parametrize(
    "make",
    [
        lambda: AffineCoupling(**SMALL),
        lambda: MaskedAutoregressive((6,)),
        lambda: Inverse(MaskedAutoregressive((6,))),
        lambda: Chain([ActNorm(), AffineCoupling(**SMALL)]),
    ],
)
def test_another_condition_gives_another_map(make):
    layer = built(make(), VECTORS, VECTOR[:3])
    z, log_det = layer(VECTORS, condition=VECTOR[:3])
    other, other_log_det = layer(VECTORS, condition=VECTOR[:3] + 1)
    assert (np.abs(z - other).max(axis=1) > 1e-3).all()
    assert (np.abs(log_det - other_log_det) > 1e-3).all()


def test_the_first_number_of_an_autoregressive_step_hears_the_condition():
    layer = built(MaskedAutoregressive((6,)), VECTORS, VECTOR[:3])
    z, _ = layer(VECTORS, condition=VECTOR[:3])
    other, _ = layer(VECTORS, condition=VECTOR[:3] + 1)
    assert (np.abs(z - other) > 1e-3).all()


def test_a_map_of_twice_the_size_is_squeezed():
    big = np.random.default_rng(1).normal(size=(2, 4, 8, 1)).astype("float32")
    layer = built(AffineCoupling("channelwise", **SMALL), IMAGES, big)
    squeezed, _ = Squeeze2D()(big)
    same = built(AffineCoupling("channelwise", **SMALL), IMAGES, squeezed)
    np.testing.assert_array_equal(
        layer(IMAGES, condition=big)[0], same(IMAGES, condition=squeezed)[0]
    )


def test_a_missing_condition():
    layer = built(AffineCoupling(name="step", **SMALL), VECTORS, VECTOR[:3])
    with pytest.raises(ValueError, match=r"'step' was built for a condition of shape \('batch', 2"):
        layer(VECTORS)
    with pytest.raises(ValueError, match="Pass condition="):
        layer.inverse(VECTORS)


def test_a_superfluous_condition():
    layer = built(AffineCoupling(name="step", **SMALL), VECTORS)
    with pytest.raises(ValueError, match=r"'step' was built without a condition, but got .*\(3, 2"):
        layer(VECTORS, condition=VECTOR[:3])


@pytest.mark.parametrize("shape", [(3, 4), (3,), (3, 2, 2)])
def test_a_condition_of_another_shape(shape):
    layer = built(MaskedAutoregressive((6,), name="step"), VECTORS, VECTOR[:3])
    with pytest.raises(ValueError, match=r"'step' was built for a condition .*but got \(3"):
        layer.inverse(VECTORS, condition=np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    ("x", "shape"),
    [(VECTORS, (3,)), (VECTORS, (3, 2, 2, 1)), (IMAGES, (2, 3, 4, 1)), (IMAGES, (2, 4, 4, 1))],
    ids=["labels", "a map for vectors", "not a multiple", "a multiple of one side"],
)
def test_a_condition_that_cannot_be_joined(x, shape):
    layer = AffineCoupling(name="step", **SMALL)
    with pytest.raises(ValueError, match="'step' joins a condition to its data.*Embed labels"):
        layer.build(x.shape, shape)


# Shapes and types.


def test_a_float32_layer_takes_float64_and_integers():
    layer = built(PiecewiseLinear(4), VECTORS)
    for x in (VECTORS.astype("float64"), np.ones((2, 5), "int32"), [[1, 2, 3, 4, 5]]):
        z, log_det = layer(np.asarray(x))
        assert z.dtype == log_det.dtype == tf.float32


def test_only_networks_inside_run_in_low_precision():
    layer = AffineCoupling(dtype="mixed_bfloat16", **SMALL)
    z, log_det = layer(VECTORS)
    assert layer.network.last.compute_dtype == "bfloat16"
    assert z.dtype == log_det.dtype == tf.float32


def test_state_is_read_in_float32_under_mixed_precision_and_bfloat16():
    for policy in ("mixed_bfloat16", "bfloat16"):
        layer = ActNorm(dtype=policy)
        layer.build(VECTORS.shape)
        layer.shift.assign([1.0001] * 5)  # bfloat16 has no such number
        z, _ = layer(VECTORS * 0)
        np.testing.assert_array_equal(z, np.full_like(VECTORS, 1.0001))


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 1), (3,)])
def test_data_of_another_shape(shape):
    layer = built(Permute(name="step"), VECTORS)
    with pytest.raises(ValueError, match=r"'step' was built for data of shape \('batch', 5\), but"):
        layer(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=r"'step' was built for latents of shape \('batch', 5\)"):
        layer.inverse(np.zeros(shape, "float32"))


def test_latents_of_another_shape():
    layer = built(Squeeze2D(name="step"), IMAGES)
    with pytest.raises(ValueError, match=r"latents of shape \('batch', 1, 2, 8\), but got \(2, 2"):
        layer.inverse(IMAGES)


def test_the_way_back_before_the_layer_knows_its_data():
    with pytest.raises(ValueError, match="'step' does not know the shape of its data yet. Call it"):
        AffineCoupling(name="step").inverse(VECTORS)


def test_events_without_axes():
    with pytest.raises(ValueError, match=r"'step' got input shape \(3,\). For scalars pass"):
        Permute(name="step")(np.zeros(3, "float32"))


def test_a_base_says_what_is_missing():
    layer = Bijection()
    layer.build((None, 2))
    with pytest.raises(NotImplementedError, match="Bijection must define call"):
        layer.call(VECTORS)
    with pytest.raises(NotImplementedError, match="Bijection must define inverse"):
        layer.inverse(VECTORS)


# Chains, inverses, factoring out.


def test_a_chain_applies_its_bijections_in_turn_and_adds_volumes():
    parts = [PiecewiseLinear(4), Permute(), AffineCoupling(**SMALL)]
    chain = built(Chain(parts), VECTORS)
    z, log_det = chain(VECTORS)
    expected, total = VECTORS, 0
    for part in parts:
        expected, one = part(expected)
        total = total + one
    np.testing.assert_allclose(z, expected, atol=1e-6)
    np.testing.assert_allclose(log_det, total, atol=1e-6)


def test_a_chain_has_the_domain_of_its_first_bijection():
    assert Chain([Logit(-1.0, 2.0), Permute()]).domain == Logit(-1.0, 2.0).domain
    assert Chain([Permute(), Logit()]).domain == (-np.inf, np.inf)


@pytest.mark.parametrize("bad", [keras.layers.Dense(2), "half", None])
def test_what_is_no_bijection(bad):
    with pytest.raises(TypeError, match="'step' takes a list of bijections, but one of them is a"):
        Chain([Permute(), bad], name="step")
    with pytest.raises(TypeError, match="'step' inverts a bijection, but got"):
        Inverse(bad, name="step")
    with pytest.raises(TypeError, match="'step' takes a list of bijections, but"):
        FactorOut([bad], name="step")


def test_a_chain_of_nothing_and_a_chain_without_a_list():
    with pytest.raises(ValueError, match="'step' needs at least one bijection"):
        Chain([], name="step")
    with pytest.raises(TypeError, match="'step' takes a list of bijections, but got Permute"):
        Chain(Permute(), name="step")


def test_an_inverse_of_an_inverse_is_the_bijection():
    layer = built(AffineCoupling(**SMALL), VECTORS)
    twice = Inverse(Inverse(layer))
    for found, expected in zip(twice(VECTORS), layer(VECTORS), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_an_inverse_gathers_no_statistics():
    norm = ActNorm()
    Inverse(norm)(VECTORS, training=True)
    assert int(norm.is_initialized.value) == 0


def test_training_reaches_the_statistics_inside_a_chain():
    norm = ActNorm()
    chain = FactorOut([Chain([norm])])
    chain(VECTORS, training=False)
    assert int(norm.is_initialized.value) == 0
    chain(VECTORS, training=True)
    assert int(norm.is_initialized.value) == 1


def test_an_inverse_of_what_flattens_must_be_built_before():
    with pytest.raises(
        ValueError,
        match="'out' cannot infer the shape of the data from flat latents.*Build it first",
    ):
        Inverse(FactorOut(name="out")).build((None, 16))
    layer = built(multiscale(), IMAGES)
    check_bijection(Inverse(layer), np.asarray(layer(IMAGES)[0]))


def test_a_factor_out_sends_the_first_half_of_the_channels_ahead():
    stretch = PiecewiseLinear(4)
    layer = built(FactorOut([stretch]), IMAGES)
    z, log_det = layer(IMAGES)
    rest, expected = stretch(IMAGES[..., 1:])
    np.testing.assert_array_equal(z[:, :8], IMAGES[..., :1].reshape(2, 8))
    np.testing.assert_array_equal(z[:, 8:], np.reshape(rest, (2, 8)))
    np.testing.assert_array_equal(log_det, expected)


def test_the_last_factor_out_is_a_flattening():
    z, log_det = FactorOut()(IMAGES)
    np.testing.assert_array_equal(z, IMAGES.reshape(2, 16))
    np.testing.assert_array_equal(log_det, [0, 0])


def test_the_scales_of_a_latent():
    shape = (None, 4, 8, 2)
    assert multiscale().latent_sizes(shape) == (32, 16, 16)
    assert multiscale().forward_shape(shape) == (None, 64)
    assert Chain([Squeeze2D(), multiscale()]).latent_sizes(shape) == (32, 16, 16)
    assert Permute().latent_sizes((None, 5)) == (5,)


def test_a_single_channel_cannot_be_factored_out():
    with pytest.raises(ValueError, match=r"'step' got input shape \(2, 4, 4, 1\). Put a Squeeze2D"):
        FactorOut([Permute()], name="step").build((2, 4, 4, 1))


def test_factoring_out_needs_all_sizes():
    with pytest.raises(ValueError, match=r"'step' must know the whole shape.*\(None, 4, 2\)"):
        FactorOut(name="step").build((None, None, 4, 2))


# Permutations and squeezes.


def test_a_permutation_takes_numbers_from_the_places_given():
    z, _ = Permute([2, 0, 1])(VECTORS[:, :3])
    np.testing.assert_array_equal(z, VECTORS[:, [2, 0, 1]])


def test_reverse():
    np.testing.assert_array_equal(Permute()(IMAGES)[0], IMAGES[..., ::-1])


def test_a_random_order_is_saved_itself():
    layer = built(Permute("random", seed=3), np.zeros((2, 50), "float32"))
    order = layer.get_config()["order"]
    assert sorted(order) == list(range(50)) and order != list(range(50))
    again = built(Permute("random", seed=3), np.zeros((2, 50), "float32"))
    other = built(Permute("random", seed=4), np.zeros((2, 50), "float32"))
    assert again.order == order != other.order


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("sideways", "knows the orders 'reverse' and 'random', but got order='sideways'"),
        ([0, 2], r"needs a permutation of 0 … 1 as order, but got \[0, 2\]"),
        ([1, 0], r"reorders the last axis by order=\[1, 0\], but got input shape \(3, 5\)"),
    ],
)
def test_no_permutation(order, message):
    with pytest.raises(ValueError, match=f"'step' {message}"):
        Permute(order, name="step")(VECTORS)


def test_a_squeeze_stacks_blocks_by_row_column_and_channel():
    z, _ = Squeeze2D()(IMAGES)
    for y, x, row, column, channel in np.ndindex(1, 2, 2, 2, 2):
        place = (row * 2 + column) * 2 + channel
        expected = IMAGES[:, 2 * y + row, 2 * x + column, channel]
        np.testing.assert_array_equal(z[:, y, x, place], expected)


@pytest.mark.parametrize("shape", [(2, 3, 4, 1), (2, 4, 5, 1), (2, 4), (2, 4, 4)])
def test_an_odd_size_cannot_be_squeezed(shape):
    with pytest.raises(ValueError, match=r"blocks of 2×2 pixels, but layer 'step' got input shape"):
        Squeeze2D(name="step")(np.zeros(shape, "float32"))


def test_channels_that_cannot_be_unsqueezed():
    with pytest.raises(ValueError, match="multiple of 4 channels, but layer 'step' got"):
        Inverse(Squeeze2D(name="step"))(np.zeros((2, 2, 2, 6), "float32"))


@pytest.mark.parametrize(
    ("factor", "error", "message"),
    [
        (0, ValueError, "at least 1, but got 0"),
        (-1, ValueError, "at least 1, but got -1"),
        (1.5, TypeError, "an integer, but got 1.5"),
        (True, TypeError, "an integer, but got True"),
        ("2", TypeError, "an integer, but got '2'"),
    ],
)
def test_a_factor_that_is_no_count(factor, error, message):
    with pytest.raises(error, match=f"factor of layer 'step' must be {message}"):
        Squeeze2D(factor, name="step")


# Saving what check_layer does not reach: conditions, and networks that are built already.

SAVED = [name for name in BIJECTIONS if "given" in name or "own" in name]


@pytest.mark.parametrize("name", SAVED)
def test_it_survives_a_file_and_a_clone(name, tmp_path):
    make, x, options = BIJECTIONS[name]
    condition = options.get("condition")
    inputs = [keras.Input(x.shape[1:])]
    arrays = [x]
    if condition is not None:
        inputs.append(keras.Input(condition.shape[1:]))
        arrays.append(condition)
    given = {} if condition is None else {"condition": inputs[1]}
    model = keras.Model(inputs, make()(inputs[0], **given))
    randomize(model)
    expected = model(arrays)
    model.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (loaded, clone):
        for found, want in zip(other(arrays), expected, strict=True):
            np.testing.assert_array_equal(found, want)


def test_a_network_of_ones_own_is_a_part_of_the_layer():
    inside = network(2, 6)
    layer = AffineCoupling(network=inside)
    layer.build(VECTORS.shape)
    assert layer.network is inside and len(layer.trainable_weights) == 4


def test_extremes_of_the_domain_are_finite_in_a_logit_of_any_alpha():
    for alpha in (1e-6, 0.49):
        z, log_det = Logit(alpha=alpha)(np.array([[0.0, 1.0, 0.5]], "float32"))
        assert np.isfinite(z).all() and np.isfinite(log_det).all()
