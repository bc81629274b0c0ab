"""Networks on which version 0.1 was wrong, and others of their kinds.

Leaks must be refused, causal networks accepted and sampled alike by every method.
"""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import kerasar
from kerasar.layers import (
    CausalShift,
    HorizontalMinGRU,
    MaskedConv2D,
    RowLSTM,
    SplitChannels,
    StrictlyCausalConv1D,
    VerticalConv2D,
    VerticalMinGRU,
)
from kerasar.layers.protocol import POINTWISE, Recurrence, Taps, declares_what_it_sees
from kerasar.testing import check_the_sample, randomize

T, K = 6, 3


class Same(L.Layer):
    """A layer that declares nothing and keeps the shape of its first input."""

    def compute_output_spec(self, h, *others, **settings):
        return keras.KerasTensor(h.shape, h.dtype)


def mean(h):
    """Over time, future included."""
    return ops.mean(h, axis=1, keepdims=True)


def sequence(body, length=T, levels=K, shift=True):
    x = keras.Input((length,), dtype="int32", name="x")
    h = L.Embedding(levels, 8)(x)
    return keras.Model(x, L.Dense(levels)(body(CausalShift()(h) if shift else h)))


def with_tokens(body, length=T, levels=K, condition=None):
    """The body also gets the tokens as they are, or a condition."""
    x = keras.Input((length,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(levels, 8)(x))
    inputs = x if condition is None else [x, condition]
    return keras.Model(inputs, L.Dense(levels)(body(h, x if condition is None else condition)))


def image(body, size=(4, 4), channels=1, masked=True):
    x = keras.Input((*size, channels), name="x")
    h = MaskedConv2D(4 * channels, 3, mask="A", color_groups=channels)(x) if masked else x
    h = body(h)
    return keras.Model(x, SplitChannels(channels)(L.Dense(2 * channels)(h) if channels == 1 else h))


def is_refused(network, match=None, **settings):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=match):
        warnings.simplefilter("ignore")
        kerasar.check_causal(network, **settings)


def is_accepted(network, proven=True, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kerasar.check_causal(network, **settings)
    assert any("probed" in str(warning.message) for warning in caught) != proven


def samples_agree(network, condition=None, likelihood=None):
    """The best sampler draws what the network says: from a head of zeros, and from any weights."""
    model = kerasar.AutoregressiveModel(network, likelihood)
    head = [w for layer in network.layers if layer.weights for w in layer.weights][-2:]
    for weight in head:
        weight.assign(0 * weight)
    given = None if condition is None else np.repeat(condition, 16, 0)
    check_the_sample(model, model.sample(16, condition=given), 0, given)  # is made on zeros
    randomize(network)
    check_the_sample(model, model.sample(16, seed=3, condition=given), 3, given)


# F1: offsets beyond the data.


def padded_wave_net(h):
    for rate in (1, 2, 4, 8):
        h = L.Conv1D(8, 2, dilation_rate=rate)(L.ZeroPadding1D((rate, 0))(h))
    return h


def lags_cut_out(front, *lags):
    """Lag features out of a padded tensor; a lag of 0 is the present."""

    def body(h):
        padded = L.ZeroPadding1D((front, 0))(h)
        return L.Concatenate()([padded[:, front - lag : front - lag + T] for lag in lags])

    return body


def cropped_back(h):
    """Far away and back by pooling, padding and cropping."""
    h = ops.pad(h, ((0, 0), (0, 9), (0, 0)))
    h = L.ZeroPadding1D((9, 0))(L.Cropping1D((9, 0))(h))
    return L.MaxPooling1D(10, strides=1)(h) if h.shape[1] > 14 else h


def tall_kernel(padding):
    """A vertical stack whose kernel is taller than the image."""

    def body(h):
        h = L.ZeroPadding2D(((padding, 0), (1, 1)))(h)
        return L.Conv2D(4, (padding + 1, 3))(h)

    return body


def wide_pool(h):
    h = L.ZeroPadding2D(((0, 0), (6, 0)))(h)
    return L.AveragePooling2D((1, 7), strides=1)(h)


@pytest.mark.parametrize(
    "network",
    [
        lambda: sequence(padded_wave_net, 8, shift=False),
        lambda: sequence(lags_cut_out(9, 0, 7), shift=False),
        lambda: sequence(lags_cut_out(20, 3, 0), shift=False),
        lambda: sequence(lambda h: L.Conv1D(4, 3, padding="same", dilation_rate=5)(h)),
        lambda: sequence(lambda h: L.Conv1D(4, 3, padding="same", dilation_rate=4096)(h), None),
        lambda: image(tall_kernel(5), masked=False),
        lambda: image(wide_pool, masked=False),
    ],
)
def test_no_offset_beyond_the_data_is_forgotten(network):
    is_refused(network(), "not strictly causal")


@pytest.mark.parametrize(
    ("body", "lags"),
    [
        (padded_wave_net, range(1, 8)),
        (lags_cut_out(9, 0, 3), (1, 4)),
        (lags_cut_out(20, 1, 4, 19), (2, 5)),
    ],
)
def test_what_comes_back_from_beyond_the_data_is_seen(body, lags):
    network = sequence(body, 8 if body is padded_wave_net else T)
    is_accepted(network)
    assert kerasar.receptive_field(network).offsets == {(-lag,) for lag in lags}
    samples_agree(network)


@pytest.mark.parametrize(
    "network",
    [
        lambda: sequence(
            lambda h: L.Concatenate()([h, L.ZeroPadding1D((0, T + 1))(h)[:, T + 1 :]])
        ),
        lambda: image(lambda h: L.Concatenate()([h, L.ZeroPadding2D(((0, 9), (0, 0)))(h)[:, 9:]])),
    ],
)
def test_what_reads_only_padding_has_no_steps(network):
    model = kerasar.AutoregressiveModel(network())
    randomize(model.network)
    assert (model.sample(4, seed=1) == model.sample(4, seed=1, method="sequential")).all()
    with pytest.raises(ValueError, match="no cached sampler: it looks .* only padding"):
        model.sample(4, method="cached")


def test_a_vertical_convolution_without_its_shift_is_told_of_it():
    network = image(lambda h: VerticalConv2D(3, (2, 3))(h))
    is_refused(network, r"'vertical_conv2d.*CausalShift behind it.*axis=1 for rows")


@pytest.mark.parametrize("event_rank", [None, 1])
def test_a_shift_of_what_has_no_positions_is_named(event_rank):
    x = keras.Input((6, 2), name="x")
    network = keras.Model(x, L.Dense(2)(CausalShift(axis=2, name="s")(CausalShift()(x))))
    is_refused(
        network,
        "'s'.*shifts axis 2, but the data have positions on axis 1 only",
        event_rank=event_rank,
    )


def test_a_model_is_no_network():
    model = kerasar.models.CausalConvNet(6, 3, filters=4, dilations=(1,))
    with pytest.raises(ValueError, match="pass its attribute `network`"):
        kerasar.check_causal(model)
    kerasar.check_causal(model.network)


@pytest.mark.parametrize("layer", [VerticalMinGRU, HorizontalMinGRU, RowLSTM])
def test_a_recurrence_in_half_precision_is_stepped(layer):
    def body(h):
        h = CausalShift(1)(h)
        return layer(2, dtype="mixed_bfloat16")(L.Dense(8 if layer is RowLSTM else 4)(h))

    network = image(body)
    samples_agree(network)
    assert kerasar.AutoregressiveModel(network).sample(2, method="cached").shape == (2, 4, 4, 1)


@pytest.mark.parametrize("join", [L.Add, L.Concatenate, lambda: lambda pair: pair[0] + pair[1]])
def test_branches_of_different_precision_are_stepped(join):
    """As Keras casts the inputs of a layer, so does a step."""

    def body(h):
        h = CausalShift(axis=2)(h)
        low = MaskedConv2D(4, 3, dtype="mixed_bfloat16")(h)
        low = CausalShift(axis=1, dtype="mixed_bfloat16")(low)
        high = CausalShift(axis=1, dtype="float32")(low)
        return join()([MaskedConv2D(4, 3)(high), MaskedConv2D(4, 1, dtype="mixed_bfloat16")(high)])

    network = image(body)
    assert kerasar.AutoregressiveModel(network).sample(2, method="cached").shape == (2, 4, 4, 1)


def test_finished_rows_may_be_wider_than_the_image():
    shared = L.Conv2D(4, (1, 2))

    def body(h):  # what `shared` makes first has a column more, which no pixel computes
        h = shared(shared(L.ZeroPadding2D(((0, 0), (2, 0)))(CausalShift(2)(h))))
        h = L.ZeroPadding2D(((0, 0), (3, 0)))(h)
        return MaskedConv2D(3, (3, 5), mask="B")(h)[:, :, 2:-1]

    network = image(body)
    samples_agree(network)
    assert kerasar.AutoregressiveModel(network).sample(2, method="cached").shape == (2, 4, 4, 1)


def test_a_reach_of_thousands_is_told():
    network = sequence(lambda h: L.Conv1D(4, 2, padding="causal", dilation_rate=5000)(h), None)
    assert kerasar.receptive_field(network).reach == 5001


# F2: activations that are not elementwise.


def over_time(h):
    return ops.softmax(h, axis=1)


class CentredActivation:
    def __call__(self, h):
        return h - mean(h)


@pytest.mark.parametrize(
    "body",
    [
        lambda h: h * ops.expand_dims(L.Activation("softmax")(ops.squeeze(L.Dense(1)(h), -1)), -1),
        lambda h: h * L.Dense(1, activation=over_time)(h),
        lambda h: L.Conv1D(4, 2, padding="causal", activation=over_time)(h),
        lambda h: L.Dense(4, activation=functools.partial(ops.softmax, axis=1))(h),
        lambda h: L.Dense(4, activation=L.Softmax(axis=1))(h),
        lambda h: L.SeparableConv1D(4, 1, activation=CentredActivation())(h),
        lambda h: L.DepthwiseConv1D(1, activation=CentredActivation())(h),
        lambda h: L.Activation(CentredActivation())(h),
        lambda h: L.Dense(4, activation=L.Activation(over_time))(h),
    ],
)
def test_an_activation_over_time_is_found(body):
    is_refused(sequence(body))


def test_an_activation_of_kerasars_own_layers_is_found():
    is_refused(sequence(lambda h: StrictlyCausalConv1D(4, 2, activation=over_time)(h)))
    rows = functools.partial(ops.softmax, axis=2)
    is_refused(image(lambda h: L.Conv2D(4, 1, activation=rows)(h)))
    is_refused(image(lambda h: MaskedConv2D(4, 3, mask="B", activation=rows)(h)))


def test_an_activation_over_colors_is_found():
    def body(h):
        return MaskedConv2D(6, 3, mask="A", color_groups=3)(L.Activation("softmax")(h))

    is_refused(image(body, (2, 2), 3, masked=False))


def test_activations_over_channels_are_causal():
    def body(h):
        h = L.Dense(4, activation="softmax")(L.Dense(4, activation=L.LeakyReLU())(h))
        return L.Activation("log_softmax")(h)

    network = sequence(body)
    is_accepted(network)
    samples_agree(network)


# F3: tensors of different ranks.


@pytest.mark.parametrize("merge", [L.Multiply, L.Add, L.Average, L.Maximum, L.Minimum, L.Subtract])
def test_a_merge_of_misaligned_ranks_is_refused(merge):
    x = keras.Input((T,), name="x")
    s = CausalShift()(x)
    gate = L.Dense(1)(ops.expand_dims(s, -1))  # (batch, time, 1)
    is_refused(keras.Model(x, L.Dense(3)(merge()([s, gate]))), "ranks 2 and 3")


def test_an_image_with_misaligned_ranks_is_refused():
    is_refused(image(lambda h: L.Add()([ops.mean(h, -1, keepdims=True), ops.mean(h, -1)])))
    is_refused(image(lambda h: ops.mean(h, -1, keepdims=True) * ops.mean(h, -1)))


# F4: positions that are folded away.


def in_batch(h):
    return ops.reshape(L.Reshape((T, 2, 4))(h), (-1, T, 4))


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (lambda h: ops.reshape(ops.flip(in_batch(h), 1), (-1, T, 8)), T),
        (lambda h: ops.reshape(ops.flip(ops.reshape(h, (-1, 2 * T, 4)), 1), (-1, T, 8)), T),
        (lambda h: L.Reshape((T, 8))(L.Dense(T)(L.Reshape((8, T))(h))), T),
        (lambda h: L.Conv1D(8, 2, padding="causal")(ops.reshape(h, (1, -1, 8))), None),
    ],
)
def test_a_reshape_that_moves_positions_is_refused(body, length):
    is_refused(sequence(body, length))


def test_a_reshape_that_folds_rows_into_the_batch_is_refused():
    def body(h):
        h = ops.reshape(L.Reshape((4, 4, 2, 2))(h), (-1, 4, 4, 2))
        return ops.reshape(ops.flip(h, 1), (-1, 4, 4, 4))

    is_refused(image(body))


@pytest.mark.parametrize(
    "body",
    [
        lambda h: ops.reshape(ops.tanh(in_batch(h)), (-1, T, 8)),
        lambda h: ops.reshape(ops.reshape(h, (-1, 2 * T, 4)), (-1, T, 8)),
    ],
)
def test_a_reshape_there_and_back_moves_nothing(body):
    model = kerasar.AutoregressiveModel(sequence(body, T))
    assert not model.analysis.unknown


# F5: the graph is not what `call` does.


class Body(keras.Model):
    def __init__(self):
        inside = keras.Input((T, 8))
        super().__init__(inside, L.Conv1D(8, 2, padding="causal")(inside))

    def call(self, inputs, training=None, mask=None):
        y = super().call(inputs)
        return y + mean(y)


class Chain(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        y = super().call(inputs)
        return y - mean(y)


def chain():
    return Chain([keras.Input((T, 8)), L.Dense(8)])


def replaced(layer, name="call"):
    """The same layer, of which one object does something else."""
    layer.build((None, T, 8))
    own = getattr(layer, name)
    setattr(layer, name, lambda h, *args, **settings: own(h) + mean(own(h)))
    return layer


def patched_lstm():
    layer = L.LSTM(8, return_sequences=True)
    own = layer.inner_loop

    def loop(*args, **settings):
        last, outputs, states = own(*args, **settings)
        return last, outputs - mean(outputs), states

    layer.inner_loop = loop
    return layer


@pytest.mark.parametrize(
    "body",
    [
        lambda h: Body()(h),
        lambda h: chain()(h),
        lambda h: keras.Sequential([keras.Input((T, 8)), L.ReLU(), Body()])(h),
        lambda h: replaced(L.Dense(8))(h),
        lambda h: replaced(StrictlyCausalConv1D(8, 2))(h),
        lambda h: replaced(keras.Sequential([keras.Input((T, 8)), L.Dense(8)]))(h),
        lambda h: patched_lstm()(h),
    ],
)
def test_a_call_of_its_own_is_not_read_off_the_graph(body):
    is_refused(sequence(body))


def test_a_network_with_a_call_of_its_own_has_no_graph():
    is_refused(Body(), "overrides call")
    is_refused(chain(), "overrides call")


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_inputs_of_an_inner_model_are_paired_by_name(swap, nested):
    past, now = keras.Input((T, 8), name="z_past"), keras.Input((T, 8), name="a_now")
    inner = keras.Model([past, now], L.Add()([CausalShift()(past), now]))
    if nested:
        one, other = keras.Input((T, 8), name="one"), keras.Input((T, 8), name="other")
        inner_of = inner
        inner = keras.Model([one, other], inner_of({"a_now": other, "z_past": one}))
    names = ("one", "other") if nested else ("z_past", "a_now")
    x, c = keras.Input((T,), dtype="int32", name="x"), keras.Input((T, 8), name="c")
    e = L.Embedding(K, 8)(x)
    parts = (c, e) if swap else (e, c)
    network = keras.Model([x, c], L.Dense(K)(inner(dict(zip(names, parts, strict=True)))))
    if swap:
        is_refused(network)
    else:
        is_accepted(network)
        samples_agree(network, np.ones((1, T, 8), "float32"))


# F6: declarations.


class Decay(Same):
    """Attributes that have nothing to do with kerasar."""

    def __init__(self):
        super().__init__()
        self.initial, self.step = 1.0, 0.1

    def call(self, h):
        return self.initial * h + self.step * mean(h)


class Centred(StrictlyCausalConv1D):
    """Inherits a declaration that no longer holds."""

    def call(self, h):
        y = super().call(h)
        return y - mean(y)


class CentredMask(MaskedConv2D):
    def call(self, h):
        return super().call(h) - ops.mean(h, axis=(1, 2), keepdims=True)[..., :1]


@declares_what_it_sees
class Promising(Same):
    """Says that it is pointwise, and does whatever it is given."""

    def __init__(self, does, dtype=None):
        super().__init__(dtype=dtype)
        self.does = does

    def call(self, *inputs):
        return self.does(*inputs)

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class Mode(Same):
    def __init__(self, mode=0):
        super().__init__()
        self.mode = mode

    def call(self, h):
        return h + self.mode * mean(h)

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class Outer(Same):
    """Holds another layer."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dense(8)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, h):
        return self.inner(h)

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class InTraining(Same):
    def call(self, h, training=False):
        return h + mean(h) if training else 1.0 * h

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class Counting(Same):
    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, h):
        self.count.assign_add(1.0)
        return h * self.count

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class Ahead(Same):
    """Says that it reads one step back, and reads ahead as well."""

    def call(self, h):
        back = ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        return back + ops.pad(h, ((0, 0), (0, 1), (0, 0)))[:, 1:]

    def taps(self, position_rank):
        return Taps(((-1,),), combine=lambda values, _: values[0])


@declares_what_it_sees
class Backwards(Same):
    """Says that it is a recurrence, and runs from the end."""

    def call(self, h):
        return ops.flip(ops.cumsum(ops.flip(h, axis=1), axis=1), axis=1)

    def initial(self, batch):
        return ops.zeros((batch, 8))

    def step(self, x, carry, position):
        return carry + x, carry + x


@pytest.mark.parametrize(
    "network",
    [
        lambda: sequence(lambda h: Decay()(h)),
        lambda: sequence(lambda h: Centred(8, 2)(h), shift=False),
        lambda: image(lambda h: CentredMask(4, 3, mask="B")(h)),
        lambda: sequence(lambda h: Promising(lambda h: h + mean(h))(h)),
        lambda: sequence(lambda h: Promising(lambda h: h + mean(h))(h), 5_000),
        lambda: sequence(lambda h: Promising(lambda h: h + mean(h))(h), None),
        lambda: sequence(lambda h: Promising(lambda a, b: a + mean(b))(h, L.Dense(8)(h))),
        lambda: image(lambda h: Promising(lambda h: h + ops.mean(h, 2, keepdims=True))(h)),
        lambda: sequence(lambda h: InTraining()(h)),
        lambda: sequence(lambda h: Counting()(h)),
        lambda: sequence(lambda h: Ahead()(h)),
        lambda: sequence(lambda h: Backwards()(h)),
    ],
)
def test_a_declaration_that_does_not_hold_is_found(network):
    is_refused(network())


def test_attributes_of_another_meaning_declare_nothing():
    class Filter(Same):
        def __init__(self, taps=2):
            super().__init__()
            self.taps = taps

        def call(self, h):
            return self.taps * h

    is_accepted(sequence(lambda h: Filter()(h)))  # by what its call does


def test_a_certificate_ends_when_the_layer_changes():
    mode, outer = Mode(), Outer()
    network = sequence(lambda h: outer(mode(h)))
    is_accepted(network)
    mode.mode = 1
    is_refused(network, "'mode.*declares what it sees")
    mode.mode = 0
    is_accepted(network)
    outer.inner.activation = over_time
    is_refused(network, "'outer.*declares what it sees")


def test_a_declaration_of_two_inputs_that_holds_is_proven():
    network = sequence(lambda h: Promising(lambda a, b: a * ops.tanh(b))(h, L.Dense(8)(h)))
    is_accepted(network)
    samples_agree(network)


def test_recurrences_are_declared_by_methods():
    assert Recurrence(lambda batch: batch, lambda x, carry, _: (x, carry)).offset == 0


# F7: conditions of every rank, and heads that start at zero.


def film(h, c):
    return L.Multiply()([h, L.Dense(8)(c)])


def shifted_by(h, c):
    return L.Add()([h, L.Dense(8, kernel_initializer="zeros")(c)])


def per_step(h, c):
    return L.Concatenate()([h, L.Dense(4)(c)])


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ((5,), film),
        ((T,), film),
        ((5,), shifted_by),
        ((8,), lambda h, c: L.Average()([h, c])),
        ((), lambda h, c: L.Multiply()([h, c])),
        ((T, 5), per_step),
        ((T, 1), lambda h, c: h * c),
        ((1, 8), lambda h, c: h + c),
        ((1, 1), lambda h, c: ops.where(c > 0, h, -h)),
        ((5,), lambda h, c: L.LSTM(8, return_sequences=True)(film(h, c))),
    ],
)
def test_conditions_of_every_rank_reach_the_sampler(shape, body):
    condition = keras.Input(shape, name="c")
    network = with_tokens(body, condition=condition)
    value = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    is_accepted(network)
    samples_agree(network, value)


def test_a_head_of_zeros_is_followed_as_it_is_trained():
    condition = keras.Input((5,), name="c")
    network = with_tokens(shifted_by, condition=condition)
    given = np.random.default_rng(0).normal(size=(16, 5)).astype("float32")
    model = kerasar.AutoregressiveModel(network)
    first = model.sample(16, condition=given)
    model.compile(keras.optimizers.SGD(1.0))
    model.fit({"x": first, "condition": given}, verbose=0)
    drawn = [model.sample(16, 3, condition=given, method=m) for m in kerasar.sampling.METHODS]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] == drawn[2]).all()
    check_the_sample(model, drawn[0], 3, given)


@pytest.mark.parametrize("shape", [(5,), (1, 1, 5), (4, 4, 5), (1, 4, 5), (4, 1, 5)])
def test_conditions_of_every_rank_reach_the_image_sampler(shape):
    x, c = keras.Input((4, 4, 1), name="x"), keras.Input(shape, name="c")
    h = MaskedConv2D(4, 3, mask="A")(x)
    h = L.Multiply()([h, L.Dense(4)(c)])
    network = keras.Model([x, c], SplitChannels(1)(L.Dense(2)(h)))
    value = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32")
    is_accepted(network)
    samples_agree(network, value)


@pytest.mark.parametrize("low", [-1e9, -np.inf])
def test_a_forbidden_token_hides_nothing_from_the_samplers_check(low):
    c = keras.Input((5,), name="c")
    network = with_tokens(lambda h, c: L.ReLU()(film(h, c)), condition=c)
    forbidden = network.outputs[0] + np.array([low, 0, 0], "float32")
    network = keras.Model(network.inputs, forbidden)
    samples_agree(network, np.ones((1, 5), "float32"))


@declares_what_it_sees
class WrongStep(Same):
    """Sees what it says, but its step form is another function."""

    def call(self, h):
        return ops.pad(h, ((0, 0), (1, 0), (0, 0)))[:, :-1]

    def taps(self, position_rank):
        return Taps(((-1,),), combine=lambda values, _: -values[0])


def test_a_wrong_step_behind_a_head_of_zeros_is_found():
    def body(h):
        h = WrongStep(name="wrong")(h)
        return L.Add()([h, L.Dense(8, kernel_initializer="zeros")(h)])

    model = kerasar.AutoregressiveModel(sequence(body))
    for weight in model.network.weights:
        weight.assign(0 * weight)
    with pytest.warns(UserWarning, match="parallel.*'wrong'"):
        model.sample(2)
    with pytest.raises(ValueError, match="'wrong'"):
        model.sample(2, method="cached")


# F8: networks that change after use.


def lora(layer):
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(3 * np.random.default_rng(1).normal(size=layer.lora_kernel_b.shape))


def another_activation(layer):
    layer.activation = ops.tanh


def replaced_call(layer):
    own = layer.call
    layer.call = lambda h, *args, **settings: -own(h)


CHANGES = {
    "lora": lora,
    "int8": lambda layer: layer.quantize("int8"),
    "activation": another_activation,
    "call": replaced_call,
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "change",
    [
        *CHANGES,
        # With XLA, training has a forward pass of its own.
        pytest.param("lora", marks=pytest.mark.long, id="lora-xla"),
        pytest.param("call", marks=pytest.mark.long, id="call-xla"),
    ],
)
def test_a_changed_layer_is_followed(change):
    dense = L.Dense(8, bias_initializer="ones")
    model = kerasar.AutoregressiveModel(sequence(lambda h: L.ReLU()(dense(h))))
    randomize(model.network)
    x = np.random.default_rng(0).integers(K, size=(16, T))
    model.compile(keras.optimizers.SGD(0.0), steps_per_execution=1)
    before = model.log_prob(x)
    model.sample(16)
    model.fit(x, verbose=0)
    model.evaluate(x, verbose=0)
    CHANGES[change](dense)
    fresh = kerasar.AutoregressiveModel(model.network)
    after = fresh.log_prob(x)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(model.log_prob(x), after, 1e-5)
    expected = fresh.sample(16, seed=1)
    for method in (None, "parallel", "sequential") if change == "lora" else (None,):
        assert (model.sample(16, seed=1, method=method) == expected).all()
    loss = -after.mean()
    assert model.evaluate(x, verbose=0, return_dict=True)["loss"] == pytest.approx(loss, 1e-4)
    if change == "lora":
        model.compile(
            keras.optimizers.SGD(0.0), steps_per_execution=1
        )  # optimizers know the weights they began with
    if change != "int8":
        assert model.fit(x, verbose=0).history["loss"][0] == pytest.approx(loss, 1e-4)


@pytest.mark.parametrize("spoil", [another_activation, replaced_call])
def test_a_network_that_is_changed_to_leak_is_refused(spoil, monkeypatch):
    conv = L.Conv1D(8, 2, padding="causal")
    model = kerasar.AutoregressiveModel(sequence(lambda h: conv(h)))
    x = np.zeros((2, T), "int32")
    model.log_prob(x)
    if spoil is another_activation:
        conv.activation = over_time
    else:
        own = conv.call
        conv.call = lambda h: own(h) + mean(own(h))
    with pytest.raises(ValueError, match="not strictly causal"):
        model.log_prob(x)


def test_a_swapped_sublayer_is_followed():
    class Holder(Same):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(8)

        def call(self, h):
            return self.inner(h)

    holder = Holder()
    model = kerasar.AutoregressiveModel(sequence(lambda h: holder(h)))
    x = np.random.default_rng(0).integers(K, size=(16, T))
    before = model.log_prob(x)
    holder._tracker.unlock()
    holder.inner = L.Dense(8, activation="relu", bias_initializer="ones")
    holder.inner.build((None, T, 8))
    after = model.log_prob(x)
    assert np.abs(after - before).max() > 1e-3
    samples_agree(model.network)


# F9: what sees more in training.


class DiffersInTraining(Same):
    def call(self, h, training=False):
        return h + mean(h) if training else 1.0 * h


class Inside(Same):
    """A layer that holds others."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def build(self, shape):
        self.inner = self.make()
        self.inner.build(shape)

    def call(self, h, training=None):
        return self.inner(h, training=training)


@pytest.mark.parametrize(
    "body",
    [
        lambda h: L.BatchNormalization()(h),
        lambda h: keras.Sequential([keras.Input((T, 8)), L.BatchNormalization()])(h),
        lambda h: Inside(L.BatchNormalization)(h),
        lambda h: Inside(lambda: keras.Sequential([L.Dense(8), L.BatchNormalization()]))(h),
        lambda h: DiffersInTraining()(h),
        lambda h: InTraining()(h),
    ],
)
def test_what_sees_more_in_training_is_refused(body):
    is_refused(sequence(body))


def test_batch_normalization_of_images_is_refused_unless_frozen():
    norm = L.BatchNormalization()
    network = image(lambda h: norm(h))
    is_refused(network, "LayerNormalization or RMSNormalization")
    with pytest.warns(UserWarning, match="whole batch"):
        kerasar.check_causal(network, allow_training_leak=True)
    norm.trainable = False
    is_accepted(network)
    model = kerasar.AutoregressiveModel(network)
    model.log_prob(np.zeros((2, 4, 4, 1), "float32"))
    norm.trainable = True
    with pytest.raises(ValueError, match="whole batch"):
        model.log_prob(np.zeros((2, 4, 4, 1), "float32"))


@pytest.mark.parametrize(
    "body",
    [
        lambda h: L.GRU(8, return_sequences=True, stateful=True)(h),
        lambda h: Counted()(h),
        lambda h: Noisy()(h),
    ],
)
def test_a_state_or_noise_of_calls_is_refused(body):
    x = keras.Input(batch_shape=(2, T), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(K, 8)(x))
    is_refused(keras.Model(x, L.Dense(K)(body(h))))


class Counted(Same):
    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, h):
        self.count.assign_add(1.0)
        return h * self.count


class Noisy(Same):
    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(0)

    def call(self, h):
        return h + keras.random.normal(ops.shape(h), seed=self.seed)


# F10: what a probe must see.


class Hides(Same):
    """Looks at the tokens themselves, of which it hides one kind."""

    def __init__(self, token):
        super().__init__()
        self.token = token

    def call(self, h, x):
        return h * ops.cast(ops.not_equal(x, self.token), "float32")[..., None]


class LooksAhead(Same):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def call(self, h):
        return h + ops.pad(h, ((0, 0), (0, self.steps), (0, 0)))[:, self.steps :]


class LeaksInside(Same):
    """Nine steps somewhere see each other."""

    def call(self, h):
        inside = np.zeros((1, h.shape[1], 1), "float32")
        inside[:, 100:109] = 1
        return h + inside * ops.sum(h * inside, 1, keepdims=True)


@pytest.mark.parametrize(
    ("length", "levels", "token"),
    [(16, 256, 0), (64, 256, 255), (16, 500, 77), (1024, 40, 39), (64, 20_000, 19_999)],
)
def test_a_leak_through_a_rare_token_is_found(length, levels, token):
    is_refused(with_tokens(lambda h, x: Hides(token)(h, x), length, levels))


@pytest.mark.parametrize(("length", "steps"), [(None, 1), (None, 32), (None, 300), (512, 200)])
def test_a_look_ahead_is_found_however_far(length, steps):
    is_refused(sequence(lambda h: LooksAhead(steps)(h), length))


def test_a_known_look_ahead_beside_an_unknown_layer_is_found():
    def body(h):
        h = L.Conv1D(8, 3, padding="same", dilation_rate=500)(h)
        return L.Lambda(lambda t: 2 * t)(h)

    is_refused(sequence(body, None))


def test_a_few_steps_that_leak_are_found():
    is_refused(sequence(lambda h: LeaksInside()(h), 600))


class Where(Same):
    """Leaks where a condition says so."""

    def __init__(self, test):
        super().__init__()
        self.test = test

    def call(self, h, c):
        return h + ops.cast(self.test(c), "float32") * mean(h)


def valid_steps(h, n):
    steps = ops.arange(h.shape[1])[None, :, None]
    return h * ops.cast(steps < n[:, None, None], "float32")


@pytest.mark.parametrize(
    ("shape", "dtype", "test"),
    [
        ((T,), "bool", lambda c: ops.any(c, 1)[:, None, None]),
        ((T,), "bool", lambda c: ops.logical_not(ops.any(c, 1))[:, None, None]),
        ((), "bool", lambda c: c[:, None, None]),
        ((), "int32", lambda c: ops.equal(c, 2)[:, None, None]),
        ((), "int32", lambda c: (c > 3)[:, None, None]),
        ((2,), "int32", lambda c: ops.equal(c, 1)[:, None]),
        ((3,), "float32", lambda c: (c > 0)[:, None, :1]),
    ],
)
def test_a_leak_that_a_condition_opens_is_found(shape, dtype, test):
    condition = keras.Input(shape, dtype=dtype, name="c")

    def body(h, c):
        return Where(test)(h[..., :2], c)

    is_refused(with_tokens(body, condition=condition))


# F11: what a probe must accept.


class Triangle(Same):
    """Its mask is a weight that is not trained."""

    def build(self, shape):
        self.mask = self.add_weight(shape=(shape[1], shape[1]), trainable=False)
        self.mask.assign(np.tril(np.ones(self.mask.shape)))

    def call(self, h):
        return ops.einsum("ts,bsd->btd", self.mask, h)


class Table(Same):
    """A table of positions, which has an end."""

    def build(self, shape):
        self.table = self.add_weight(shape=(16, shape[-1]))

    def call(self, h):
        return h + ops.take(self.table, ops.arange(ops.shape(h)[1]), axis=0)[None]


class Applies(Same):
    """Cannot be saved."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, h):
        return self.function(h)


def double(h):
    return 2 * h


@pytest.mark.parametrize(
    ("layer", "length"),
    [
        (lambda: L.Lambda(lambda h: 2 * h), T),
        (lambda: L.Lambda(double), None),
        (lambda: Applies(ops.tanh), T),
        (lambda: Inside(lambda: keras.Sequential([L.Dense(8), L.ReLU()])), None),
        (lambda: Table(), 16),
    ],
)
def test_a_causal_layer_that_can_be_opened_is_proven(layer, length):
    is_accepted(sequence(lambda h: layer()(h), length))


@pytest.mark.parametrize(("layer", "length"), [(Triangle, T), (Table, None)])
def test_a_causal_layer_that_is_unknown_is_accepted(layer, length):
    is_accepted(sequence(lambda h: layer()(h), length), proven=False)


def test_a_probe_keeps_to_the_values_of_the_table():
    x = keras.Input((T, 4), dtype="int32", name="x")
    h = CausalShift()(L.Reshape((T, 32))(L.Embedding(K, 8)(x)))
    network = keras.Model(x, L.Dense(12)(L.Lambda(tf.nn.relu)(h)))
    is_accepted(network, proven=False, event_rank=1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_unknown_layers_sample_in_parallel():
    class Earlier(Same):
        def call(self, h):
            return ops.einsum("ts,bsd->btd", np.tril(np.ones((T, T), "float32")), h)

    samples_agree(sequence(lambda h: Earlier()(h)))


# F12: causal networks that failed in the default sampler.


@pytest.mark.parametrize(
    "body",
    [
        lambda h: h + np.array([-np.inf] + [0] * 7, "float32"),
        lambda h: L.Reshape((T, 12))(
            L.Dense(3)(
                L.Concatenate(axis=2)([L.Reshape((T, 2, 4))(h), L.Reshape((T, 2, 4))(2.0 * h)])
            )
        ),
        lambda h: CausalShift()(L.Add()([h, h[:, :1]])),
        lambda h: L.Maximum()([h[:, :1], h]),
        lambda h: h * h[:, 2:3] + h if False else h + np.ones((T, 8), "float32"),
        lambda h: h * np.linspace(1, 2, T).astype("float32")[:, None],
        lambda h: ops.maximum(np.linspace(-1, 1, T).astype("float32")[None, :, None], h),
        lambda h: L.ZeroPadding1D((0, T - 1))(h[:, :1]) + h,
    ],
)
def test_a_causal_network_is_accepted_and_sampled(body):
    network = sequence(lambda h: ops.tanh(body(h)))
    is_accepted(network)
    samples_agree(network)


def test_a_constant_along_time_is_aligned_with_values():
    x = keras.Input((T,), name="x")
    h = CausalShift()(x) * np.linspace(1, 2, T).astype("float32")
    network = keras.Model(x, L.Dense(K)(L.Dense(8, "relu")(ops.expand_dims(h, -1))))
    is_accepted(network)
    samples_agree(network)


# F13: `fit` trains the function that `call` is.


class Tripled(keras.Model):
    def __init__(self):
        inside = keras.Input((T, 8))
        super().__init__(inside, L.Conv1D(8, 2, padding="causal")(inside))

    def call(self, inputs, training=None, mask=None):
        return 3.0 * super().call(inputs)


class Doubled(keras.Sequential):
    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs)


class Scan(Same):
    def call(self, h):
        def step(carry, now):
            carry = (carry + now) / 2.0
            return carry, carry

        steps = ops.transpose(h, (1, 0, 2))
        return ops.transpose(ops.scan(step, ops.zeros_like(h[:, 0]), steps)[1], (1, 0, 2))


def replaced_dense():
    layer = L.Dense(8)
    layer.build((None, T, 8))
    own = layer.call
    layer.call = lambda h, *args, **settings: -own(h)
    return layer


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "layer",
    [
        Tripled,
        pytest.param(
            lambda: Doubled([keras.Input((T, 8)), L.Conv1D(8, 2, padding="causal")]),
            marks=pytest.mark.long,
        ),
        pytest.param(replaced_dense, marks=pytest.mark.long),
        Scan,
    ],
)
@pytest.mark.xla  # where training has a forward pass of its own
def test_fit_trains_what_call_computes(layer):
    model = kerasar.AutoregressiveModel(
        sequence(lambda h: layer()(L.Conv1D(8, 2, padding="causal")(h)))
    )
    model.compile(keras.optimizers.SGD(0.0))
    randomize(model.network)
    x = np.random.default_rng(0).integers(K, size=(32, T))
    loss = model.fit(x, verbose=0).history["loss"][0]
    assert loss == pytest.approx(-model.log_prob(x).mean(), 1e-4)
    assert model.evaluate(x, verbose=0, return_dict=True)["loss"] == pytest.approx(loss, 1e-4)


# F14: other data formats, and classes that only share a name.

FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    "body",
    [
        lambda h: L.Cropping2D(((0, 0), (0, 1)), **FIRST)(
            L.ZeroPadding2D(((0, 0), (1, 0)), **FIRST)(h)
        ),
        lambda h: L.AveragePooling2D((1, 2), strides=1, padding="same", **FIRST)(h),
        lambda h: L.UpSampling2D(1)(h),
        lambda h: L.Permute((3, 2, 1))(h),
    ],
)
def test_layers_of_another_data_format_are_refused(body):
    x = keras.Input((3, 3, 3), name="x")
    is_refused(keras.Model(x, SplitChannels(3)(L.Dense(6)(body(x)))))


class Identity(Same):
    def call(self, h):
        return h - ops.mean(h, -1, keepdims=True)


@declares_what_it_sees
class Add(Same):
    def call(self, h):
        return h - ops.mean(h, -1, keepdims=True)

    def taps(self, position_rank):
        return POINTWISE


@declares_what_it_sees
class Rescaling(Add):
    """Says that it keeps channels apart, and mixes them."""

    keeps_channels = True


@pytest.mark.parametrize("mixes", [Identity, Add, Rescaling, L.LayerNormalization])
def test_a_name_does_not_keep_colors_apart(mixes):
    def body(h):
        return MaskedConv2D(6, 3, mask="A", color_groups=3)(mixes()(h))

    is_refused(image(body, (3, 3), 3, masked=False))


def test_colors_by_slices_are_causal():
    x = keras.Input((2, 2, 3), name="x")
    past = L.Concatenate()([CausalShift(axis=1)(x), CausalShift(axis=2)(x)])
    red = L.Dense(2)(past)
    green = L.Dense(2)(L.Concatenate()([past, x[..., :1]]))
    blue = L.Dense(2)(L.Concatenate()([past, x[..., :2]]))
    network = keras.Model(x, ops.stack([red, green, blue], axis=3))
    is_accepted(network)
    samples_agree(network)
    is_refused(keras.Model(x, ops.stack([red, blue, green], axis=3)))


# Masks that Keras hands from layer to layer, which no tensor of the graph shows.


def masked_tokens(start, attention):
    """Shifted by hand behind a start token; 0 is masked, and may leave a query without a key."""
    x = keras.Input((T,), dtype="int32", name="x")
    before = ops.pad(x[:, :-1] + (start == 0), [[0, 0], [1, 0]], constant_values=start)
    h = L.Embedding(4, 6, mask_zero=True)(before)
    return keras.Model(x, L.Dense(3)(h + attention(h)))


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(
    "attention",
    [
        lambda h: L.MultiHeadAttention(2, 3)(h, h, use_causal_mask=True),
        lambda h: L.GroupQueryAttention(3, 2, 1)(h, h, use_causal_mask=True),
    ],
)
def test_a_probe_runs_with_masks_that_keras_hands_on(start, attention):
    is_refused(masked_tokens(start, attention), "not strictly causal")
