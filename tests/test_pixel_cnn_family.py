"""PixelCNN and Gated PixelCNN: exactly what they see, colours in turn, conditions, sizes."""

import numpy as np
import pytest
import tensorflow as tf
from drawing import some

import kerasar
from kerasar.distributions import Bernoulli, DiscretizedLogisticMixture
from kerasar.layers import EmbedLevels, MaskedConv2D
from kerasar.models import GatedPixelCNN, PixelCNN
from kerasar.serving.bounds import Bounds
from kerasar.serving.export import Signatures
from kerasar.testing import (
    check_causal_by_probe,
    check_normalized,
    check_samples,
    randomize,
)

GREY = np.random.default_rng(0).integers(0, 3, (6, 9, 9, 1)).astype("int32")
COLOUR = np.random.default_rng(0).integers(0, 3, (6, 4, 5, 3)).astype("int32")


def next_level(values):
    return (values + 1) % 3


def pixel_cnn(shape, levels=3, **options):
    sizes = dict(filters=12, blocks=2, head_filters=12, first_kernel_size=5)
    return PixelCNN(shape, levels, **{**sizes, **options})


def gated(shape, levels=3, **options):
    sizes = dict(filters=9, blocks=2, skip_filters=9, head_filters=12, first_kernel_size=5)
    return GatedPixelCNN(shape, levels, **{**sizes, **options})


BUILDERS = {"PixelCNN": pixel_cnn, "GatedPixelCNN": gated}


def mask(size, kind):
    """Offsets of a square kernel's pixels before its centre, for "B" with the centre."""
    reach = range(-(size // 2), size // 2 + 1)
    earlier = {(y, x) for y in reach for x in reach if (y, x) < (0, 0)}
    return earlier | {(0, 0)} if kind == "B" else earlier


def both(first, second):
    """All sums of an offset of each: what one layer after the other sees."""
    return {(a + c, b + d) for a, b in first for c, d in second}


def before(rows, columns):
    """All pixels before the present one within so many rows and columns."""
    reach = range(-columns, columns + 1)
    return {(y, x) for y in range(-rows, 1) for x in reach if (y, x) < (0, 0)}


SEES = {
    "PixelCNN": both(both(mask(5, "A"), mask(3, "B")), mask(3, "B")),
    # Rows above: 2 of the first kernel, 1 of the second, 1 of the shift. Columns: 2 and 1.
    "GatedPixelCNN": before(4, 3),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_it_sees_exactly(name):
    model = BUILDERS[name]((9, 9, 1))
    randomize(model.network)
    assert kerasar.receptive_field(model.network).offsets == SEES[name]
    check_causal_by_probe(model.network, GREY, next_level, SEES[name])


def test_dilations_widen_what_it_sees():
    model = gated((6, 7, 1), blocks=3, first_kernel_size=3, filters=4, dilations=(2, 1))
    randomize(model.network)
    field = kerasar.receptive_field(model.network)
    # Rows above: 1 of the first kernel, 2 + 1 of the others, 1 of the shift.
    assert field.reach == (5, 4) and not field.blind_spot
    check_causal_by_probe(model.network, GREY[:, :6, :7], next_level, field.offsets)
    check_samples(model, num_samples=4, methods=["cached"])
    for dilations in (0,), (), 2:
        with pytest.raises((ValueError, TypeError), match="dilations must"):
            gated((9, 9, 1), dilations=dilations)


@pytest.mark.parametrize(
    ("name", "embedding"),
    [
        ("PixelCNN", 1),
        ("GatedPixelCNN", 0),
        pytest.param("PixelCNN", 0, marks=pytest.mark.long),
        pytest.param("GatedPixelCNN", 1, marks=pytest.mark.long),
    ],
)
def test_colours_see_pixels_before_and_colours_before(name, embedding):
    model = BUILDERS[name]((4, 5, 3), embedding=embedding)
    randomize(model.network)

    def sees(output, seen):
        offset = (seen[0] - output[0], seen[1] - output[1])
        return offset in SEES[name] or (offset == (0, 0) and seen[2] < output[2])

    check_causal_by_probe(model.network, COLOUR, next_level, sees, position_axes=3)


def test_pixel_cnn_is_blind_to_the_right_and_gated_pixel_cnn_is_not():
    blind = kerasar.receptive_field(pixel_cnn((15, 15, 1), blocks=4).network).blind_spot
    assert blind
    assert all(y < 0 < x for y, x in blind)
    assert not kerasar.receptive_field(gated((15, 15, 1), blocks=4).network).blind_spot


@pytest.mark.parametrize("name", BUILDERS)
def test_probabilities_of_all_images_sum_to_one(name):
    binary = BUILDERS[name]((2, 2, 1), 2, likelihood=Bernoulli())
    colour = BUILDERS[name]((1, 2, 3), 2)
    for model in (binary, colour):
        randomize(model.network)
        check_normalized(model)


@pytest.mark.parametrize("name", some(BUILDERS, ["GatedPixelCNN"]))
def test_samplers_agree(name):
    for shape, blocks in (((6, 5, 1), 2), ((3, 4, 3), 1)):
        model = BUILDERS[name](shape, blocks=blocks)
        randomize(model.network)
        check_samples(model, num_samples=8, methods=["cached"])
    check_samples(model, num_samples=4)  # of colours, by each


@pytest.mark.parametrize("mixture", some([False, True], [True]))
def test_samplers_agree_on_colours_of_a_class_and_beside_a_map(mixture):
    rng = np.random.default_rng(0)
    condition = {"global": np.arange(3), "local": rng.normal(size=(3, 2, 3, 2))}
    likelihood = DiscretizedLogisticMixture(3, num_variables=3) if mixture else None
    sizes = dict(blocks=1, num_classes=3, local_features=2)
    model = gated((2, 3, 3), likelihood=likelihood, **sizes)
    randomize(model.network)
    check_samples(model, num_samples=3, condition=condition, methods=["cached"])


@pytest.mark.parametrize("shape", some([(2, 2, 1), (1, 1, 3)], [(1, 1, 3)]))
def test_embedded_levels_are_drawn_as_they_are_judged(shape):
    model = gated(shape, 3, embedding=4, blocks=1, filters=3, skip_filters=3)
    randomize(model.network)
    check_normalized(model)
    check_samples(model, num_samples=8, methods=["cached"])


def test_many_levels_are_embedded_unless_the_user_says_otherwise():
    def embedded(levels, **options):
        network = gated((4, 4, 1), levels, blocks=1, **options).network
        return [layer.features for layer in network.layers if isinstance(layer, EmbedLevels)]

    assert embedded(256) == [15]
    assert embedded(17) == embedded(256, embedding=0) == []
    assert embedded(17, embedding=3) == [3]
    with pytest.raises(ValueError, match="embedding must be at least 0.*-1"):
        embedded(17, embedding=-1)


@pytest.mark.parametrize("name", some(BUILDERS, ["GatedPixelCNN"]))
def test_an_open_size_is_trained_and_sampled_at_any(name):
    model = BUILDERS[name]((None, None, 1))
    model.compile("adam")
    model.fit(GREY, verbose=0)
    assert model.sample(2, image_shape=(7, 5)).shape == (2, 7, 5, 1)
    assert model.log_prob(GREY[:, :3, :8]).shape == (6,)


def test_a_condition_reaches_every_image_and_every_pixel():
    model = gated((4, 4, 1), num_classes=5, local_features=2)
    randomize(model.network)
    x = np.repeat(GREY[:1, :4, :4], 5, axis=0)
    local = np.zeros((5, 4, 4, 2), "float32")
    by_class = model.log_prob_map(x, {"global": np.arange(5), "local": local})
    assert np.ptp(by_class, axis=0).min() > 1e-4
    moved = local.copy()
    moved[:, 2, 2] = 1
    difference = model.log_prob_map(x, {"global": np.arange(5), "local": moved}) - by_class
    assert np.abs(difference[:, 2, 2]).min() > 1e-4
    assert np.abs(difference[:, :2]).max() == 0  # rows above do not hear of it


@pytest.mark.parametrize(
    "options",
    [dict(num_classes=3), pytest.param(dict(global_features=4), marks=pytest.mark.long)],
    ids=str,
)
def test_samplers_agree_on_conditions(options):
    model = gated((4, 5, 1), local_features=2, **options)
    randomize(model.network)
    rng = np.random.default_rng(0)
    vector = np.arange(3) if "num_classes" in options else rng.normal(size=(3, 4))
    condition = {"global": vector, "local": rng.normal(size=(3, 4, 5, 2))}
    drawn = [
        model.sample(3, seed=2, condition=condition, method=method)
        for method in kerasar.sampling.METHODS
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


def test_a_map_beside_an_image_of_any_size_has_its_size():
    model = gated((None, None, 1), local_features=2)
    drawn = model.sample(1, image_shape=(4, 5), condition=np.zeros((1, 4, 5, 2)))
    assert drawn.shape == (1, 4, 5, 1)
    for size in ((6, 7), (2, 2), (1, 1), (4, 6)):
        local = np.zeros((1, *size, 2))
        with pytest.raises(
            ValueError, match=r"'local' must have the sizes of the data.*example is \(4, 5, 1\)"
        ):
            model.sample(1, image_shape=(4, 5), condition=local)
        with pytest.raises(ValueError, match="'local' must have the sizes of the data"):
            model.log_prob(GREY[:1, :4, :5], local)
    served = Signatures(model, Bounds())
    x = tf.constant(GREY[:1, :4, :5])
    assert served.log_prob(x, tf.zeros((1, 4, 5, 2)))["log_prob"].shape == (1,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the sizes of condition local"):
        served.log_prob(x, tf.zeros((1, 4, 6, 2)))


def test_a_class_out_of_range_is_refused_before_training():
    model = gated((9, 9, 1), num_classes=4)
    model.compile("adam")
    with pytest.raises(ValueError, match=r"'global' must lie in \[0, 4\).*holds 5"):
        model.fit({"x": GREY, "condition": np.arange(6)}, verbose=0)


def test_the_mask_orders_colours():
    """Each colour's outputs depend on the colours that the mask allows, and on all of those."""
    for kind, least in (("A", 1), ("B", 0)):
        layer = MaskedConv2D(6, 1, mask=kind, color_groups=3, output_splits=2)
        layer.build((None, 4, 4, 3))
        randomize(layer)
        kernel = np.asarray(layer.masked_kernel())[0, 0]
        outward = [0, 1, 2, 0, 1, 2]
        for colour in range(3):
            allowed = [out - colour >= least for out in outward]
            np.testing.assert_array_equal(kernel[colour] != 0, allowed)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="odd.*kernel_size=4"):
        MaskedConv2D(4, 4)
    with pytest.raises(ValueError, match="mask must be 'A'.*'C'"):
        MaskedConv2D(4, 3, mask="C")
    with pytest.raises(ValueError, match="multiple of 3"):
        pixel_cnn((4, 4, 3), filters=4)
    with pytest.raises(ValueError, match=r"image_shape must be a tuple .*\(4, 4\)"):
        pixel_cnn((4, 4))
    with pytest.raises(ValueError, match="levels must be at least 2"):
        gated((4, 4, 1), levels=1)
    with pytest.raises(ValueError, match="either a class or a vector"):
        gated((4, 4, 1), num_classes=3, global_features=2)
    with pytest.raises(ValueError, match=r"image.*\(batch, 4, 4, 1\)|shape \(batch, 4, 4, 1\)"):
        gated((4, 4, 1)).log_prob(COLOUR[:, :4, :4])
    with pytest.raises(ValueError, match="These are color images, and the model is for gray"):
        gated((4, 5, 1)).log_prob(COLOUR)
    with pytest.raises(ValueError, match="These are gray images, and the model is for color"):
        gated((9, 9, 3)).log_prob(GREY)
    with pytest.raises(ValueError, match="needs? .*channel axis"):
        gated((9, 9, 1)).log_prob(GREY[..., 0])
    with pytest.raises(ValueError, match=r"\(batch, 4, 5, 1\), but its shape is \(3, 5, 1\)\.$"):
        gated((4, 5, 1)).log_prob(GREY[0, :3, :5])


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(filters=32), ValueError, "3 colors.*filters=32.*multiple of 3, for example 33"),
        (dict(head_filters=4), ValueError, "3 colors.*head_filters=4"),
        (dict(filters=4.5), TypeError, "filters must be"),
        (dict(blocks=0), ValueError, "blocks must be at least 1"),
        (
            dict(likelihood=Bernoulli),
            TypeError,
            r"class Bernoulli. Make .* Bernoulli\(",
        ),
        (
            dict(likelihood="bernoulli"),
            TypeError,
            "a Likelihood or None, but got 'bernoulli'",
        ),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_named_as_they_were_given(name, options, error, message):
    with pytest.raises(error, match=message):
        BUILDERS[name]((4, 4, 3), **options)
