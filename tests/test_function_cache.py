"""What is traced is traced once, forgotten when the model changes, and bounded."""

import keras
import numpy as np
import pytest
from keras import layers as L

import kerasar
from kerasar.testing import randomize

X = np.random.default_rng(0).integers(3, size=(4, 6))


@pytest.fixture
def model():
    x = keras.Input((6,), dtype="int32", name="x")
    h = kerasar.layers.CausalShift()(L.Embedding(3, 8)(x))
    h = L.Dense(8, activation="relu", name="hidden")(h)
    built = kerasar.AutoregressiveModel(keras.Model(x, L.Dense(3)(h)))
    randomize(built.network)
    return built


def test_nothing_is_forgotten_while_the_model_is_used(model):
    made = []
    model.compile("adam")
    for _ in range(3):
        model.log_prob(X)
        model.sample(2)
        model.evaluate(X, verbose=0)
        model.fit(X, verbose=0)
        model.function_cache.get("mine", lambda: made.append(1))
        model.network.predict(X, verbose=0)
    assert len(made) == 1


def test_a_change_that_leaks_is_refused_when_it_is_noticed(model):
    model.log_prob(X)
    model.network.get_layer("hidden").activation = lambda h: keras.ops.flip(h, axis=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="not strictly causal.*'hidden'"):
            model.log_prob(X)


def test_only_the_sizes_used_last_are_kept(model):
    for size in range(40):
        model.function_cache.get(("a", size), lambda: object())
    kept = [size for size in range(40) if ("a", size) in model.function_cache]
    assert kept == list(range(24, 40))


def test_lengths_share_loops_and_draw_the_same(sequences):
    """One graph, and compiled loops for powers of two; a sample does not depend on the length."""
    model = sequences(None)
    whole = model.sample(3, length=13, seed=1)
    for jit_compile in (False, True):
        for length in (9, 12, 13, 16):
            found = model.sample(3, length=length, seed=1, jit_compile=jit_compile)
            np.testing.assert_array_equal(found[:, :13], whole[:, :length])
    graph = model.function_cache.traced("cached loop", None)
    assert graph.experimental_get_tracing_count() <= 2
    assert len(model.sampler("cached")._compiled) == 1
