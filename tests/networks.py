"""Small causal networks that differ in kind, for tests of the engine and of the samplers."""

import keras
from keras import layers as L
from keras import ops
from small_layers import ColourConv, SmallDiagonalRNN, SmallNADE, SmallRowRNN

import kerasar
from kerasar.layers import (
    NADE,
    CausalShift,
    DilatedPooling1D,
    HorizontalConv2D,
    RowLSTM,
    ScaleLevels,
    SplitChannels,
    VerticalConv2D,
    VerticalMinGRU,
)

LENGTH, LEVELS = 12, 4


def _sequence(body, length=LENGTH, levels=LEVELS, shift=True):
    x = keras.Input((length,), dtype="int32", name="x")
    h = L.Embedding(levels, 6)(x)
    if shift:
        h = CausalShift()(h)
    return keras.Model(x, L.Dense(levels, name="logits")(body(h)))


def plain():
    return _sequence(lambda h: L.Conv1D(8, 3, padding="causal", activation="tanh")(h))


def dilated():
    def body(h):
        for rate in (1, 2, 4):
            h = L.Conv1D(8, 2, padding="causal", dilation_rate=rate, activation="relu")(h)
        return h

    return _sequence(body)


def gated_with_skips():
    def body(h):
        skips = []
        for rate in (1, 2, 4):
            a, b = ops.split(L.Conv1D(12, 2, padding="causal", dilation_rate=rate)(h), 2, axis=-1)
            gate = ops.tanh(a) * ops.sigmoid(b)
            skips.append(L.Dense(8)(gate))
            h = L.Add()([h, L.Dense(6)(gate)])
        return L.Dense(8, activation="relu")(L.ReLU()(L.Add()(skips)))

    return _sequence(body)


def pooled():
    def body(h):
        h = L.ZeroPadding1D((2, 0))(h)
        h = L.MaxPooling1D(3, strides=1)(L.Conv1D(8, 3, padding="causal")(h))
        h = L.AveragePooling1D(2, strides=1)(L.ZeroPadding1D((1, 0))(h))
        return h

    return _sequence(body)


def convolutions_of_every_sort():
    def body(h):
        h = L.Conv1D(8, 3, padding="causal", groups=2, activation="tanh")(h)
        h = L.SeparableConv1D(8, 2, padding="valid")(L.ZeroPadding1D((1, 0))(h))
        return L.DepthwiseConv1D(2, padding="valid")(L.ZeroPadding1D((1, 0))(h))

    return _sequence(body)


def padded_once_in_front():
    """As `convolutionalize` makes them: the rings behind the pad do not start at zero."""

    def body(h):
        h = L.ZeroPadding1D((7, 0))(h)
        h = L.Conv1D(8, 3, dilation_rate=2, activation="tanh")(h)
        return L.Conv1D(8, 4, activation="tanh")(h)

    return _sequence(body)


def looks_back_then_ahead():
    def body(h):
        return L.Conv1D(8, 3, padding="same", activation="tanh")(CausalShift(steps=2)(h))

    return _sequence(body)


def shared_layer():
    def body(h):
        conv = L.Conv1D(6, 2, padding="causal", activation="tanh")
        return conv(conv(h))

    return _sequence(body)


def nested_model():
    inside = keras.Input((None, 6))
    inner = keras.Model(inside, L.Conv1D(6, 2, padding="causal", activation="tanh")(inside))
    sequential = keras.Sequential([keras.Input((None, 6)), L.Dense(6), L.ReLU()])
    return _sequence(lambda h: inner(sequential(inner(h))))


def batch_normalised():
    return _sequence(
        lambda h: L.BatchNormalization()(L.Conv1D(8, 3, padding="causal", activation="tanh")(h))
    )


def layer_normalised():
    return _sequence(
        lambda h: L.LayerNormalization()(L.Conv1D(8, 3, padding="causal", activation="tanh")(h))
    )


def arithmetic():
    """Shift, crop and combine with keras.ops alone."""
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = ops.one_hot(x, LEVELS)
    h = ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    h = L.Conv1D(8, 2, padding="causal")(h)
    h = ops.concatenate([ops.tanh(h), h * 0.5 + 1.0, ops.maximum(h, 0.0)], axis=-1)
    h = ops.expand_dims(h, -2)
    h = ops.reshape(h, (-1, LENGTH, 6, 4))
    h = ops.sum(h, axis=-1)
    return keras.Model(x, L.Dense(LEVELS)(h))


def recurrent():
    def body(h):
        return L.LSTM(5, return_sequences=True)(L.GRU(7, return_sequences=True)(h))

    return _sequence(body)


def open_length():
    return _sequence(lambda h: L.Conv1D(8, 3, padding="causal", activation="tanh")(h), None)


def nade():
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = CausalShift()(ops.expand_dims(ops.cast(x, "float32"), -1))
    return keras.Model(x, L.Dense(2)(SmallNADE(5)(h)))


def strict_recurrence():
    """Strictly causal in itself; what it reads is not zero before the first position."""
    return _sequence(lambda h: NADE(5)(L.Dense(1)(h)), shift=False)


def wave_net():
    return kerasar.models.WaveNet(
        LENGTH, LEVELS, filters=4, skip_filters=5, cycles=2, cycle_length=2
    ).network


def transformer():
    sizes = dict(units=8, layers=2, num_heads=4, num_kv_heads=2, window=5)
    return kerasar.models.Transformer(LENGTH, LEVELS, **sizes).network


def densely_connected():
    return kerasar.models.CausalConvNet(
        LENGTH, LEVELS, filters=5, dilations=(1, 2), skip="concatenate", first_layer="first_conv"
    ).network


def pooled_with_gaps():
    def body(h):
        h = DilatedPooling1D("max", 2, dilation_rate=2)(L.Conv1D(8, 2, padding="causal")(h))
        h = DilatedPooling1D("max", 2, "same", 2)(CausalShift(steps=2)(h))
        return DilatedPooling1D("avg", 3, dilation_rate=2)(h)

    return _sequence(body)


def conditional():
    """A class for the whole sequence, a slow series beside it."""
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    label = keras.Input((1,), dtype="int32", name="label")
    series = keras.Input((LENGTH, 2), name="series")
    h = CausalShift()(L.Embedding(LEVELS, 6)(x))
    h = L.Add()([L.Conv1D(8, 2, padding="causal")(h), L.Embedding(3, 8)(label)])
    h = L.Concatenate()([L.ReLU()(h), L.Dense(4)(series)])
    return keras.Model([x, label, series], L.Dense(LEVELS)(h))


def two_stacks():
    return kerasar.models.ShiftedPixelCNN((4, 5, 1), LEVELS, filters=(5, 6), head_filters=8).network


def _image(body, shape=(4, 5, 1), levels=3):
    x = keras.Input(shape, dtype="int32", name="x")
    h = body(ScaleLevels(levels)(x))
    h = L.Dense(shape[-1] * levels)(h)
    return keras.Model(x, SplitChannels(shape[-1])(h))


def rows_above_only():
    return _image(lambda h: VerticalConv2D(5, (2, 3), activation="tanh")(CausalShift(1)(h)))


def gated_image():
    """Two stacks where the vertical one feeds the horizontal one, with a residual."""

    def body(h):
        above = VerticalConv2D(6, (2, 3), activation="tanh")(CausalShift(1)(h))
        left = HorizontalConv2D(6, 2, activation="tanh")(CausalShift(2)(h))
        for _ in range(2):
            above = VerticalConv2D(6, (2, 3), activation="tanh")(above)
            joined = L.Add()([HorizontalConv2D(6, 2)(left), L.Dense(6)(above)])
            left = L.Add()([left, L.Activation("tanh")(joined)])
        return left

    return _image(body)


def masked_grey():
    """Masked convolutions in a row: each needs the finished rows of the one before."""

    def body(h):
        h = ColourConv(6, 1, see_own=False)(h)
        return ColourConv(6, 1, see_own=True)(ops.tanh(h))

    return _image(body)


def masked_colour():
    def body(h):
        h = ops.relu(ColourConv(6, 3, see_own=False)(h))
        h = ColourConv(9, 3, see_own=True)(h)
        return h

    x = keras.Input((3, 4, 3), dtype="int32", name="x")
    h = body(ScaleLevels(3)(x))
    return keras.Model(x, SplitChannels(3)(h))


def padded_image():
    """The shift as many write it: pad above, convolve, crop below."""

    def body(h):
        h = L.ZeroPadding2D(((3, 0), (1, 1)))(h)
        h = L.Conv2D(5, (3, 3), activation="tanh")(h)
        return L.Cropping2D(((0, 1), (0, 0)))(h)

    return _image(body)


def row_recurrent():
    return _image(lambda h: SmallRowRNN()(ColourConv(6, 1, see_own=False)(h)))


def diagonal_recurrent():
    def body(h):
        h = SmallDiagonalRNN()(ColourConv(6, 1, see_own=False)(h))
        return ops.tanh(SmallDiagonalRNN()(L.Dense(6)(h)))

    return _image(body)


def row_lstm():
    sizes = dict(units=4, layers=2, first_kernel_size=3, head_filters=6)
    return kerasar.models.PixelRNN((4, 5, 1), 3, cell="row_lstm", **sizes).network


def gated_with_recurrences():
    sizes = dict(filters=6, blocks=2, first_kernel_size=3, skip_filters=6, head_filters=6)
    return kerasar.models.GatedPixelCNN((3, 4, 3), 3, recurrences=True, **sizes).network


def recurrences_over_finished_rows():
    """One of them is looked down at by a row, so that rows above the image are prepared, too."""

    def body(h):
        down = VerticalMinGRU(6)(L.Dense(12)(CausalShift(1, steps=2)(h)))
        down = L.Conv2D(6, (2, 3), activation="tanh")(L.ZeroPadding2D(((0, 1), (1, 1)))(down))
        above = RowLSTM(6)(L.Dense(24)(CausalShift(1)(h)))
        return L.Add()([HorizontalConv2D(6, 2)(CausalShift(2)(h)), down, above])

    return _image(body)


def diagonal_bilstm_colour():
    sizes = dict(units=6, layers=1, first_kernel_size=3, head_filters=9)
    return kerasar.models.PixelRNN((3, 4, 3), 3, cell="diagonal_bilstm", **sizes).network


SEQUENCES = [
    plain,
    dilated,
    gated_with_skips,
    pooled,
    convolutions_of_every_sort,
    padded_once_in_front,
    looks_back_then_ahead,
    shared_layer,
    nested_model,
    batch_normalised,
    layer_normalised,
    arithmetic,
    recurrent,
    open_length,
    nade,
    wave_net,
    transformer,
    densely_connected,
    pooled_with_gaps,
    strict_recurrence,
]
IMAGES = [
    two_stacks,
    rows_above_only,
    gated_image,
    masked_grey,
    masked_colour,
    padded_image,
    row_recurrent,
    diagonal_recurrent,
    row_lstm,
    gated_with_recurrences,
    recurrences_over_finished_rows,
    diagonal_bilstm_colour,
]
