"""All samplers draw the same samples, on networks of every kind."""

import functools

import keras
import numpy as np
import pytest
from drawing import check_cached, some
from keras import layers as L
from networks import (
    IMAGES,
    LENGTH,
    LEVELS,
    SEQUENCES,
    arithmetic,
    batch_normalised,
    conditional,
    densely_connected,
    diagonal_recurrent,
    gated_with_skips,
    layer_normalised,
    masked_colour,
    masked_grey,
    open_length,
    padded_image,
    padded_once_in_front,
    plain,
    pooled_with_gaps,
    recurrent,
    rows_above_only,
    strict_recurrence,
    transformer,
    two_stacks,
)
from small_layers import Misdeclared, Undeclared, WrongStep

import kerasar
from kerasar.causality.randomize import randomize
from kerasar.layers import CausalShift
from kerasar.testing import check_samples, check_the_sample


def fresh(build):
    network = build()
    randomize(network)
    return kerasar.AutoregressiveModel(network, allow_training_leak=True)


@functools.cache
def model_of(build):
    """Shared by the tests, for the loops of a model are traced once."""
    return fresh(build)


def same(a, b):
    """Equal, but for a near-tie in at most one example of a hundred (DESIGN.md section 2)."""
    return np.array_equal(a, b)


KINDS = [*SEQUENCES, *IMAGES]
#: For all samplers: those that run networks whole do not know one kind from another.
EVERY = [plain, arithmetic, recurrent, transformer, open_length]
EVERY += [two_stacks, masked_colour, diagonal_recurrent]


def methods(build):
    return kerasar.sampling.METHODS if build in EVERY else ["cached"]


#: Of layers that are drawn from in other networks.
LONG = {pooled_with_gaps, gated_with_skips, padded_once_in_front, padded_image, masked_grey}
LONG |= {strict_recurrence, densely_connected, rows_above_only, batch_normalised, layer_normalised}


@pytest.mark.parametrize("build", some(KINDS, set(KINDS) - LONG), ids=lambda b: b.__name__)
def test_caches_draw_the_sample_of_their_noise(build):
    sizes = {"length": LENGTH} if build is open_length else {}
    check_cached(model_of(build), num_samples=16, seed=3, **sizes)


@pytest.mark.parametrize("build", some(KINDS, EVERY), ids=lambda b: b.__name__)
def test_every_sampler_draws_the_sample_of_its_noise(build):
    if build is open_length:
        pytest.skip("check_samples draws at the model's own length; see the test below")
    check_samples(model_of(build), num_samples=16, seed=3)


@pytest.mark.parametrize("build", some(KINDS, EVERY), ids=lambda b: b.__name__)
def test_with_values_given(build):
    model = model_of(build)
    rng = np.random.default_rng(0)
    shape = tuple(size or LENGTH for size in model.data_shape)
    x = rng.integers(model.data_levels, size=(3, *shape))
    known = rng.random(x.shape) < 0.5
    drawn = [model.inpaint(x, known, seed=1, method=method) for method in methods(build)]
    assert all(same(part, drawn[-1]) for part in drawn)
    check_the_sample(model, drawn[-1], seed=1, known=known)
    assert (drawn[-1][known] == x[known]).all()
    assert same(drawn[-1][:1], model.inpaint(x[:1], known[:1], seed=1)), "it depends on the batch"


@pytest.mark.parametrize("build", SEQUENCES, ids=lambda b: b.__name__)
def test_with_a_prompt(build):
    model = model_of(build)
    sizes = {"length": LENGTH} if build is open_length else {}
    prompt = np.random.default_rng(0).integers(model.data_levels, size=(3, 5))
    drawn = [model.sample(3, prompt=prompt, method=way, **sizes) for way in methods(build)]
    assert all(same(part, drawn[-1]) for part in drawn)
    check_the_sample(model, drawn[-1], known=np.tile(np.arange(LENGTH) < 5, (3, 1)))
    assert (drawn[-1][:, :5] == prompt).all()


def test_a_conditional_network_follows_its_condition():
    model = model_of(conditional)
    series = np.random.default_rng(0).normal(size=(3, LENGTH, 2))
    condition = {"label": np.array([[0], [1], [2]]), "series": series}
    drawn = [model.sample(3, condition=condition, method=m) for m in kerasar.sampling.METHODS]
    assert same(drawn[0], drawn[1]) and same(drawn[0], drawn[2])
    other = {**condition, "label": np.array([[2], [1], [2]])}
    pairs = [[model.sample(3, seed=s, condition=c) for c in (condition, other)] for s in range(5)]
    assert any((before[0] != after[0]).any() for before, after in pairs)
    assert all((before[1:] == after[1:]).all() for before, after in pairs)


@pytest.mark.parametrize("build", [plain, two_stacks], ids=lambda b: b.__name__)
def test_options_bend_all_samplers_alike(build):
    options = dict(temperature=0.7, top_k=3, top_p=0.9)
    check_samples(model_of(build), num_samples=8, **options)


@pytest.mark.parametrize("build", [plain], ids=lambda b: b.__name__)
def test_compiled_is_the_same(build):
    model = model_of(build)
    drawn = model.sample(64, seed=5, jit_compile=True)
    assert same(drawn, model.sample(64, seed=5, jit_compile=False))
    # A compiled size serves smaller requests, and chunks, too.
    assert same(drawn[:37], model.sample(37, seed=5, jit_compile=True, chunk_size=20))


@pytest.mark.long
@pytest.mark.parametrize("build", KINDS, ids=lambda b: b.__name__)
def test_compiled_is_the_same_for_every_kind(build):
    model = model_of(build)
    sizes = {"length": LENGTH} if build is open_length else {}
    for count in (1, 3, 64):
        compiled = model.sample(count, seed=5, jit_compile=True, **sizes)
        assert same(compiled, model.sample(count, seed=5, method="parallel", **sizes))


def test_an_open_network_runs_past_any_length():
    model = model_of(open_length)
    short, far = model.sample(2, length=10), model.sample(2, length=300)
    assert same(short, far[:, :10])
    assert same(far, model.sample(2, length=300, method="parallel"))


def test_later_training_is_seen():
    model = fresh(plain)
    before = model.sample(8)
    randomize(model.network, seed=1)
    after = model.sample(8)
    assert (before != after).any()
    assert same(after, model.sample(8, method="sequential"))


def network_with(layer):
    x = keras.Input((LENGTH,), dtype="int32", name="x")
    h = layer(CausalShift()(L.Embedding(LEVELS, 6)(x)))
    return keras.Model(x, L.Dense(LEVELS)(h))


def test_an_unknown_layer_is_refused_by_name_and_sampled_in_parallel():
    network = network_with(Undeclared(name="mean_so_far"))
    randomize(network)
    with pytest.warns(UserWarning, match="probed"):
        model = kerasar.AutoregressiveModel(network)
    with pytest.raises(ValueError, match="'mean_so_far' .*method=\"parallel\""):
        model.sample(2, method="cached")
    check_samples(model, num_samples=16, methods=("sequential", "parallel"))
    assert same(model.sample(4), model.sample(4, method="parallel"))


def test_a_wrong_declaration_is_noticed_before_it_samples():
    network = network_with(Misdeclared(name="liar"))
    with pytest.raises(ValueError, match="'liar' .Misdeclared. .* respond to the offset.s. -2"):
        kerasar.AutoregressiveModel(network)


def test_a_wrong_step_is_noticed_and_another_sampler_taken():
    network = network_with(WrongStep(name="liar"))
    randomize(network)
    model = kerasar.AutoregressiveModel(network)
    with pytest.warns(UserWarning, match="parallel.*differs from the network itself.*'liar'"):
        drawn = model.sample(2)
    np.testing.assert_array_equal(drawn, model.sample(2, method="sequential"))
    with pytest.raises(ValueError, match="no cached sampler.*differs"):
        model.sample(2, method="cached")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(method="cache"), "Did you mean 'cached'"),
        (dict(top_k=LEVELS + 1), "at most the number of levels, 4, but got 5"),
        (dict(top_p=0.0), r"top_p must lie in \(0, 1\]"),
        (dict(top_p=1.5), r"top_p must lie in \(0, 1\]"),
        (dict(length=LENGTH + 1), "built for the size"),
        (dict(prompt=np.zeros((1, LENGTH + 1), int)), "at most 12 steps"),
        (dict(prompt=np.full((1, 3), LEVELS)), r"prompt must lie in \[0, 4\)"),
        (dict(prompt=np.zeros((2, 3), int)), r"1 sequences \(num_samples\)"),
        (dict(image_shape=(3, 4)), "draws sequences"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(plain).sample(1, **arguments)


def test_an_open_length_must_be_said():
    with pytest.raises(ValueError, match="leaves its size open.*length="):
        model_of(open_length).sample(1)
