"""Exported streams: the state goes in and out of requests, and what does not fit is refused."""

import functools
import json
import runpy

import numpy as np
import pytest
import tensorflow as tf
from drawing import some
from networks import (
    LENGTH,
    LEVELS,
    conditional,
    dilated,
    looks_back_then_ahead,
    masked_grey,
    transformer,
)
from serving import serve
from test_examples import CLIENT
from test_streams import (
    assert_close,
    condition_of,
    data_of,
    model_of,
    open_attention,
    open_text,
    real_vectors,
    sizes_of,
    values_in_turn,
)

from kerasar.density_models.ordered import OrderedModel
from kerasar.serving.bounds import Bounds, checking_inputs

OPTIONS = dict(seed=7, temperature=0.9, top_k=3, top_p=1.0)


@functools.cache
def signatures_of(build):
    """The functions behind the signatures, checks included."""
    endpoints = model_of(build).endpoints(Bounds(max_samples=5), streaming=True)
    return {
        name: tf.function(
            checking_inputs(function, specs, Bounds()), input_signature=specs, autograph=False
        )
        for name, (function, specs) in endpoints.items()
    }


class Client:
    """Hands the state of each answer to the next request."""

    def __init__(self, build, batch=3):
        self.functions, self.model = signatures_of(build), model_of(build)
        self.conditions = list((condition_of(self.model, batch) or {}).values())
        self.state = self.functions["begin"](tf.constant(batch), *self.conditions)

    def request(self, name, *given):
        answer = self.functions[name](*given, *self.state.values(), *self.conditions)
        found, *state = answer.items()
        self.state = dict(state)
        return found[1].numpy()

    def score(self, x):
        dtype = tf.int32 if self.model.discrete else tf.float32
        return self.request("score_step", tf.constant(x, dtype))

    def draw(self, seed=7, temperature=0.9, top_k=0, top_p=1.0):
        return self.request(
            "draw_step",
            tf.constant(seed),
            tf.constant(temperature),
            tf.constant(top_k),
            tf.constant(top_p),
        )


@pytest.mark.parametrize(
    "build",
    some([conditional, values_in_turn, open_text, real_vectors], [values_in_turn, real_vectors]),
    ids=lambda b: b.__name__,
)
def test_steps_are_those_of_the_model(build):
    model = model_of(build)
    x, condition = data_of(model), condition_of(model)
    client = Client(build)
    terms = np.stack([client.score(x[:, t]) for t in range(LENGTH)], axis=1)
    offline = model.log_prob_map(x, condition)
    assert_close(terms, offline.reshape(*offline.shape[:2], -1).sum(-1))
    client = Client(build)
    drawn = np.stack([client.draw() for _ in range(LENGTH)], axis=1)
    expected = model.sample(3, 7, 0.9, condition=condition, **sizes_of(model))
    assert_close(drawn, expected)


@pytest.mark.parametrize(
    "build",
    some([conditional, looks_back_then_ahead, transformer], [conditional]),
    ids=lambda b: b.__name__,
)
def test_rows_of_a_request_are_at_steps_of_their_own(build):
    model = model_of(build)
    x, rows = data_of(model), np.random.default_rng(0)
    streams = Streams(build, 3)
    terms = np.zeros((3, LENGTH), "float32")
    while (alive := np.flatnonzero(streams.step < LENGTH)).size:
        some = rows.permutation(alive)[: rows.integers(1, 4)]
        steps = streams.step[some]
        terms[some, steps] = streams.request(
            "score_step", some, tf.constant(x[some, steps], tf.int32)
        )
    assert_close(terms, model.log_prob_map(x, condition_of(model)))

    streams = Streams(build, 3)
    expected = model.sample(3, 7, 0.9, condition=condition_of(model))
    for some in [[2], [2, 0], [2, 0, 1], [1]]:
        steps = streams.step[some]
        np.testing.assert_array_equal(streams.draw(some), expected[some, steps])


class Streams:
    """Streams of which any may go on in a request, whatever the steps of the others."""

    def __init__(self, build, batch):
        client = Client(build, batch)
        self.functions, self.conditions, self.batch = client.functions, client.conditions, batch
        self.state = {name: tensor.numpy() for name, tensor in client.state.items()}

    @property
    def step(self):
        return self.state["state_step"]

    def draw(self, rows):
        options = map(tf.constant, (7, 0.9, 0, 1.0))
        return self.request("draw_step", rows, *options)

    def request(self, name, rows, *given):
        def by_stream(tensor):  # of some tensors several rows belong to one stream
            return np.reshape(tensor, (self.batch, -1, *tensor.shape[1:]))

        def of_rows(tensor):
            return np.reshape(by_stream(tensor)[rows], (-1, *tensor.shape[1:]))

        state = [tf.constant(of_rows(tensor)) for tensor in self.state.values()]
        conditions = [tf.gather(tensor, rows) for tensor in self.conditions]
        answer = dict(self.functions[name](*given, *state, *conditions))
        found = answer.pop("log_prob" if name == "score_step" else "samples")
        for key, tensor in answer.items():
            held = by_stream(self.state[key])
            held[rows] = np.reshape(tensor, (len(rows), *held.shape[1:]))
        return found.numpy()


def test_a_server_without_keras_runs_streams_and_refuses_what_does_not_fit(tmp_path):
    model = model_of(dilated)
    model.export(tmp_path / "1", streaming=True, max_samples=5)
    x = data_of(model, 2).tolist()
    first, second = [row[0] for row in x], [row[1] for row in x]
    (state,) = serve(tmp_path / "1", [("begin", dict(num_samples=2))])
    (scored,) = serve(tmp_path / "1", [("score_step", dict(x_t=first, **state))])
    one = scored.pop("log_prob")
    over = {**scored, "state_step": [LENGTH, LENGTH]}
    other = {**scored, "state_model": [1, 1]}
    ring = next(name for name in scored if name.startswith("state_rings"))
    narrow = {**scored, ring: np.asarray(scored[ring])[..., :1]}
    short = {**scored, ring: scored[ring][:1]}
    nan = {**scored, ring: np.full(np.shape(scored[ring]), np.nan)}
    draw = dict(OPTIONS, **scored)
    last = {**scored, "state_last_0": [[0], [LEVELS]]}
    refused = [
        ("the rows of x_t must lie in [1, 5]", "score_step", dict(x_t=[0] * 6, **scored)),
        ("state_last_0 must lie in [0, 4)", "draw_step", {**OPTIONS, **last}),
        ("state_last_0 must lie in [0, 4)", "score_step", dict(x_t=second, **last)),
        ("state_example must not be", "draw_step", {**draw, "state_example": [0, -1]}),
        (f"{ring} must be what a step has given", "score_step", dict(x_t=second, **nan)),
        ("num_samples must lie in [1, 5]", "begin", dict(num_samples=6)),
        ("num_samples must lie in [1, 5]", "begin", dict(num_samples=0)),
        ("x_t must lie in [0, 4)", "score_step", dict(x_t=[0, LEVELS], **scored)),
        ("x_t must have shape (any)", "score_step", dict(x_t=x, **scored)),
        ("must have as many rows as x_t", "score_step", dict(x_t=[0, 1, 2], **scored)),
        (f"{ring} must have shape", "score_step", dict(x_t=second, **narrow)),
        (f"{ring} must have as many rows", "score_step", dict(x_t=second, **short)),
        ("state_step must lie in [0, 12)", "score_step", dict(x_t=second, **over)),
        ("the state is of another model", "score_step", dict(x_t=second, **other)),
        ("temperature must be above 0", "draw_step", {**draw, "temperature": float("inf")}),
        ("top_k must lie in [0, 4]", "draw_step", {**draw, "top_k": 9}),
    ]
    good = ("score_step", dict(x_t=second, **scored))
    answers = serve(tmp_path / "1", [*((name, given) for _, name, given in refused), good])
    for (words, *_), answer in zip(refused, answers, strict=False):
        assert isinstance(answer, str) and words in answer, answer
    assert_close(np.stack([one, answers[-1]["log_prob"]], 1), model.log_prob_map(x)[:, :2])


def test_models_without_streams_are_not_exported_with_them(tmp_path):
    for model, words in [
        (model_of(masked_grey), "draws images"),
        (model_of(open_attention), "leaves its length open"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.export(tmp_path / "1", streaming=True)
    with pytest.raises(TypeError, match="has no option 'streaming'"):
        OrderedModel(dilated(), order=range(LENGTH)).export(tmp_path / "1", streaming=True)
    with pytest.raises(TypeError, match="streaming must be True or False"):
        model_of(dilated).export(tmp_path / "1", streaming="yes")
    assert not (tmp_path / "1").exists()


# Coders.


@pytest.mark.parametrize(
    "build",
    some([dilated, transformer, open_text, values_in_turn], [transformer, values_in_turn]),
)
def test_tables_are_the_probabilities_of_the_next_step(build):
    """Of each value of a step, given those before it; the state stays where it is."""
    client = Client(build)
    x = data_of(client.model)[:3, :3]
    offline = client.model.log_prob_map(_filled(client.model, x))
    for step in range(3):
        given = tf.constant(x[:, step], "int32")
        state = dict(client.state)
        answer = client.functions["tables"](given, *state.values(), *client.conditions)
        table = answer["tables"].numpy()
        assert table.dtype == np.int32 and (table.sum(axis=-1) == 2**24).all()
        assert table.shape == (*x[:, step].shape, client.model.data_levels)
        chosen = np.take_along_axis(table, x[:, step][..., None], axis=-1)[..., 0]
        assert_close(np.log(chosen / 2**24), offline[:, step])
        client.score(x[:, step])


def _filled(model, x):
    """The beginning of data, with zeros where the model needs more."""
    steps = model.data_shape[0] or x.shape[1]
    return np.pad(x, [(0, 0), (0, steps - x.shape[1]), *[(0, 0)] * (x.ndim - 2)])


def test_the_example_client_writes_and_reads():
    pytest.importorskip("constriction")
    client = runpy.run_path(str(CLIENT))
    functions, model = signatures_of(open_text), model_of(open_text)

    def ask(signature, inputs):
        """As a server: JSON in both directions."""
        function, given = functions[signature], json.loads(json.dumps(inputs))
        specs = function.input_signature
        tensors = [tf.constant(given[spec.name], spec.dtype) for spec in specs]
        answer = {name: part.numpy().tolist() for name, part in function(*tensors).items()}
        return json.loads(json.dumps(answer))

    x = data_of(model)[:2]
    data = client["compress"](ask, x)
    np.testing.assert_array_equal(client["decompress"](ask, data, *x.shape), x)
    bits = -model.log_prob(x).sum(dtype="float64") / np.log(2)
    assert bits / 8 - 1 < len(data) <= 1.001 * bits / 8 + 8
