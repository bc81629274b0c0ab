"""The layers: what every layer owes, what exactly each of them sees, and what they refuse."""

import keras
import numpy as np
import pytest
from bijections import BIJECTIONS
from drawing import some

import kerasar
from kerasar.layers import (
    NADE,
    CausalSelfAttention,
    CausalShift,
    DiagonalBiLSTM,
    DilatedPooling1D,
    EmbedLevels,
    FrameFeatures,
    HorizontalConv2D,
    HorizontalMinGRU,
    LastSeason,
    LevelAndOwnScale,
    LevelAndScale,
    LevelCountsAbove,
    LevelCountsLeft,
    LinearRecurrence,
    MaskedConv2D,
    ObservedValues,
    PositionalEncoding2D,
    RelativeValues,
    ResidualConvNet,
    RowLSTM,
    ScaleLevels,
    SplitChannels,
    Standardize,
    StrictlyCausalConv1D,
    VerticalConv2D,
    VerticalMinGRU,
)
from kerasar.testing import check_causal_by_probe, check_layer, randomize

IMAGES = np.random.default_rng(0).normal(size=(3, 6, 7, 2)).astype("float32")
GATES = np.random.default_rng(0).normal(size=(3, 4, 5, 16)).astype("float32")
SERIES = np.random.default_rng(0).normal(size=(3, 6, 2)).astype("float32")
INTEGERS = np.random.default_rng(0).integers(0, 5, (3, 6)).astype("int32")
GRAY = np.random.default_rng(0).integers(0, 5, (3, 4, 5, 1)).astype("int32")
LONG = np.random.default_rng(1).normal(size=(3, 9, 4)).astype("float32")
BITS = np.random.default_rng(0).integers(0, 2, (3, 37, 1)).astype("int32")

LAYERS = {
    "shift in time": (CausalShift(), SERIES, {}),
    "shift of integers": (CausalShift(steps=2), INTEGERS, dict(open_axes=(1,))),
    "shift down": (CausalShift(axis=1), IMAGES, {}),
    "shift right": (CausalShift(axis=2, steps=3), IMAGES, {}),
    "vertical": (VerticalConv2D(3, (2, 3), activation="tanh"), IMAGES, {}),
    "vertical, dilated": (VerticalConv2D(3, (2, 3), dilation_rate=(2, 1)), IMAGES, {}),
    "horizontal": (HorizontalConv2D(3, 2, use_bias=False), IMAGES, {}),
    "horizontal, dilated": (HorizontalConv2D(3, 3, dilation_rate=2), IMAGES, {}),
    "attention": (CausalSelfAttention(2, 1, head_dim=4, window=3, use_bias=True), SERIES, {}),
    "nade": (NADE(4), SERIES[..., :1], dict(open_axes=())),
    "nade of integers": (NADE(4), BITS, dict(open_axes=())),
    "pooling with gaps": (DilatedPooling1D("avg", 2, dilation_rate=2), SERIES, {}),
    "first convolution": (StrictlyCausalConv1D(3, 2, activation="tanh"), SERIES, {}),
    "first convolution, dilated": (StrictlyCausalConv1D(3, 2, 3, use_bias=False), SERIES, {}),
    "masked A": (MaskedConv2D(4, 3, mask="A", activation="tanh"), IMAGES, {}),
    "masked B": (MaskedConv2D(4, (3, 5), dilation_rate=2), IMAGES, {}),
    "masked, colours": (MaskedConv2D(8, 3, color_groups=2, output_splits=2), IMAGES, {}),
    "row LSTM": (RowLSTM(4), GATES, {}),
    "row LSTM, wide": (RowLSTM(4, kernel_size=5), GATES, {}),
    "diagonal BiLSTM": (DiagonalBiLSTM(2), GATES, {}),
    "down, gated": (VerticalMinGRU(8), GATES, {}),
    "right, gated": (HorizontalMinGRU(8), GATES, {}),
    "linear recurrence": (LinearRecurrence(), SERIES, {}),
    "position": (PositionalEncoding2D(), IMAGES, dict(open_axes=())),
    "position of integers": (PositionalEncoding2D(), IMAGES.astype("int32"), dict(open_axes=())),
    "scale": (ScaleLevels(5), INTEGERS, dict(open_axes=(1,))),
    "embed": (EmbedLevels(5, 3), INTEGERS[..., None], dict(open_axes=(1,))),
    "counts above": (LevelCountsAbove(5), GRAY, {}),
    "counts left": (LevelCountsLeft(5), GRAY, {}),
    "standardize": (Standardize(0.5, 2.0), SERIES, {}),
    "split": (SplitChannels(2), IMAGES, {}),
    "observed": (ObservedValues(0.5, 2.0), SERIES, {}),
    "observed, between": (ObservedValues(support=(-9, 9)), SERIES, {}),
    "last season": (LastSeason(2), LONG, {}),
    "level and scale": (LevelAndScale("window", 4, [0.5, 2.0]), LONG, {}),
    "level and scale, last season": (LevelAndScale("seasonal", 4), LONG, {}),
    "level and own scale": (LevelAndOwnScale("seasonal", 4, 0.5), LONG, {}),
    "frame features": (FrameFeatures(), LONG, {}),
    "residual network": (ResidualConvNet(3, 6, 1), IMAGES, {}),
    "residual network of half size": (
        ResidualConvNet(3, 6, 1, stride=2),
        IMAGES[:, :4, :4],
        dict(open_axes=()),
    ),
    "split of integers": (SplitChannels(2), IMAGES.astype("int32"), {}),
}

#: Those that test_bijections.py saves: with a condition, or a network that is built already. And
#: a single number without condition has nothing to tell an autoregressive network.
_LEFT_OUT = ("given", "own network", "own pair", "autoregressive, one number")
for _name, (_make, _x, _) in BIJECTIONS.items():
    if not any(words in _name for words in _LEFT_OUT):
        LAYERS[_name] = (_make(), _x, dict(open_axes=()))


#: Of sorts of which others are quick.
LONG = BIJECTIONS.keys() - {"affine, half", "multi-scale"} | {"row LSTM, wide", "level and scale"}


@pytest.mark.parametrize("name", some(LAYERS, LAYERS.keys() - LONG))
def test_it_keeps_the_promises_of_a_layer(name, tmp_path):
    layer, x, options = LAYERS[name]
    check_layer(type(layer).from_config(layer.get_config()), x, tmp_path, **options)


def test_all_public_layers_are_checked():
    public = {name for name in vars(kerasar.layers) if name[0].isupper()}
    layers = {n for n in public if issubclass(getattr(kerasar.layers, n), keras.layers.Layer)}
    layers -= {"Bijection", "Coupling"}  # bases
    layers -= {"RelativeValues"}  # of two inputs, see below
    layers -= {
        "RepeatedLevels",
        "SeenLevels",
    }  # tests/test_repeated_levels.py, test_level_counts.py
    assert layers <= {type(layer).__name__ for layer, _, _ in LAYERS.values()}


def test_values_relative_to_a_level_and_a_scale():
    values = ObservedValues()(np.array([[[1.0], [4.0], [np.nan]]], "float32"))
    frame = LevelAndScale("none", 3)(values)
    layer = RelativeValues.from_config(RelativeValues(name="z").get_config())
    z, seen = np.moveaxis(np.asarray(layer([values, frame])), -1, 0)
    level, log_scale = np.asarray(frame)[..., 0], np.asarray(frame)[..., 1]
    far = (np.array([1.0, 4.0]) - level[0, :2]) * np.exp(-log_scale[0, :2])
    np.testing.assert_allclose(z[0, :2], far / np.sqrt(1 + (far / 10) ** 2), rtol=1e-5)
    assert z[0, 2] == 0 and seen[0].tolist() == [1, 1, 0]
    assert layer.name == "z" and layer.taps(1) == FrameFeatures().taps(1)


def rows_above(rows, side, dilation=1):
    return {(-y * dilation, x) for y in range(rows) for x in range(-side, side + 1)}


MASK_A = {(-1, -1), (-1, 0), (-1, 1), (0, -1)}

SEES = {
    "attention": (CausalSelfAttention(2, head_dim=4), SERIES, {0, -1, -2, -3, -4, -5}),
    "attention, window": (CausalSelfAttention(2, head_dim=4, window=2), SERIES, {0, -1}),
    "shift in time": (CausalShift(), SERIES, {-1}),
    "shift by three": (CausalShift(steps=3), SERIES, {-3}),
    "shift down": (CausalShift(axis=1), IMAGES, {(-1, 0)}),
    "shift right": (CausalShift(axis=2, steps=2), IMAGES, {(0, -2)}),
    "first convolution": (StrictlyCausalConv1D(4, 3), SERIES, {-1, -2, -3}),
    "first convolution, dilated": (StrictlyCausalConv1D(4, 2, 2), SERIES, {-2, -4}),
    "vertical": (VerticalConv2D(4, (2, 3)), IMAGES, rows_above(2, 1)),
    "vertical, one row": (VerticalConv2D(4, (1, 5)), IMAGES, rows_above(1, 2)),
    "vertical, dilated": (
        VerticalConv2D(4, (3, 3), dilation_rate=2),
        IMAGES,
        {(-y, x) for y in (0, 2, 4) for x in (-2, 0, 2)},
    ),
    "horizontal": (HorizontalConv2D(4, 3), IMAGES, {(0, 0), (0, -1), (0, -2)}),
    "horizontal, dilated": (
        HorizontalConv2D(4, 2, dilation_rate=3),
        IMAGES,
        {(0, 0), (0, -3)},
    ),
    "masked A": (MaskedConv2D(4, 3, mask="A"), IMAGES, MASK_A),
    "masked B": (MaskedConv2D(4, 3), IMAGES, MASK_A | {(0, 0)}),
    "masked 1×1": (MaskedConv2D(4, 1), IMAGES, {(0, 0)}),
    "masked row": (MaskedConv2D(4, (1, 5), mask="A"), IMAGES, {(0, -1), (0, -2)}),
    "masked A of colours": (
        MaskedConv2D(4, 3, mask="A", color_groups=2),
        IMAGES,
        MASK_A | {(0, 0)},
    ),
    "position": (PositionalEncoding2D(), IMAGES, {(0, 0)}),
    "split": (SplitChannels(2), IMAGES, {(0, 0)}),
}


@pytest.mark.parametrize("name", SEES)
def test_it_sees_exactly(name):
    layer, x, offsets = SEES[name]
    layer = type(layer).from_config(layer.get_config())
    layer.build(x.shape)
    randomize(layer)
    check_causal_by_probe(layer, x, lambda v: v + 1.0, offsets)


def test_a_shift_puts_zeros_in_front():
    shifted = CausalShift(steps=2)(np.array([[1, 2, 3, 4]]))
    np.testing.assert_array_equal(shifted, [[0, 0, 1, 2]])
    np.testing.assert_array_equal(CausalShift(steps=9)(np.array([[1, 2]])), [[0, 0]])


def test_a_vertical_convolution_is_a_convolution_of_what_lies_above():
    layer = VerticalConv2D(2, (2, 3))
    layer.build(IMAGES.shape)
    randomize(layer)
    kernel, bias = layer.get_weights()
    y, x = 3, 4
    window = IMAGES[0, y - 1 : y + 1, x - 1 : x + 2]
    expected = np.einsum("ijc,ijcf->f", window, kernel) + bias
    np.testing.assert_allclose(layer(IMAGES)[0, y, x], expected, rtol=1e-5)


def test_a_first_convolution_is_a_causal_one_without_its_last_tap():
    layer = StrictlyCausalConv1D(2, 3)
    layer.build(SERIES.shape)
    randomize(layer)
    kernel, bias = layer.get_weights()
    whole = keras.layers.Conv1D(2, 4, padding="causal")
    whole.build(SERIES.shape)
    whole.set_weights([np.concatenate([kernel, np.zeros_like(kernel[:1])]), bias])
    np.testing.assert_allclose(layer(SERIES), whole(SERIES), atol=1e-6)


def test_28_rows_and_columns_take_5_bits_each():
    encoded = np.asarray(PositionalEncoding2D()(np.zeros((1, 28, 28, 1), "float32")))
    assert encoded.shape == (1, 28, 28, 11)
    row = encoded[0, :, :, 1:6] @ 2 ** np.arange(5)
    column = encoded[0, :, :, 6:] @ 2 ** np.arange(5)
    np.testing.assert_array_equal(row, np.indices((28, 28))[0])
    np.testing.assert_array_equal(column, np.indices((28, 28))[1])


@pytest.mark.parametrize(
    ("size", "bits"), [((1, 1), 0), ((2, 1), 1), ((8, 8), 6), ((9, 16), 8), ((17, 33), 11)]
)
def test_a_size_takes_as_many_bits_as_it_needs(size, bits):
    x = np.zeros((1, *size, 1), "float32")
    encoded = np.asarray(PositionalEncoding2D()(x))[0]
    assert encoded.shape == (*size, 1 + bits)
    assert len(np.unique(encoded.reshape(-1, 1 + bits), axis=0)) == size[0] * size[1]


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_are_spread_evenly_over_minus_one_to_one(levels):
    scaled = np.asarray(ScaleLevels(levels)(np.arange(levels, dtype="uint8")))
    np.testing.assert_allclose(scaled, np.linspace(-1, 1, levels), atol=1e-6)


def test_levels_keep_apart_in_low_precision():
    layer = ScaleLevels(1024, dtype="mixed_bfloat16")
    for x in (np.array([512, 513, 514]), np.array([512.0, 513.0, 514.0], "float32")):
        # 513 itself has no bfloat16; what it scales to has.
        assert len(np.unique(np.asarray(layer(x)).astype("float32"))) == 3


def test_each_channel_is_scaled_and_embedded_by_the_same_table():
    layer = EmbedLevels(4, 2)
    both = np.asarray(layer(np.array([[0, 3], [3, 1]])))
    assert both.shape == (2, 6)
    np.testing.assert_allclose(both[0, [0, 3]], [-1, 1])
    np.testing.assert_array_equal(both[0, 3:], both[1, :3])  # level 3
    np.testing.assert_array_equal(both[1, 4:], np.asarray(layer.table)[1])


ERRORS = {
    "axis 0": (lambda: CausalShift(axis=0), "axis 1 .* axis=0"),
    "no steps": (lambda: CausalShift(steps=0), "steps of .* at least 1, but got 0"),
    "no such axis": (
        lambda: CausalShift(axis=2, name="s")(INTEGERS),
        r"'s' shifts axis 2.*\(3, 6\)",
    ),
    "even width": (lambda: VerticalConv2D(2, (3, 4), name="v"), r"odd.*'v'.*\(3, 4\)"),
    "open size": (
        lambda: PositionalEncoding2D(name="p")(keras.Input((None, 4, 1))),
        r"must be known.*'p'.*None, None, 4, 1",
    ),
    "no image": (lambda: PositionalEncoding2D(name="p")(SERIES), r"'p'.*\(3, 6, 2\)"),
    "one level": (lambda: ScaleLevels(1), "levels of .* at least 2, but got 1"),
    "one embedded level": (lambda: EmbedLevels(1, 4), "levels of .* at least 2, but got 1"),
    "open channels": (
        lambda: EmbedLevels(4, 2, name="e")(keras.Input((None,))),
        r"known number of channels.*'e'.*\(None, None\)",
    ),
    "no features": (lambda: EmbedLevels(4, 0), "features of .* at least 1, but got 0"),
    "no multiple": (lambda: SplitChannels(3, name="c")(IMAGES), r"3 channels.*'c'.*\(3, 6, 7, 2\)"),
    "no channels": (lambda: SplitChannels(0), "channels of .* at least 1, but got 0"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_it_refuses(name):
    make, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [VerticalConv2D, StrictlyCausalConv1D], ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", ["strides", "padding", "data_format", "groups"])
def test_what_causality_fixes_is_no_argument(name, layer):
    with pytest.raises(TypeError, match=f"{layer.__name__} fixes '{name}'.*Leave it out"):
        layer(2, (2, 3) if layer is VerticalConv2D else 2, **{name: "same"})
