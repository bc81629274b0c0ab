"""Streams give, step by step, what `log_prob_map` and `sample` give at once."""

import functools

import attention
import keras
import numpy as np
import pytest
from drawing import some
from keras import layers as L
from networks import (
    LENGTH,
    LEVELS,
    conditional,
    dilated,
    looks_back_then_ahead,
    masked_grey,
    open_length,
    recurrent,
    transformer,
)
from small_layers import Undeclared

import kerasar
from kerasar.causality.randomize import randomize
from kerasar.density_models.ordered import OrderedModel
from kerasar.distributions import Categorical, GaussianMixture
from kerasar.layers import CausalShift, SplitChannels

BATCH = 3


def open_text():
    x = keras.Input((None,), dtype="int32", name="x")
    h = L.LSTM(5, return_sequences=True)(CausalShift()(L.Embedding(LEVELS, 4)(x)))
    return keras.Model(x, L.Dense(LEVELS)(h))


def open_attention():
    return kerasar.models.Transformer(None, LEVELS, units=8, layers=1, num_heads=2).network


def open_ahead():
    x = keras.Input((None,), dtype="int32", name="x")
    h = CausalShift(steps=2)(L.Embedding(LEVELS, 4)(x))
    return keras.Model(x, L.Dense(LEVELS)(L.Conv1D(6, 3, padding="same", activation="tanh")(h)))


def open_series():
    """A series beside the data, as long as these."""
    x = keras.Input((None,), dtype="int32", name="x")
    series = keras.Input((None, 2), name="series")
    h = L.GRU(5, return_sequences=True)(CausalShift()(L.Embedding(LEVELS, 4)(x)))
    return keras.Model([x, series], L.Dense(LEVELS)(L.Concatenate()([h, series])))


def values_in_turn():
    """Two values a step, drawn one after the other: the second sees the first."""
    x = keras.Input((LENGTH, 2), dtype="int32", name="x")
    h = keras.ops.one_hot(x, LEVELS)
    first = keras.ops.reshape(h, (-1, LENGTH, 2 * LEVELS))
    past = L.Conv1D(8, 2, padding="causal", activation="tanh")(CausalShift()(first))
    own = L.Dense(8)(first[..., :LEVELS])
    logits = L.Concatenate()([L.Dense(LEVELS)(past), L.Dense(LEVELS)(L.Add()([past, own]))])
    return keras.Model(x, SplitChannels(2)(logits))


def vectors():
    """Two values a step, both drawn from one run of the network."""
    x = keras.Input((LENGTH, 2), dtype="int32", name="x")
    h = keras.ops.reshape(keras.ops.one_hot(x, LEVELS), (-1, LENGTH, 2 * LEVELS))
    h = L.GRU(6, return_sequences=True)(CausalShift()(h))
    return keras.Model(x, SplitChannels(2)(L.Dense(2 * LEVELS)(h)))


def real_vectors():
    x = keras.Input((LENGTH, 2), name="x")
    h = L.Conv1D(6, 3, padding="causal", activation="tanh")(CausalShift()(x))
    return keras.Model(x, L.Dense(GaussianMixture(2, 2).num_parameters())(h))


LIKELIHOODS = {real_vectors: GaussianMixture(2, 2)}
KINDS = [
    dilated,
    looks_back_then_ahead,
    recurrent,
    transformer,
    conditional,
    open_text,
    values_in_turn,
    vectors,
    real_vectors,
]
by_name = pytest.mark.parametrize(
    "build", some(KINDS, set(KINDS) - {dilated, vectors}), ids=lambda build: build.__name__
)


@functools.cache
def model_of(build):
    """Shared by the tests, for the steps of a model are traced once."""
    network = build()
    randomize(network)
    return kerasar.AutoregressiveModel(network, LIKELIHOODS.get(build, Categorical()))


def data_of(model, batch=BATCH):
    shape = (batch, LENGTH, *model.data_shape[1:])
    generator = np.random.default_rng(0)
    if model.data_levels is None:
        return generator.normal(size=shape).astype("float32")
    return generator.integers(model.data_levels, size=shape)


def condition_of(model, batch=BATCH):
    return model.conditions.random(np.random.default_rng(1), batch, (LENGTH,))


def sizes_of(model):
    return {"length": LENGTH} if model.data_shape[0] is None else {}


def scored(stream, x):
    return np.stack([stream.score(x[:, t]) for t in range(x.shape[1])], axis=1)


def assert_close(one, other):
    np.testing.assert_allclose(one, other, atol=1e-4)


@by_name
def test_it_scores_as_one_pass_does(build):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    offline = model.log_prob_map(x, condition)
    assert_close(
        scored(model.stream(BATCH, condition), x), offline.reshape(*offline.shape[:2], -1).sum(-1)
    )


@by_name
def test_it_draws_the_sample_of_a_seed(build):
    model = model_of(build)
    condition = condition_of(model)
    options = dict(seed=5, temperature=0.8)
    if model.data_levels is not None:
        options.update(top_k=3, top_p=0.9)
    expected = model.sample(BATCH, condition=condition, **sizes_of(model), **options)
    stream = model.stream(BATCH, condition)
    drawn = np.stack([stream.draw(**options) for _ in range(LENGTH)], axis=1)
    assert drawn.dtype == expected.dtype
    assert_close(drawn, expected)


@by_name
def test_it_goes_on_from_what_was_scored(build):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    prompt = x[:, :5]
    expected = model.sample(BATCH, seed=2, condition=condition, prompt=prompt, **sizes_of(model))
    stream = model.stream(BATCH, condition)
    scored(stream, prompt)
    drawn = np.stack([stream.draw(seed=2) for _ in range(LENGTH - 5)], axis=1)
    assert_close(drawn, expected[:, 5:])


@by_name
def test_parameters_are_what_the_network_puts_out_and_change_nothing(build):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    whole = np.asarray(model.compute_parameters(x, condition))
    stream = model.stream(BATCH, condition)
    for t in range(3):
        given = {"x_t": x[:, t]} if build is values_in_turn else {}
        assert_close(stream.parameters(**given), whole[:, t])
        assert stream.step == t
        stream.score(x[:, t])


@by_name
def test_a_saved_state_goes_on_in_another_stream(build, tmp_path):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    stream = model.stream(BATCH, condition)
    scored(stream, x[:, :4])
    stream.save(tmp_path / "state.npz")
    rest = scored(stream, x[:, 4:])
    other = model.stream(BATCH, condition)
    other.load(tmp_path / "state.npz")
    assert other.step == 4
    np.testing.assert_array_equal(scored(other, x[:, 4:]), rest)


def test_a_copy_goes_on_by_itself_and_a_state_can_be_gone_back_to():
    model = model_of(recurrent)
    x = data_of(model)
    stream = model.stream(BATCH)
    first = stream.score(x[:, 0])
    start, other = stream.state, stream.copy()
    once = scored(stream, x[:, 1:4])
    assert other.step == start.step == 1
    np.testing.assert_array_equal(scored(other, x[:, 1:4]), once)
    stream.state = start
    np.testing.assert_array_equal(scored(stream, x[:, 1:4]), once)
    assert np.abs(first - once[:, 0]).max() > 0


def test_a_state_of_a_reloaded_model_is_the_same(tmp_path):
    model = model_of(open_text)
    x = data_of(model)
    stream = model.stream(BATCH)
    scored(stream, x[:, :4])
    stream.save(tmp_path / "state.npz")
    model.save(tmp_path / "model.keras")
    again = kerasar.load(tmp_path / "model.keras").stream(BATCH)
    again.load(tmp_path / "state.npz")
    assert_close(scored(again, x[:, 4:]), scored(stream, x[:, 4:]))


@pytest.mark.parametrize("build", [open_text, open_length], ids=lambda build: build.__name__)
def test_the_memory_of_an_open_length_does_not_grow(build):
    model = model_of(build)
    x = np.random.default_rng(0).integers(LEVELS, size=(BATCH, 150))
    stream = model.stream(BATCH)
    memory = stream.state.memory
    shapes = [tensor.shape for tensor in keras.tree.flatten(memory)]
    assert_close(scored(stream, x), model.log_prob_map(x))
    assert [tensor.shape for tensor in keras.tree.flatten(stream.state.memory)] == shapes


def test_batches_of_any_size_share_their_graphs():
    model = model_of(open_length)
    x = data_of(model, 7)
    streams = [model.stream(batch) for batch in (1, 7)]
    assert streams[0]._steps is streams[1]._steps
    for stream in streams:
        rows = x[: stream.batch_size]
        assert_close(scored(stream, rows), model.log_prob_map(rows))
    assert streams[0]._steps.score._function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "build, why",
    [
        (open_attention, "its layers make masks of one length"),
        (open_ahead, "its layers look ahead, up to the end of the data"),
        (open_series, "it has a condition with that many steps"),
    ],
    ids=["attention", "look-ahead", "condition"],
)
def test_some_open_lengths_must_be_known(build, why):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    with pytest.raises(ValueError, match=f"{why}: pass length="):
        model.stream(BATCH, condition)
    stream = model.stream(BATCH, condition, length=LENGTH)
    assert_close(scored(stream, x), model.log_prob_map(x, condition))
    with pytest.raises(ValueError, match="over: its length is 12 steps.*length="):
        stream.draw()


def test_attention_with_its_heads_in_the_batch():
    x, h = attention.start()
    network = attention.network(x, attention.folded_heads(h, attention.CAUSAL))
    randomize(network)
    model = kerasar.AutoregressiveModel(network)
    data = np.random.default_rng(0).integers(attention.K, size=(BATCH, attention.T))
    assert_close(scored(model.stream(BATCH), data), model.log_prob_map(data))


def test_a_stream_of_known_length_ends():
    model = model_of(dilated)
    stream = model.stream(BATCH)
    x = data_of(model)
    scored(stream, x)
    for call in (stream.draw, stream.parameters, lambda: stream.score(x[:, 0])):
        with pytest.raises(ValueError, match="The stream is over"):
            call()


def test_trained_weights_are_used_at_once():
    model = kerasar.AutoregressiveModel(dilated())
    randomize(model.network)
    x = data_of(model)
    before = scored(model.stream(BATCH), x)
    randomize(model.network, seed=1)
    after = scored(model.stream(BATCH), x)
    assert np.abs(before - after).max() > 1e-3
    assert_close(after, model.log_prob_map(x))


# Bad input.


def test_a_state_of_another_stream_is_refused(tmp_path):
    model, other = model_of(dilated), model_of(recurrent)
    stream = model.stream(BATCH)
    stream.save(tmp_path / "state.npz")
    twin = kerasar.AutoregressiveModel(dilated())
    for stranger, words in [
        (other.stream(BATCH), "another model than"),
        (twin.stream(BATCH), "another model than"),
        (model.stream(4), "batch_size=3, but this one has batch_size=4"),
    ]:
        with pytest.raises(ValueError, match=words):
            stranger.state = stream.state
        with pytest.raises(ValueError, match=words):
            stranger.load(tmp_path / "state.npz")
    with pytest.raises(TypeError, match="state must be the state of a stream, but got dict"):
        stream.state = {}


def test_a_state_of_another_condition_is_refused(tmp_path):
    model = model_of(conditional)
    condition = condition_of(model)
    stream = model.stream(BATCH, condition)
    stream.save(tmp_path / "state.npz")
    other = model.stream(BATCH, {**condition, "label": (condition["label"] + 1) % 3})
    with pytest.raises(ValueError, match="with another condition"):
        other.load(tmp_path / "state.npz")
    with pytest.raises(ValueError, match="with another condition"):
        other.state = stream.state


def test_files_that_hold_no_state_are_refused(tmp_path):
    stream = model_of(dilated).stream(BATCH)
    path = tmp_path / "state.npz"
    stream.save(path)
    arrays = dict(np.load(path))
    name = next(name for name in arrays if name.startswith("rings"))
    for broken in (
        {key: arrays[key] for key in arrays if key != name},
        {**arrays, name: arrays[name][:1]},
        {**arrays, name: np.zeros((1000, 1000))},
        {**arrays, name: arrays[name].astype("float64")},
        {**arrays, "step": np.array(-1)},
        {**arrays, "step": np.array(0.5)},
        {**arrays, "model": np.array([{}], dtype=object)},
        {"x": np.zeros(3)},
    ):
        np.savez(path, **broken)
        with pytest.raises(ValueError, match="does not hold the state of a stream"):
            stream.load(path)
    path.write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match="does not hold the state of a stream"):
        stream.load(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        stream.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="must be the name of an .npz file"):
        stream.save(tmp_path / "state.txt")
    assert stream.step == 0


@pytest.mark.parametrize(
    "x_t, error, words",
    [
        ([0, 1, 4], ValueError, r"x_t must lie in \[0, 4\), but holds 4"),
        ([0, 1, -1], ValueError, r"x_t must lie in \[0, 4\), but holds -1"),
        ([0, 1, 0.5], ValueError, "x_t must"),
        ([0, 1, np.nan], ValueError, "x_t must be finite"),
        ([0, 1], ValueError, r"one step of 3 sequences \(batch_size\), shape \(3,\).* \(2,\)"),
        ([[0], [1], [2]], ValueError, r"its shape is \(3, 1\)"),
        (1, ValueError, r"its shape is \(\)"),
        ("abc", TypeError, "x_t must hold numbers"),
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_refused(x_t, error, words):
    stream = model_of(dilated).stream(BATCH)
    with pytest.raises(error, match=words):
        stream.score(x_t)
    assert stream.step == 0


def test_real_values_that_are_not_finite_are_refused():
    stream = model_of(real_vectors).stream(1)
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="x_t must be finite"):
            stream.score([[0.0, bad]])


@pytest.mark.parametrize(
    "options, words",
    [
        ({"seed": -1}, "seed must be"),
        ({"temperature": 0.0}, "temperature must be"),
        ({"top_k": 9}, "top_k must be at most"),
        ({"top_p": 2.0}, "top_p must lie in"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, words):
    stream = model_of(dilated).stream(BATCH)
    with pytest.raises(ValueError, match=words):
        stream.draw(**options)
    assert stream.step == 0


def test_values_in_turn_need_those_before_them():
    with pytest.raises(ValueError, match=r"parameters\(\) needs x_t"):
        model_of(values_in_turn).stream(BATCH).parameters()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"batch_size": 10**9}, "batch_size"),
        ({"length": 5}, "built for sequences of 12 steps, but got length=5"),
        ({"condition": np.zeros((1, 2))}, "has no condition"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        model_of(dilated).stream(**arguments)


def test_a_condition_has_a_row_for_each_sequence():
    model = model_of(conditional)
    with pytest.raises(ValueError, match="condition"):
        model.stream(BATCH)
    with pytest.raises(ValueError, match="one row for each of the 4"):
        model.stream(4, condition_of(model))


def test_models_without_steps_say_so():
    with pytest.raises(ValueError, match=r"draws images.*Use sample\(\)"):
        model_of(masked_grey).stream()
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = Undeclared()(CausalShift()(L.Embedding(LEVELS, 4)(x)))
    network = keras.Model(x, L.Dense(LEVELS)(h))
    with pytest.warns(UserWarning, match="does not declare what it sees"):
        model = kerasar.AutoregressiveModel(network)
    with pytest.raises(ValueError, match=r"cannot be run step by step: layer 'undeclared.*sample"):
        model.stream()
    with pytest.raises(ValueError, match="order of its own, so it has no stream"):
        OrderedModel(dilated(), order=range(LENGTH)).stream()


def test_a_model_that_has_changed_is_noticed():
    model = kerasar.AutoregressiveModel(dilated())
    stream = model.stream(BATCH)
    layer = next(layer for layer in model.network.layers if isinstance(layer, L.Conv1D))
    layer.activation = keras.activations.tanh
    with pytest.raises(ValueError, match="has changed since this stream began"):
        stream.draw()
