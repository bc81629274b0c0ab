"""The lecture's two-stack PixelCNN: its shape, what it sees, and that it stays a distribution."""

from itertools import product

import keras
import numpy as np
import pytest

import kerasar
from kerasar.testing import check_causal_by_probe, check_normalized, randomize

X = np.random.default_rng(0).integers(0, 3, (8, 7, 11, 1)).astype("int32")


def next_level(values):
    return (values + 1) % 3


def sees(above, side, left):
    """Rows above up to a number of columns to either side, and the own row to the left."""
    return {(-dy, dx) for dy in range(1, above + 1) for dx in range(-side, side + 1)} | {
        (0, -dx) for dx in range(1, left + 1)
    }


def test_it_is_the_lectures_network():
    network = kerasar.models.ShiftedPixelCNN((28, 28, 1), levels=256).network
    shapes = {
        layer.name: tuple(layer.kernel.shape)
        for layer in network.layers
        if hasattr(layer, "kernel")
    }
    assert shapes == {
        "conv1h": (3, 5, 11, 32),
        "conv2h": (3, 5, 32, 64),
        "conv1v": (1, 3, 11, 32),
        "conv2v": (1, 3, 32, 64),
        "final1": (128, 128),
        "final2": (128, 256),
    }
    assert network.output_shape == (None, 28, 28, 1, 256)
    without = kerasar.models.ShiftedPixelCNN((28, 28, 1), positional_encoding=False).network
    assert without.get_layer("conv1h").kernel.shape == (3, 5, 1, 32)


@pytest.mark.parametrize(
    ("state", "positional_encoding"),
    [
        ("reloaded", True),
        ("fitted", False),
        *(
            pytest.param(state, encoding, marks=pytest.mark.long)
            for state, encoding in product(["fresh", "fitted", "reloaded"], [True, False])
            if (state, encoding) not in (("reloaded", True), ("fitted", False))
        ),
    ],
)
def test_it_sees_all_of_what_it_should_and_nothing_else(state, positional_encoding, tmp_path):
    model = kerasar.models.ShiftedPixelCNN(
        (7, 11, 1), 3, filters=(16, 16), head_filters=16, positional_encoding=positional_encoding
    )
    if state != "fresh":
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(X, verbose=0)
    if state == "reloaded":
        model.save(tmp_path / "model.keras")
        model = kerasar.load(tmp_path / "model.keras")
    offsets = sees(above=5, side=4, left=5)
    assert kerasar.receptive_field(model.network).offsets == offsets
    randomize(model.network)
    check_causal_by_probe(model.network, X, next_level, offsets)


@pytest.mark.parametrize(
    ("kernel_size", "filters", "offsets"),
    [
        ((1, 1), (8,), sees(1, 0, 1)),
        ((2, 3), (16,), sees(2, 1, 2)),
        ((2, 3), (16, 16, 16), sees(4, 3, 4)),
        ((1, 5), (16, 16), sees(1, 4, 5)),
    ],
)
def test_kernel_size_and_depth_say_how_far_it_sees(kernel_size, filters, offsets):
    model = kerasar.models.ShiftedPixelCNN(
        (7, 11, 1),
        3,
        kernel_size=kernel_size,
        filters=filters,
        head_filters=16,
        positional_encoding=False,
    )
    assert kerasar.receptive_field(model.network).offsets == offsets
    randomize(model.network)
    check_causal_by_probe(model.network, X, next_level, offsets)


@pytest.mark.parametrize("state", ["fresh", "fitted", "reloaded"])
def test_81_probabilities_sum_to_one(state, pixels, tmp_path):
    images = np.random.default_rng(0).integers(0, 3, (40, 2, 2, 1))
    if state == "fresh":
        pixels = kerasar.models.ShiftedPixelCNN((2, 2, 1), 3)
    else:
        pixels.compile(keras.optimizers.Adam(0.01))
        pixels.fit(images, epochs=3, verbose=0)
    if state == "reloaded":
        pixels.save(tmp_path / "model.keras")
        pixels = kerasar.load(tmp_path / "model.keras")
    check_normalized(pixels, tolerance=1e-5)


def test_positions_matter_only_with_their_encoding():
    flat = np.zeros((1, 7, 11, 1), "int32")
    for positional_encoding, varies in ((True, True), (False, False)):
        model = kerasar.models.ShiftedPixelCNN(
            (7, 11, 1),
            3,
            kernel_size=(1, 3),
            filters=(8,),
            head_filters=8,
            positional_encoding=positional_encoding,
        )
        randomize(model.network)
        inside = np.asarray(model.network(flat))[0, 2:, 3:-2].reshape(-1, 3)
        assert (np.ptp(inside, axis=0) > 1e-3).any() == varies


def test_colour_is_refused_with_a_pointer():
    with pytest.raises(ValueError, match=r"gray.*\(8, 8, 3\).*GatedPixelCNN"):
        kerasar.models.ShiftedPixelCNN((8, 8, 3))


def test_other_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must be known"):
        kerasar.models.ShiftedPixelCNN((None, None, 1))
    with pytest.raises(ValueError, match="width must be odd"):
        kerasar.models.ShiftedPixelCNN((8, 8, 1), kernel_size=(3, 4))
    with pytest.raises(ValueError, match="levels .* at least 2"):
        kerasar.models.ShiftedPixelCNN((8, 8, 1), levels=1)
