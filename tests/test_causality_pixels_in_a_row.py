"""Parts of an image network that run over all pixels in a row, beside convolutions."""

import keras
import numpy as np
import pytest
from drawing import some
from keras import layers as L
from keras import ops

import kerasar
from kerasar.layers import (
    CausalSelfAttention,
    CausalShift,
    DilatedPooling1D,
    EmbedLevels,
    LinearRecurrence,
    MaskedConv2D,
    SplitChannels,
    StrictlyCausalConv1D,
)
from kerasar.testing import check_samples, randomize

HEIGHT, WIDTH, LEVELS = 4, 5, 4
IMAGES = np.random.default_rng(0).integers(0, LEVELS, (3, HEIGHT, WIDTH, 1)).astype("int32")


def in_a_row(h):
    return L.Reshape((HEIGHT * WIDTH, h.shape[-1]))(h)


def image(h):
    return L.Reshape((HEIGHT, WIDTH, h.shape[-1]))(h)


def shifted(h):
    return CausalShift()(in_a_row(h))


def gru(f):
    return L.GRU(6, return_sequences=True)(f)


def wavenet(h):
    f = shifted(h)
    for rate in (1, 2, 4, 8):
        g = L.Conv1D(6, 2, dilation_rate=rate, padding="causal", activation="relu")(f)
        f = L.LayerNormalization()(L.Add()([g, L.Dense(6)(f)]))
    return f


def recurrences_one_after_the_other(h):
    f = L.LSTM(6, return_sequences=True)(shifted(h))
    f = L.Concatenate()([f, CausalShift(steps=WIDTH + 1)(f)])
    return L.SimpleRNN(6, return_sequences=True)(f)


def attention_and_recurrence(h):
    f = gru(shifted(h))
    return L.Add()([L.Dense(6)(CausalSelfAttention(2, head_dim=4)(f)), f])


def noise(h):
    f = L.Dropout(0.5)(shifted(h))
    return L.GRU(6, return_sequences=True, dropout=0.3, recurrent_dropout=0.2)(f)


def layers_of_single_steps(h):
    f = L.TimeDistributed(L.Dense(6))(shifted(h))
    f = L.Softmax()(f * 2.0)
    f, _ = L.GRU(6, return_sequences=True, return_state=True)(f)
    return ops.tanh(f)


def masked(h):
    levels = L.Reshape((HEIGHT * WIDTH,))(ops.cast(h[..., 0] > 0, "int32"))
    return gru(CausalShift()(L.Embedding(2, 3, mask_zero=True)(levels)))


def behind_a_convolution(h):
    return gru(in_a_row(MaskedConv2D(4, 3, mask="A", activation="relu")(h)))


#: Of features of the image to features of its pixels in a row.
PARTS = {
    "recurrence": lambda h: gru(shifted(h)),
    "WaveNet": wavenet,
    "kernel wider than the image": lambda h: StrictlyCausalConv1D(6, WIDTH + 2)(in_a_row(h)),
    "recurrences": recurrences_one_after_the_other,
    "attention": lambda h: CausalSelfAttention(2, head_dim=4)(shifted(h)),
    "attention and recurrence": attention_and_recurrence,
    "noise": noise,
    "mask": masked,
    "single steps": layers_of_single_steps,
    "sum": lambda h: ops.cumsum(shifted(h), axis=1),
    "linear recurrence": lambda h: LinearRecurrence()(L.Dense(6)(shifted(h))),
    "pooling": lambda h: DilatedPooling1D("max", 3, dilation_rate=3)(shifted(h)),
    "behind a convolution": behind_a_convolution,
}
QUICK = ["kernel wider than the image", "recurrences", "attention and recurrence"]


def network(part, channels=1):
    """Convolutions over the image, and the part beside them."""
    x = keras.Input((HEIGHT, WIDTH, channels), dtype="int32", name="x")
    h = EmbedLevels(LEVELS, 3)(x)
    around = MaskedConv2D(9, 3, mask="A", color_groups=channels)(h)
    h = L.Add()([around, L.Dense(9)(image(part(h)))])
    h = MaskedConv2D(9, 3, color_groups=channels, activation="relu")(h)
    logits = MaskedConv2D(channels * LEVELS, 1, color_groups=channels)(h)
    return keras.Model(x, SplitChannels(channels)(logits))


def model(part, channels=1):
    made = kerasar.AutoregressiveModel(network(part, channels))
    randomize(made.network)
    return made


@pytest.mark.parametrize("name", some(PARTS, QUICK))
def test_samplers_agree_and_the_proof_holds(name):
    made = model(PARTS[name])
    check_samples(made, num_samples=3)
    seen = set(kerasar.receptive_field(made.network).offsets)
    before = np.asarray(made.network(IMAGES))
    for y, x in np.ndindex(HEIGHT, WIDTH):
        changed = IMAGES.copy()
        changed[:, y, x] = (changed[:, y, x] + 1) % LEVELS
        moved = np.abs(np.asarray(made.network(changed)) - before).max(axis=(0, 3, 4)) > 1e-5
        assert {(y - row, x - column) for row, column in np.argwhere(moved)} <= seen


def test_what_a_window_sees():
    """Pixels at lags of 1 and 7 in images of 5 columns, and at the right end what they were."""
    x = keras.Input((HEIGHT, WIDTH, 1), name="x")
    f = in_a_row(x)
    f = L.Add()([CausalShift(steps=1)(f), CausalShift(steps=7)(f)])
    h = L.Concatenate()([image(f), CausalShift(axis=1, steps=3)(x)])
    field = kerasar.receptive_field(keras.Model(x, SplitChannels(1)(L.Dense(LEVELS)(h))))
    assert set(field.offsets) == {(0, -1), (-1, 4), (-1, -2), (-2, 3), (-3, 0)}


@pytest.mark.long
def test_colors_are_drawn_in_turn():
    check_samples(model(PARTS["recurrence"], channels=3), num_samples=2)


@pytest.mark.long
def test_the_part_alone():
    x = keras.Input((HEIGHT, WIDTH, 1), dtype="int32", name="x")
    f = image(gru(shifted(EmbedLevels(LEVELS, 3)(x))))
    made = kerasar.AutoregressiveModel(keras.Model(x, SplitChannels(1)(L.Dense(LEVELS)(f))))
    randomize(made.network)
    check_samples(made, num_samples=2)


@pytest.mark.long
@pytest.mark.xla
def test_the_compiled_sampler_agrees():
    made = model(PARTS["recurrences"])
    np.testing.assert_array_equal(
        made.sample(3, seed=0, jit_compile=True), made.sample(3, seed=0, method="parallel")
    )


def both_ways(f):
    return L.Bidirectional(L.GRU(3, return_sequences=True))(f)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda h: gru(in_a_row(h)), "joins a branch that still sees the present"),
        (lambda h: L.Conv1D(4, 3, padding="same")(shifted(h)), "first to see the present"),
        (lambda h: both_ways(shifted(h)), "one of its directions comes from the future"),
        (lambda h: shifted(h)[:, ::-1], "joins a branch that still sees the present"),
    ],
    ids=["no shift", "convolution to both sides", "both directions", "backwards"],
)
def test_leaks_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        kerasar.AutoregressiveModel(network(part))


def test_a_recurrence_before_the_shift_is_sampled_in_parallel():
    made = model(lambda h: CausalShift()(gru(in_a_row(h))))
    assert made.sample(2, seed=0, method="parallel").shape == (2, HEIGHT, WIDTH, 1)
    with pytest.raises(ValueError, match="no cached sampler: layer 'gru.* comes before a shift"):
        made.sample(2, method="cached")
