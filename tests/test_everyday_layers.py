"""Everyday layers and functions: proven where causal, with exact offsets and the cached sampler."""

import warnings

import keras
import numpy as np
import pytest
from drawing import check_cached, some
from keras import layers as L
from keras import ops

import kerasar
from kerasar.layers import CausalShift
from kerasar.testing import check_causal_by_probe, check_samples, randomize

LENGTH, LEVELS, CHANNELS = 5, 3, 4
MATRIX = np.random.default_rng(0).normal(size=(CHANNELS, 3)).astype("float32")


def network(body, shift=True):
    """A network of a body on sequences of 4 channels, hidden by a shift."""
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = L.Embedding(LEVELS, CHANNELS)(x)
    h = body(CausalShift()(h) if shift else h)
    return keras.Model(x, L.Dense(LEVELS, name="logits")(h))


def heads(h):
    return L.Reshape((h.shape[1], 2, 2))(h)


def flat(h):
    return L.Reshape((h.shape[1], int(np.prod(h.shape[2:]))))(h)


#: name: body; each sees exactly what is before it at the step.
POINTWISE = {
    "einsum_dense": lambda h: L.EinsumDense("btd,de->bte", (None, 3), bias_axes="e")(h),
    "einsum_dense_ellipsis": lambda h: L.EinsumDense("...d,de->...e", 3, "tanh")(h),
    "einsum_dense_heads": lambda h: flat(L.EinsumDense("btd,dnh->btnh", (None, 2, 3))(h)),
    "einsum_constant": lambda h: ops.einsum("btd,de->bte", h, MATRIX),
    "einsum_both": lambda h: flat(ops.einsum("...i,...j->...ij", h, h)),
    "matmul_constant": lambda h: ops.matmul(h, MATRIX),
    "matmul_vector": lambda h: ops.expand_dims(ops.matmul(h, MATRIX[:, 0]), -1),
    "matmul_heads": lambda h: flat(ops.matmul(heads(h), ops.swapaxes(heads(h), 2, 3))),
    "matmul_left": lambda h: flat(ops.matmul(MATRIX[:, :2], heads(h))),
    "dot": lambda h: ops.dot(h, MATRIX),
    "tensordot": lambda h: ops.tensordot(h, MATRIX, axes=1),
    "tensordot_pairs": lambda h: ops.tensordot(h, MATRIX.T, axes=[[2], [1]]),
    "take": lambda h: ops.take(h, [0, 3, 3, 1], axis=-1),
    "take_along_axis": lambda h: ops.take_along_axis(h, np.array([[[1, 0]]]), axis=2),
    "argmax": lambda h: ops.one_hot(ops.argmax(h, axis=-1), CHANNELS),
    "argmin": lambda h: ops.cast(ops.argmin(h, axis=-1, keepdims=True), "float32"),
    "top_k": lambda h: L.Concatenate()([t := ops.top_k(h, 2)[0], 2 * t]),
    "sort_flip_roll": lambda h: ops.roll(ops.flip(ops.sort(h, axis=-1), axis=2), 1, axis=-1) + h,
    "argsort": lambda h: ops.cast(ops.argsort(h, axis=-1), "float32"),
    "cumsum_channels": lambda h: ops.cumsum(h, axis=-1),
    "diff": lambda h: ops.diff(h, axis=-1),
    "repeat_tile": lambda h: ops.tile(ops.repeat(h, 2, axis=-1), [1, 1, 2]),
    "unstack": lambda h: ops.stack(ops.unstack(h, axis=-1)[::-1], axis=-1),
    "squeeze": lambda h: ops.expand_dims(ops.squeeze(L.Dense(1)(h), -1), -1) * h,
    "swapaxes": lambda h: flat(ops.swapaxes(heads(h), 2, 3)),
    "moveaxis": lambda h: flat(ops.moveaxis(heads(h), -1, 2)),
    "transpose": lambda h: flat(ops.transpose(heads(h), (0, 1, 3, 2))),
    "permute": lambda h: flat(L.Permute((1, 3, 2))(heads(h))),
    "flatten": lambda h: ops.expand_dims(L.Flatten()(L.Dense(1)(h)), -1) * h,
    "normalize": lambda h: ops.normalize(h, axis=-1),
    "layer_norm_function": lambda h: ops.layer_normalization(h, MATRIX[:, 0], MATRIX[:, 1]),
    "rms_norm_function": lambda h: ops.rms_normalization(h, MATRIX[:, 0]),
    "layer_norm_axes": lambda h: flat(L.LayerNormalization(axis=[2, 3])(heads(h))),
    "unit_norm": lambda h: flat(L.UnitNormalization(axis=-2)(heads(h))),
    "any_median": lambda h: h * ops.cast(ops.any(h > 0.5, axis=-1, keepdims=True), "float32"),
    "elements": lambda h: ops.arctan2(h, 1.0 + ops.square(h)) + ops.logaddexp(h, ops.trunc(3 * h)),
    "more_elements": lambda h: ops.nan_to_num(ops.hypot(h, ops.floor_divide(h, 0.3))),
    "isfinite": lambda h: h * ops.cast(ops.isfinite(ops.cbrt(h)), "float32"),
    "digitize": lambda h: ops.cast(ops.digitize(h, np.array([-0.1, 0.1])), "float32"),
    "discretization": lambda h: L.Embedding(3, 2)(L.Discretization([-0.1, 0.1])(h[..., 0])),
    "discretization_one_hot": lambda h: L.Discretization([0.0], output_mode="one_hot")(h[..., 0]),
    "normalization": lambda h: L.Normalization(mean=[1, 2, 3, 4], variance=[1, 2, 3, 4])(h),
    "normalization_scalar": lambda h: L.Normalization(axis=None, mean=0.5, variance=2.0)(h),
    "normalization_inverse": lambda h: L.Normalization(invert=True)(h),
    "time_distributed_dense": lambda h: L.TimeDistributed(L.Dense(3, activation="relu"))(h),
    "time_distributed_conv": lambda h: flat(L.TimeDistributed(L.Conv1D(2, 2))(heads(h))),
    "time_distributed_lstm": lambda h: L.TimeDistributed(L.LSTM(3))(heads(h)),
    "time_distributed_model": lambda h: L.TimeDistributed(
        keras.Sequential([keras.Input((CHANNELS,)), L.Dense(3), L.Softmax()])
    )(h),
    "time_distributed_group_norm": lambda h: flat(
        L.TimeDistributed(L.GroupNormalization(2, axis=-1))(heads(h))
    ),
    "spectral_dense": lambda h: L.SpectralNormalization(L.Dense(3))(h),
    "masking": lambda h: L.Dense(3, activation="relu")(L.Masking()(h)),
    "softmax_mask": lambda h: L.Softmax()(h, mask=h > 0.1),
}  # fmt: skip


def unwarned(net):
    """A model of a network that is proven, without a probe."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return kerasar.AutoregressiveModel(net)


def check_proven(net):
    """Proven without a probe; offsets as brute force finds them; drawn from caches."""
    model = unwarned(net)
    randomize(net)
    x = np.random.default_rng(0).integers(LEVELS, size=(12, *net.inputs[0].shape[1:]))
    offsets = kerasar.receptive_field(net).offsets
    axes = len(next(iter(offsets)))
    sees = {offset[0] for offset in offsets} if axes == 1 else offsets
    check_causal_by_probe(net, x, lambda v: (v + 1) % LEVELS, sees, axes)
    check_cached(model)
    return model


def check_alike(model, *methods):
    """All samplers draw the same samples."""
    first, *others = (model.sample(8, seed=1, method=method) for method in methods)
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("start", range(0, len(POINTWISE), 12))
def test_each_step_by_itself(start):
    bodies = list(POINTWISE.values())[start : start + 12]
    for body in bodies:  # each alone, for together they might hide each other
        assert kerasar.receptive_field(network(body)).offsets == {(-1,)}
        with pytest.raises(ValueError, match="nothing hides the present"):
            kerasar.check_causal(network(body, shift=False))

    def side_by_side(h):
        return L.Concatenate()([L.Dense(2)(body(h)) for body in bodies])

    check_proven(network(side_by_side))


PER_STEP = {
    "kernel": lambda h: L.EinsumDense("btd,tde->bte", (LENGTH, 3))(h),
    "bias": lambda h: L.EinsumDense("btd,de->bte", (LENGTH, 3), bias_axes="te")(h),
}


@pytest.mark.parametrize("body", PER_STEP.values(), ids=PER_STEP.keys())
def test_weights_of_their_own_for_each_step_are_proven_and_sampled_in_parallel(body):
    net = network(body)
    model = unwarned(net)
    assert kerasar.receptive_field(net).offsets == {(-1,)}
    with pytest.raises(ValueError, match="'einsum_dense.*has no step form"):
        model.sample(1, method="cached")
    check_alike(model, "sequential", "parallel")


def hidden(mask_zero=False):
    """The input, shifted, and its embedding."""
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    s = CausalShift()(x)
    return x, L.Embedding(LEVELS, CHANNELS, mask_zero=mask_zero)(s)


def masked_lstm(**kwargs):
    x, h = hidden(mask_zero=True)
    return keras.Model(x, L.Dense(LEVELS)(L.LSTM(3, return_sequences=True, **kwargs)(h)))


def masked_gru_with_its_states():
    x, h = hidden()
    h = L.Dropout(0.1)(L.Masking(mask_value=0.0)(L.ReLU()(h)))
    h, _ = L.GRU(3, return_sequences=True, return_state=True)(h)
    return keras.Model(x, L.Dense(LEVELS)(h))


def masked_cells():
    x, h = hidden(mask_zero=True)
    h = L.RNN([L.SimpleRNNCell(3), L.GRUCell(2)], return_sequences=True)(L.Dense(3)(h))
    return keras.Model(x, L.Dense(LEVELS)(h))


def masks_that_are_joined():
    x, h = hidden(mask_zero=True)
    h = L.Concatenate()([L.Add()([h, L.Dense(CHANNELS)(h)]), L.Dense(2)(h)])
    return keras.Model(x, L.Dense(LEVELS)(L.LSTM(3, return_sequences=True)(h)))


def mask_that_is_dropped():
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = CausalShift()(L.Embedding(LEVELS, CHANNELS, mask_zero=True)(x))
    return keras.Model(x, L.Dense(LEVELS)(L.GRU(3, return_sequences=True)(L.Softmax()(h))))


def tied_embedding():
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    embedding = L.ReversibleEmbedding(LEVELS, CHANNELS)
    h = L.Conv1D(CHANNELS, 2, padding="causal")(CausalShift()(embedding(x)))
    return keras.Model(x, embedding(h, reverse=True))


def table_looked_up():
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = CausalShift()(ops.take(MATRIX[:LEVELS], x, axis=0))
    return keras.Model(x, L.Dense(LEVELS)(L.Dense(3, activation="relu")(h)))


def categories():
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    encoded = L.CategoryEncoding(LEVELS, "one_hot")
    h = L.Concatenate()([encoded(x), 2.0 * encoded(ops.expand_dims(x, -1))])
    return keras.Model(x, L.Dense(LEVELS)(L.Dense(3, activation="relu")(CausalShift()(h))))


NETWORKS = [
    masked_lstm,
    masked_gru_with_its_states,
    masked_cells,
    masks_that_are_joined,
    mask_that_is_dropped,
    tied_embedding,
    table_looked_up,
    categories,
]


@pytest.mark.filterwarnings("ignore:Layer 'causal_shift.* does not support masking")
@pytest.mark.parametrize(
    "build",
    some(NETWORKS, set(NETWORKS) - {masked_lstm, masks_that_are_joined}),
    ids=lambda build: build.__name__,
)
def test_networks(build):
    check_proven(build())


def test_masked_steps_put_out_zeros_where_keras_does():
    check_cached(unwarned(masked_lstm(zero_output_for_mask=True)))


def test_a_mask_of_the_present_is_a_leak():
    x, h = hidden()
    h = L.GRU(3, return_sequences=True, name="masked")(h, mask=ops.not_equal(x, 0))
    with pytest.raises(ValueError, match="'masked' joins a branch that still sees the present"):
        kerasar.check_causal(keras.Model(x, L.Dense(LEVELS)(h)))


def test_a_mask_from_a_condition():
    x, h = hidden()
    mask = keras.Input((LENGTH,), dtype="bool", name="mask")
    h = L.LSTM(3, return_sequences=True)(h, mask=mask)
    model = unwarned(keras.Model([x, mask], L.Dense(LEVELS)(h)))
    randomize(model.network)
    condition = np.random.default_rng(0).integers(2, size=(8, LENGTH)).astype(bool)
    check_cached(model, condition=condition)


def test_a_mask_never_drops_a_position_from_the_likelihood():
    model = unwarned(masked_lstm())
    randomize(model.network)
    every = np.stack(np.meshgrid(*[range(LEVELS)] * LENGTH), -1).reshape(-1, LENGTH)
    log_prob = model.log_prob(every).astype("float64")
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    model.compile()
    loss = model.evaluate(every, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, -log_prob.mean(), rtol=1e-4)


def in_turn(first_of):
    """Two values a step, drawn one after the other: the second sees the first."""
    x = keras.Input((3, 2), name="x", dtype="int32")
    s = CausalShift()(ops.cast(x, "float32"))
    first = L.Dense(LEVELS)(s)
    second = L.Dense(LEVELS)(L.Concatenate()([s, ops.cast(first_of(x), "float32")]))
    return keras.Model(x, ops.stack([first, second], axis=2))


FIRST_OF = {
    "slice": lambda x: x[..., :1],
    "index": lambda x: ops.expand_dims(x[:, :, 0], -1),
    "take": lambda x: ops.take(x, [0], axis=-1),
    "unstack": lambda x: ops.expand_dims(ops.unstack(x, axis=-1)[0], -1),
    "split": lambda x: ops.split(x, 2, axis=-1)[0],
    "flipped": lambda x: ops.abs(ops.flip(x, axis=-1)[..., 1:]),
}


@pytest.mark.parametrize("first_of", FIRST_OF.values(), ids=FIRST_OF.keys())
def test_values_of_a_step_that_see_those_before_them_are_proven(first_of):
    kerasar.check_causal(in_turn(first_of))
    with pytest.raises(ValueError, match="joins a branch that still sees the present"):
        kerasar.check_causal(in_turn(lambda x: first_of(ops.flip(x, axis=-1))))


def test_values_of_a_step_are_drawn_in_turn():
    model = unwarned(in_turn(FIRST_OF["slice"]))
    randomize(model.network)
    check_samples(model, num_samples=8)
    x = np.random.default_rng(0).integers(LEVELS, size=(4, 3, 2))
    known = np.random.default_rng(1).random(x.shape) < 0.5
    drawn = [model.inpaint(x, known, method=m) for m in ("sequential", "cached")]
    np.testing.assert_array_equal(*drawn)
    compiled = model.sample(8, seed=1, jit_compile=True)
    np.testing.assert_array_equal(compiled, model.sample(8, seed=1, method="sequential"))


@pytest.mark.parametrize("size", some([1, 2], [2]))
def test_series_of_vectors_drawn_value_by_value(size):
    x = keras.Input((None, size), dtype="int32", name="x")
    h = CausalShift()(ops.cast(x, "float32"))
    rows = [L.Dense(LEVELS)(L.GRU(3, return_sequences=True)(h)) for _ in range(size)]
    model = unwarned(keras.Model(x, ops.stack(rows, axis=2)))
    randomize(model.network)
    check_cached(model, 4, length=70)
    if size == 2:  # a compiled loop has room for a power of two of steps
        compiled = model.sample(4, seed=3, length=5, jit_compile=True)
        np.testing.assert_array_equal(compiled, model.sample(4, seed=3, length=5))


def transposed_and_pooled():
    """Convolutions transposed: "valid" and cropped, "same" and shifted; an average at the ends."""
    x, h = hidden()
    a = L.Cropping1D((0, 2))(L.Conv1DTranspose(3, 3)(h))
    b = CausalShift()(L.Conv1DTranspose(3, 4, padding="same")(h))
    c = CausalShift()(L.AveragePooling1D(3, strides=1, padding="same")(h))
    return keras.Model(x, L.Dense(LEVELS)(L.Concatenate()([a, b, c])))


def transposed_and_pooled_rows():
    x = keras.Input((4, 4, 1), name="x")
    a = CausalShift(axis=1, steps=2)(L.Conv2DTranspose(3, 3, padding="same")(x))
    b = L.AveragePooling2D((3, 2), strides=1, padding="same")(x)
    b = CausalShift(axis=1, steps=2)(b)
    c = L.Cropping2D(((0, 0), (0, 1)))(L.Conv2DTranspose(3, (1, 2))(CausalShift(axis=2)(x)))
    h = L.Concatenate()([a, b, c])
    return keras.Model(x, kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(h)))


def test_transposed_convolutions_and_averages_at_the_ends():
    check_proven(transposed_and_pooled())


def test_transposed_convolutions_and_averages_at_the_borders_of_images():
    net = transposed_and_pooled_rows()
    model = unwarned(net)
    randomize(net)
    above = {(-r, c) for r in (1, 2, 3) for c in (-1, 0, 1)}
    assert kerasar.receptive_field(net).offsets == above | {(0, -1), (0, -2)}
    check_cached(model)


def test_a_transposed_convolution_that_looks_ahead_is_named():
    with pytest.raises(ValueError, match="'up' is the first to see the present"):
        kerasar.check_causal(
            network(lambda h: L.Conv1DTranspose(3, 4, padding="same", name="up")(h))
        )
    with pytest.raises(ValueError, match="strides"):
        kerasar.check_causal(network(lambda h: L.Conv1DTranspose(3, 2, strides=2)(h)[:, :LENGTH]))


def rows_by_lstm():
    """Each row by an LSTM of its own, beside the rows above."""
    x = keras.Input((2, 3, 1), name="x")
    left = L.TimeDistributed(L.LSTM(3, return_sequences=True))(CausalShift(axis=2)(x))
    above = L.TimeDistributed(L.GRU(3, return_sequences=True))(CausalShift(axis=1)(x))
    h = L.EinsumDense("bhwd,de->bhwe", (None, None, 3))(L.Concatenate()([left, above]))
    return keras.Model(x, kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(h)))


def late_shift():
    """The shift comes behind the LSTM."""
    x = keras.Input((2, 4, 1), name="x")
    left = CausalShift(axis=2)(L.TimeDistributed(L.LSTM(3, return_sequences=True))(x))
    return keras.Model(x, kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(left)))


@pytest.mark.parametrize(
    "build", some([rows_by_lstm, late_shift], [late_shift]), ids=lambda build: build.__name__
)
def test_images_row_by_row(build):
    check_proven(build())


def test_a_row_that_is_not_shifted_leaks():
    x = keras.Input((2, 4, 1), name="x")
    h = L.TimeDistributed(L.LSTM(3, return_sequences=True), name="row")(x)
    net = keras.Model(x, kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(h)))
    with pytest.raises(ValueError, match="nothing hides the present"):
        kerasar.check_causal(net)
    both = L.TimeDistributed(L.Bidirectional(L.LSTM(3, return_sequences=True)))(h)
    net = keras.Model(x, kerasar.layers.SplitChannels(1)(L.Dense(LEVELS)(both)))
    with pytest.raises(ValueError, match="comes from the future"):
        kerasar.check_causal(net)


def test_a_conv_lstm_over_steps():
    x = keras.Input((3, 2), dtype="int32", name="x")
    h = L.Embedding(LEVELS, 2)(CausalShift()(x))
    h = L.ConvLSTM1D(2, 2, padding="same", return_sequences=True)(h)
    model = unwarned(keras.Model(x, L.Dense(LEVELS)(h)))
    randomize(model.network)
    assert kerasar.receptive_field(model.network).offsets == {(-1,), (-2,)}
    check_cached(model)


#: name: (body that mixes positions, what the refusal says).
MIXING = {
    "einsum_dense": (lambda h: L.EinsumDense("btd,ts->bsd", (LENGTH, CHANNELS))(h), "sums over"),
    "einsum_swap": (
        lambda h: ops.einsum("btd->bdt", h[..., :1] + ops.zeros((1, LENGTH, LENGTH))),
        "holds positions",
    ),
    "einsum_sum": (lambda h: h * ops.einsum("btd->b", h)[:, None, None], "moves or sums"),
    "matmul_over_time": (
        lambda h: ops.matmul(np.ones((1, LENGTH, LENGTH), "float32"), h),
        "is the first to see the future",
    ),
    "tensordot": (lambda h: h * ops.tensordot(h, np.ones(LENGTH), [[1], [0]])[:, None], "moves or"),
    "take": (lambda h: ops.take(h, [1, 2, 3, 4, 0], axis=1), "takes from axis 1"),
    "take_along_axis": (
        lambda h: ops.take_along_axis(h, np.ones((1, LENGTH, 1), int), axis=1),
        "takes from axis 1",
    ),
    "argmax": (lambda h: h * ops.argmax(h, axis=1, keepdims=True), "reduces over axis 1"),
    "sort": (lambda h: ops.sort(h, axis=1), "Sort moves or mixes"),
    "flip": (lambda h: ops.flip(h), "Flip moves or mixes"),
    "roll": (lambda h: ops.roll(h, 1, axis=(1, 2)), "Roll moves or mixes"),
    "repeat": (lambda h: ops.repeat(h, 2, axis=1)[:, :LENGTH], "Repeat moves"),
    "tile": (lambda h: ops.tile(h, (2, 1))[:, :LENGTH], "repeats positions"),
    "swap": (
        lambda h: ops.swapaxes(L.Dense(LENGTH)(h), 1, 2),
        "holds positions",
    ),
    "permute": (lambda h: L.Permute((2, 1))(L.Dense(LENGTH)(h)), "holds positions"),
    "normalize": (lambda h: ops.normalize(h, axis=1), "normalizes over axis 1"),
    "layer_norm": (lambda h: L.LayerNormalization(axis=[1, 2])(h), "normalizes over axis"),
    "normalization": (
        lambda h: L.Normalization(axis=1, mean=np.arange(5), variance=np.ones(5))(h),
        "differ between positions",
    ),
    "category": (
        lambda h: L.CategoryEncoding(3, "multi_hot")(ops.argmax(heads(h), -1))[:, :LENGTH],
        "pools over axis 1",
    ),
    "multi_hot": (
        lambda h: ops.multi_hot(ops.argmax(h, -1, keepdims=True), 3) * h[..., :3],
        "pools what it encodes",
    ),
    "dot_layer": (lambda h: L.Dot(axes=-1)([h, h]), "moves or sums"),
    "unstack": (lambda h: ops.stack(ops.unstack(h, axis=1), axis=1), "takes axis 1 apart"),
    "spectral": (lambda h: L.SpectralNormalization(L.Conv1D(3, 2, strides=2))(h), "strides"),
    "masking": (lambda h: ops.expand_dims(L.Masking()(h[..., 0]), -1), "last axis, which holds"),
    "softmax_mask": (
        lambda h: L.Softmax()(L.Dense(LENGTH)(h), mask=ops.any(h > 0, axis=-1)),
        "holds positions",
    ),
    "state": (
        lambda h: (
            h * L.Dense(CHANNELS)(L.GRU(2, return_sequences=True, return_state=True)(h)[1])[:, None]
        ),
        "its last state is read",
    ),
}


@pytest.mark.parametrize(("body", "reason"), MIXING.values(), ids=MIXING.keys())
def test_what_mixes_positions_is_refused_with_the_reason(body, reason):
    with pytest.raises(ValueError, match=f"(mixes positions|not strictly causal): .*{reason}"):
        kerasar.check_causal(network(body))
