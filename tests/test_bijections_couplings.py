"""Couplings, splines and autoregressive steps: who is moved, by what, and by how much."""

import json

import keras
import numpy as np
import pytest
from bijections import IMAGES, LECTURE, OWN_MASK, SMALL, SPLINE, VECTORS, network

from kerasar.layers import (
    AdditiveCoupling,
    AffineCoupling,
    Chain,
    Coupling,
    Inverse,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticSplineCoupling,
)
from kerasar.layers.bijections.coupling_network import CouplingNetwork
from kerasar.testing import randomize


def built(layer, x=VECTORS, condition=None):
    layer.build((None, *x.shape[1:]), condition)
    randomize(layer)
    return layer


CHECKERBOARD = [[[1], [0], [1], [0]], [[0], [1], [0], [1]]]
#: Mask → what is kept, written out.
KEPT = {
    "half": [1, 1, 0, 0, 0],
    "alternating": [1, 0, 1, 0, 1],
    "channelwise": [1, 0],
    "checkerboard": CHECKERBOARD,
}


# Masks.


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("mask", [*KEPT, "own"])
@pytest.mark.parametrize(
    "make",
    [AdditiveCoupling, AffineCoupling, RationalQuadraticSplineCoupling],
    ids=lambda cls: cls.__name__,
)
def test_it_keeps_and_moves_what_the_mask_says(make, mask, invert):
    x = IMAGES if mask in ("channelwise", "checkerboard") else VECTORS
    kept = np.array(KEPT.get(mask, OWN_MASK))
    layer = built(make(OWN_MASK if mask == "own" else mask, invert, **SMALL), x)
    z, _ = layer(x)
    expected = np.broadcast_to(kept if not invert else 1 - kept, x.shape)
    np.testing.assert_array_equal(np.asarray(z) == x, expected == 1)


def test_a_random_mask_keeps_half_and_lives_in_the_config():
    layer = built(AffineCoupling("random", seed=5, **SMALL), IMAGES)
    mask = np.array(layer.get_config()["mask"])
    assert mask.shape == IMAGES.shape[1:] and mask.sum() == mask.size // 2
    np.testing.assert_array_equal(np.asarray(layer(IMAGES)[0])[0] == IMAGES[0], mask == 1)
    again = AffineCoupling.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.mask == layer.mask


def test_seeds_draw_masks():
    masks = [
        built(AffineCoupling("random", seed=seed), np.zeros((1, 40), "float32")).mask
        for seed in (1, 1, 2, None, None)
    ]
    assert masks[0] == masks[1] != masks[2]
    assert masks[3] != masks[4]


def test_a_drawn_mask_is_the_same_in_a_clone_that_is_built_later():
    layer = AffineCoupling("random")
    clone = AffineCoupling.from_config(layer.get_config())
    x = np.zeros((1, 40), "float32")
    assert built(layer, x).mask == built(clone, x).mask


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("thirds", "knows the masks half, channelwise, alternating.*but got mask='thirds'"),
        ([1, 1, 1], "a mask of ones only, which is the identity"),
        (np.ones((2, 2)), "a mask of ones only"),
        ([0, 0], "a mask of zeros only: there is nothing to condition on"),
        ([0, 1, 2], r"needs a mask of 0 \(transformed\) and 1 \(identity\), but got \[0, 1, 2\]"),
        ([0.5, 1], r"needs a mask of 0 \(transformed\) and 1 \(identity\)"),
        (None, r"needs a mask of 0 \(transformed\) and 1 \(identity\), but got None"),
    ],
)
def test_a_mask_that_is_none(mask, message):
    with pytest.raises(ValueError, match=f"'step' .*{message}"):
        AffineCoupling(mask, name="step")


@pytest.mark.parametrize(
    ("mask", "shape", "message"),
    [
        ([1, 0], (3, 5), r"mask of shape \(2,\), which does not broadcast to events of shape \(5"),
        ([[1, 0]], (3, 2), "does not broadcast"),
        ("checkerboard", (3, 5), "lays a checkerboard on images"),
        ("checkerboard", (3, None, 4, 1), r"must know the whole shape.*\(None, 4\)"),
        ("random", (3, None, 4, 1), "must know the whole shape"),
        ("half", (3, None), "must know the number of channels, the size of the last axis"),
        ("half", (3, 1), r"at least 2 elements there, but got input shape \(3, 1\)"),
        ("channelwise", (3, 4, 4, 1), "mask='checkerboard', or a Squeeze2D in front"),
        ("alternating", (3, 1), r"at least 2 elements to split, but got events of shape \(1,\)"),
        ("random", (3, 1), "elementwise map such as PiecewiseLinear"),
        ("checkerboard", (3, 1, 1, 4), "at least 2 elements to split"),
    ],
)
def test_data_that_a_mask_does_not_fit(mask, shape, message):
    with pytest.raises(ValueError, match=f"(?s)'step' .*{message}"):
        AffineCoupling(mask, name="step").build(shape)


# Networks.


@pytest.mark.parametrize("make", [AffineCoupling, RationalQuadraticSplineCoupling])
@pytest.mark.parametrize("mask", ["half", "alternating"])
def test_a_new_one_is_the_identity(make, mask):
    layer = make(mask)
    z, log_det = layer(VECTORS)
    # The spline's knots are rounded sums.
    np.testing.assert_allclose(z, VECTORS, atol=2e-6)
    np.testing.assert_allclose(log_det, np.zeros(3), atol=2e-6)


def test_the_affine_coupling_by_its_formula():
    layer = built(AffineCoupling(scale_bound=2.0, **SMALL))
    z, log_det = layer(VECTORS)
    outputs = np.asarray(layer.network(VECTORS[:, :2]))
    for x, out, found, volume in zip(VECTORS, outputs, np.asarray(z), log_det, strict=True):
        total = 0.0
        for i in range(3):
            scale = out[i] / (1 + abs(out[i]) / 2.0)
            np.testing.assert_allclose(
                found[2 + i], x[2 + i] * np.exp(scale) + out[3 + i], rtol=1e-5
            )
            total += scale
        np.testing.assert_allclose(volume, total, rtol=1e-5)


def test_the_lectures_coupling_by_the_lectures_formula():
    layer = built(AffineCoupling("random", seed=2, **LECTURE))
    z, log_det = layer(VECTORS)
    b = np.array(layer.mask)
    parts = []
    for part in layer.network:  # one hidden layer of tanh each
        (hidden,), last = part.hidden, part.last
        h = np.tanh((b * VECTORS) @ np.asarray(hidden.kernel) + np.asarray(hidden.bias))
        parts.append(h @ np.asarray(last.kernel) + np.asarray(last.bias))
    s, t = parts
    np.testing.assert_allclose(z, b * VECTORS + (1 - b) * (VECTORS * np.exp(s) + t), rtol=1e-5)
    np.testing.assert_allclose(log_det, ((1 - b) * s).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("make", [AffineCoupling, lambda **kwargs: MaskedAutoregressive(**kwargs)])
def test_scales_are_bounded_unless_told_otherwise(make):
    x = VECTORS * 1e4
    moved = 3 if make is AffineCoupling else 5
    _, log_det = built(make(scale_bound=0.5, **SMALL), x)(x)
    assert np.abs(log_det).max() <= 0.5 * moved
    _, log_det = built(make(scale_bound=None, **SMALL), x)(x)
    assert np.abs(log_det).max() > 100


@pytest.mark.parametrize("bound", [0, -1.0, float("inf")])
def test_a_bound_that_is_none(bound):
    for make in (AffineCoupling, MaskedAutoregressive):
        with pytest.raises(ValueError, match="'step'.* scale_bound.* None"):
            make(scale_bound=bound, name="step")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            AffineCoupling(network=network(2, 5)),
            r"give \(None, 6\): 2 parameters.*gives \(None, 5\)",
        ),
        (AdditiveCoupling(network=network(2, 6)), r"must give \(None, 3\): 1 parameters for each"),
        (AffineCoupling("alternating", network=network(5, 6)), r"must give \(None, 10\)"),
        (AffineCoupling(network=[network(2, 3), network(2, 6)]), r"must give \(None, 3\)"),
        (AffineCoupling(network=keras.layers.Dense(7)), r"gives \(None, 7\). Change the units"),
        (
            RationalQuadraticSplineCoupling(bins=4, network=network(2, 6)),
            r"must give \(None, 33\): 11 parameters",
        ),
    ],
)
def test_a_network_of_the_wrong_output_size_is_named(layer, message):
    inside = layer.network[-1] if isinstance(layer.network, list) else layer.network
    with pytest.raises(ValueError, match=f"'{inside.name}' of layer '{layer.name}' .*{message}"):
        layer.build((None, 5))


def test_a_network_that_takes_another_input():
    message = r"(?s)'mine' of layer 'step' must take \(None, 2\).*to have value 4.*Change the shape"
    layer = keras.layers.Dense(6, name="mine")
    layer.build((None, 4))
    with pytest.raises(ValueError, match=message):
        AffineCoupling(network=layer, name="step").build((None, 5))


def test_a_network_that_is_no_layer():
    for bad in (lambda x: x, "relu", 64):
        with pytest.raises(TypeError, match="'step' takes a Keras layer or model as network, but"):
            AffineCoupling(network=bad, name="step")
    with pytest.raises(TypeError, match="as network, but got list"):
        AdditiveCoupling(network=[network(2, 3)], name="step")
    with pytest.raises(ValueError, match=r"or the pair \(s, t\), but got 3 networks"):
        AffineCoupling(network=[network(2, 3)] * 3)
    with pytest.raises(
        ValueError, match="separate_networks=True, but one network, 'mine'.*Give the pair"
    ):
        AffineCoupling(separate_networks=True, network=keras.layers.Dense(6, name="mine"))


def test_data_that_the_built_in_network_does_not_know():
    with pytest.raises(ValueError, match=r"layer 'network' got .*\(None, 7, 2\).*network=…"):
        AffineCoupling().build((None, 7, 4))
    layer = built(AffineCoupling(network=keras.layers.Dense(4)), np.zeros((1, 7, 4), "float32"))
    assert layer(np.ones((2, 7, 4), "float32"))[0].shape == (2, 7, 4)


def test_convolutions_of_the_built_in_network_are_wide_narrow_wide():
    layer = CouplingNetwork(4, (5, 6))
    layer.build((None, 4, 4, 2))
    sizes = [part.kernel.shape for part in (*layer.hidden, layer.last)]
    assert sizes == [(3, 3, 2, 5), (1, 1, 5, 6), (3, 3, 6, 4)]


def test_a_base_of_couplings_says_what_is_missing():
    layer = built(Coupling())
    with pytest.raises(NotImplementedError, match="Coupling must define transform"):
        layer.call(VECTORS)
    with pytest.raises(NotImplementedError, match="Coupling must define inverse_transform"):
        layer.inverse(VECTORS)


# Gains.


def test_a_gain_multiplies_what_the_network_says():
    plain = built(AffineCoupling(scale_bound=None, gain=1.0, **SMALL))
    turned_down = built(AffineCoupling(scale_bound=None, gain=0.25, **SMALL))
    np.testing.assert_allclose(turned_down(VECTORS)[1], 0.25 * plain(VECTORS)[1], rtol=1e-5)
    plain = built(MaskedAutoregressive((6,), scale_bound=None))
    turned_down = built(MaskedAutoregressive((6,), scale_bound=None, gain=0.25))
    np.testing.assert_allclose(turned_down(VECTORS)[1], 0.25 * plain(VECTORS)[1], rtol=1e-5)


def test_deep_chains_turn_their_steps_down():
    def gains(count, **arguments):
        chain = Chain([AffineCoupling(**arguments), *(Permute() for _ in range(4))])
        chain = Chain([*(AffineCoupling(**arguments) for _ in range(count - 1)), Inverse(chain)])
        return [step.gain for step in chain.steps() if isinstance(step, Coupling)]

    # The inner chain is the first to see its own.
    assert gains(8) == [1.0] * 8
    assert gains(64) == [0.125] * 63 + [1.0]
    assert gains(64, gain=0.5) == [0.5] * 64
    assert gains(64, network=keras.layers.Dense(6)) == [None] * 64


def test_the_gain_of_a_deep_chain_stays_when_it_is_taken_apart():
    chain = Chain([MaskedAutoregressive((4,)) for _ in range(16)])
    again = Chain.from_config(chain.get_config())
    assert [step.gain for step in again.bijections] == [0.5] * 16
    alone = MaskedAutoregressive.from_config(again.bijections[0].get_config())
    assert Chain([alone]).bijections[0].gain == 0.5


def test_a_layer_that_is_built_keeps_its_gain():
    layers = [built(AffineCoupling(**SMALL)) for _ in range(9)]
    z, _ = layers[0](VECTORS)
    np.testing.assert_array_equal(Chain(layers).bijections[0](VECTORS)[0], z)


@pytest.mark.parametrize("gain", [0, -1.0, float("inf")])
def test_a_gain_that_is_none(gain):
    for make in (AffineCoupling, MaskedAutoregressive):
        with pytest.raises(ValueError, match="'step'.* gain.* None"):
            make(gain=gain, name="step")


# Splines.


def spline_of(outputs, bins, bound):
    """Knots and slopes, by the paper's words, for one number."""
    widths, heights = np.exp(outputs[:bins]), np.exp(outputs[bins : 2 * bins])
    knots = []
    for sizes in (widths, heights):
        shares = 1e-3 + (1 - bins * 1e-3) * sizes / sizes.sum()
        knots.append(np.concatenate([[-bound], -bound + 2 * bound * np.cumsum(shares)]))
    inner = 1e-3 + np.log1p(np.exp(outputs[2 * bins :] + np.log(np.expm1(1 - 1e-3))))
    return *knots, np.concatenate([[1], inner, [1]])


def test_a_spline_passes_its_knots_with_its_slopes():
    layer = built(RationalQuadraticSplineCoupling(**SPLINE), VECTORS[:, :2])
    kept = np.float32(0.3)
    outputs = np.asarray(layer.network(np.array([[kept]], "float32")), "float64")[0]
    xs, ys, slopes = spline_of(outputs, 4, 3.0)
    assert len(set(np.round(slopes, 3))) > 2
    for x, y, slope in zip(xs, ys, slopes, strict=True):
        z, log_det = layer(np.array([[kept, x]], "float32"))
        np.testing.assert_allclose(z[0, 1], y, atol=1e-5)
        np.testing.assert_allclose(np.exp(log_det[0]), slope, rtol=1e-3)  # the slope bends there


def test_a_spline_bends_within_a_bin_as_the_paper_has_it():
    layer = built(RationalQuadraticSplineCoupling(dtype="float64", **SPLINE), VECTORS[:, :2])
    outputs = np.asarray(layer.network(np.array([[0.3]])))[0]
    xs, ys, d = spline_of(outputs, 4, 3.0)
    for k in range(4):
        for u in (0.2, 0.7):
            x, s = xs[k] + u * (xs[k + 1] - xs[k]), (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
            numerator = (ys[k + 1] - ys[k]) * (s * u**2 + d[k] * u * (1 - u))
            y = ys[k] + numerator / (s + (d[k + 1] + d[k] - 2 * s) * u * (1 - u))
            np.testing.assert_allclose(layer(np.array([[0.3, x]]))[0][0, 1], y, atol=1e-12)


@pytest.mark.parametrize("kept", [0.3, 3.0, 10.0, 1e4])
def test_in_the_box_a_spline_is_finite_and_stays_there_however_steep_it_is(kept):
    """Rounding carries numbers near a knot over the edges of their bins."""
    layer = built(RationalQuadraticSplineCoupling(hidden_units=(6,), bound=3.0), VECTORS[:, :2])
    inside = np.linspace(-3, 3, 20_001, dtype="float32")
    x = np.stack([np.full_like(inside, kept), inside], axis=-1)
    for way in (layer, layer.inverse):
        z, log_det = way(x)
        assert np.isfinite(log_det).all()
        assert np.abs(np.asarray(z)[:, 1]).max() <= 3.0 + 1e-5


@pytest.mark.parametrize("value", [-1e4, -3.0, 3.0, 3.5, 1e4])
def test_outside_of_the_box_a_number_stays_as_it_is(value):
    layer = built(RationalQuadraticSplineCoupling(**SPLINE), VECTORS[:, :2])
    x = np.array([[0.3, value]], "float32")
    for call in (layer, layer.inverse):
        z, log_det = call(x)
        np.testing.assert_array_equal(z, x)
        np.testing.assert_array_equal(log_det, [0.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(bins=1), " must be from 2 to 999, but got 1"),
        (dict(bins=1000), " must be from 2 to 999, but got 1000"),
        (dict(bins=2.5), ": bins must be an integer, but got 2.5"),
        (dict(bound=0), " needs a positive bound"),
        (dict(bound=float("inf")), ": bound must be a finite number"),
    ],
)
def test_a_spline_out_of_range(arguments, message):
    error = TypeError if "integer" in message else ValueError
    with pytest.raises(error, match=f"'step'{message}"):
        RationalQuadraticSplineCoupling(name="step", **arguments)


def test_bins_are_counted():
    with pytest.raises(TypeError, match="'step': bins must be an integer, but got 2.5"):
        RationalQuadraticSplineCoupling(name="step", bins=2.5)


# Autoregressive steps.


def seen(call, x):
    """Entry i, j: whether output i changes when input j does."""
    before = np.asarray(call(x)[0])
    found = np.zeros((x.shape[1], x.shape[1]), bool)
    for j in range(x.shape[1]):
        moved = x.copy()
        moved[:, j] += 0.5
        found[:, j] = (np.abs(np.asarray(call(moved)[0]) - before) > 1e-6).any(axis=0)
    return found


@pytest.mark.parametrize("hidden", [(16,), (16, 16), (16, 8, 16), ()])
@pytest.mark.parametrize("condition", [None, (None, 2)])
def test_a_number_depends_on_all_numbers_before_it_and_no_other(hidden, condition):
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    layer = built(MaskedAutoregressive(hidden, activation="tanh"), x, condition)
    given = {} if condition is None else {"condition": np.ones((8, 2), "float32")}
    expected = np.tril(np.ones((6, 6), bool))
    np.testing.assert_array_equal(seen(lambda x: layer(x, **given), x), expected)
    np.testing.assert_array_equal(seen(lambda z: layer.inverse(z, **given), x), expected)


def test_few_hidden_units_are_spread_over_all_numbers():
    x = np.random.default_rng(0).normal(size=(8, 20)).astype("float32")
    layer = built(MaskedAutoregressive((8,), activation="tanh"), x)
    found = seen(layer, x)
    assert not np.triu(found, 1).any()
    np.fill_diagonal(found, False)
    assert found[:, :-1].any(axis=0).all()  # all but the last one tell others something


def test_unbounded_garbage_in_later_places_does_not_reach_earlier_ones():
    x = np.random.default_rng(0).normal(size=(2, 48)).astype("float32")
    layer = built(MaskedAutoregressive((64,), scale_bound=None, dtype="float64"), x)
    for weight in layer.trainable_weights:
        weight.assign(weight.value * 2)
    z, _ = layer(x)
    again, _ = layer.inverse(z)
    assert np.isfinite(again).all()
    np.testing.assert_allclose(again[:, :8], x[:, :8], rtol=1e-6)


def test_permutations_between_steps_change_the_order():
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    layer = built(MaskedAutoregressive((16,), activation="tanh"), x)
    flip = Permute()
    backwards = seen(lambda x: flip(layer(flip(x)[0])[0]), x)
    np.testing.assert_array_equal(backwards, np.triu(np.ones((4, 4), bool)))


def test_the_inverse_flow_samples_in_one_pass():
    layer = built(MaskedAutoregressive((8,)))
    flow = Inverse(layer)
    flow.build((None, 5))
    np.testing.assert_array_equal(flow.inverse(VECTORS)[0], layer(VECTORS)[0])


@pytest.mark.parametrize("shape", [(3, 4, 4, 1), (3, None)])
def test_an_autoregressive_step_takes_vectors(shape):
    with pytest.raises(ValueError, match=r"layer 'step' got input shape .*FactorOut\(\) does"):
        MaskedAutoregressive(name="step").build(shape)


@pytest.mark.parametrize(
    ("units", "error"), [((0,), ValueError), ((8, -1), ValueError), ((2.5,), TypeError)]
)
def test_hidden_layers_of_no_size(units, error):
    message = "hidden_units of layer 'step' must be at least 1|'step': hidden_units must be a seq"
    with pytest.raises(error, match=message):
        MaskedAutoregressive(units, name="step")
    with pytest.raises(error, match=message):
        AffineCoupling(hidden_units=units, name="step")


def test_the_hidden_units_of_a_new_network_bend_at_different_places():
    for layer in (AffineCoupling(), MaskedAutoregressive((64,))):
        layer.build((None, 2))
        first = layer.network.hidden[0] if isinstance(layer, AffineCoupling) else layer.made[0]
        kernel, bias = first.get_weights()
        bends = -bias / kernel[0]
        assert np.quantile(bends, 0.75) - np.quantile(bends, 0.25) > 0.5
        x = np.array([[0.3, -0.2]], "float32")
        np.testing.assert_array_equal(layer(x)[0], x)  # and yet it is the identity
