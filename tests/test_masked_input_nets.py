"""The lecture's masked-input networks: their shapes, their channels, what they refuse."""

import keras
import numpy as np
import pytest

import kerasar
from kerasar.layers import mask_and_values
from kerasar.testing import check_normalized, randomize

ConvNet, LeNet = kerasar.models.MaskedInputConvNet, kerasar.models.MaskedInputLeNet


def shapes(model, *names):
    return [tuple(model.network.get_layer(name).output.shape[1:]) for name in names]


def test_the_network_for_sequences_has_the_lectures_shapes():
    model = ConvNet(32, 64)
    names = ("conv1", "pool1", "conv2", "pool2", "flatten", "hidden", "logits")
    assert shapes(model, *names) == [(28, 32), (14, 32), (10, 64), (5, 64), (320,), (200,), (64,)]
    assert model.network.get_layer("conv1").kernel.shape == (5, 2, 32)
    assert (model.data_shape, model.data_levels, model.order) == ((32,), 64, "raster")


def test_the_network_for_images_has_the_lectures_shapes():
    model = LeNet()
    names = ("conv1", "pool", "conv2", "flatten", "hidden", "logits")
    expected = [(26, 26, 32), (13, 13, 32), (9, 9, 64), (64 * 81,), (512,), (256,)]
    assert shapes(model, *names) == expected
    assert model.network.get_layer("conv1").kernel.shape == (3, 3, 2, 32)
    assert model.data_shape == (28, 28, 1)


def test_random_orders_add_a_channel_that_marks_the_place():
    assert ConvNet(32, 4, order="random").network.get_layer("conv1").kernel.shape == (5, 3, 32)
    colour = LeNet((12, 12, 3), 4, order="random", filters=(2, 2), hidden_units=4)
    assert colour.network.get_layer("conv1").kernel.shape == (3, 3, 9, 2)


TINY = {
    "sequence": lambda order: ConvNet(
        5, 3, order=order, filters=(4, 4), kernel_size=1, hidden_units=8
    ),
    "image": lambda order: LeNet(
        (2, 2, 1), 4, order=order, filters=(4, 4), kernel_sizes=(1, 1), hidden_units=8
    ),
    "colour": lambda order: LeNet(
        (2, 2, 2), 3, order=order, filters=(4, 4), kernel_sizes=(1, 1), hidden_units=8
    ),
}


@pytest.mark.parametrize("order", ["raster", "random"])
@pytest.mark.parametrize("name", TINY)
def test_probabilities_of_all_inputs_sum_to_one(name, order):
    model = TINY[name](order)
    randomize(model.network)
    check_normalized(model)


def test_a_new_model_trains_and_comes_back(tmp_path):
    model = LeNet((12, 13, 2), 4, order="random", filters=(2, 3), hidden_units=5)
    x = np.random.default_rng(0).integers(0, 4, (5, 12, 13, 2))
    model.compile()
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = kerasar.load(tmp_path / "model.keras")
    assert loaded.order == "random"
    known = x > 1
    for a, b in zip(
        (model.conditional(x, known, (3, 4, 1)), model.sample(1, order="raster")),
        (loaded.conditional(x, known, (3, 4, 1)), loaded.sample(1, order="raster")),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ConvNet(15, 4), "nothing of a sequence of length=15. It takes 16 steps"),
        (lambda: LeNet((28, 11, 1), 4), "28 × 11 pixels. It takes at least 12 each way"),
        (lambda: ConvNet(16, 4, order=[1, 2, 3]), "permutation of the 16 values"),
        (lambda: ConvNet(0, 4), "length must be at least 1"),
        (lambda: ConvNet(16, 1), "levels .* at least 2"),
    ],
)
def test_what_cannot_be_built(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_smallest_sizes_can_be_built():
    assert shapes(ConvNet(16, 4), "pool2") == [(1, 64)]
    assert shapes(LeNet((12, 12, 1), 4), "conv2") == [(1, 1, 64)]


# Values and mask as channels.


def channels(shape, told, x, known, position):
    inputs = [keras.Input(shape, dtype="int32"), keras.Input(shape, dtype="bool")]
    asked = keras.Input((), dtype="int32")
    output = mask_and_values(*inputs, levels=5, position=asked if told else None)
    given = [x, known, position] if told else [x, known]
    return np.asarray(keras.Model([*inputs, *([asked] if told else [])], output)(given))


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 2)], ids=["steps", "features", "image"])
def test_channels_are_values_mask_and_place(shape, told):
    rng = np.random.default_rng(0)
    x, known = rng.integers(0, 5, (4, *shape)), rng.random((4, *shape)) < 0.5
    size = int(np.prod(shape))
    position = rng.integers(0, size, 4)
    place = np.zeros((4, size))
    place[np.arange(4), position] = 1
    blocks = [np.where(known, x / 2 - 1, 0), known, place.reshape(x.shape)][: 3 if told else 2]
    expected = np.stack(blocks, -1) if len(shape) == 1 else np.concatenate(blocks, -1)
    np.testing.assert_allclose(channels(shape, told, x, known, position), expected, atol=1e-6)
