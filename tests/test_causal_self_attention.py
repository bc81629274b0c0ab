"""Causal self-attention: its equations, positions, groups, window, and what it refuses."""

import keras
import numpy as np
import pytest

from kerasar.layers import CausalSelfAttention
from kerasar.testing import randomize

X = np.random.default_rng(0).normal(size=(2, 7, 8)).astype("float32")


def fresh(x=X, **options):
    layer = CausalSelfAttention(**{"num_heads": 4, **options})
    layer.build(x.shape)
    randomize(layer)
    return layer


def rotated(x, position):
    """Equation 34 of RoFormer, pair by pair; the pairs are features i and i + half."""
    half = len(x) // 2
    result = np.empty_like(x)
    for i in range(half):
        angle = position * 10_000 ** (-i / half)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        result[[i, i + half]] = turn @ x[[i, i + half]]
    return result


def by_hand(layer, x):
    """One example, one head and one step after the other."""
    kernel, back = (w.numpy().astype("float64") for w in (layer.weights[0], layer.weights[-1]))
    _, groups, parts, size = kernel.shape
    result = np.zeros_like(x)
    for t in range(len(x)):
        first = 0 if layer.window is None else max(0, t - layer.window + 1)
        for g in range(groups):
            for n in range(parts - 2):
                turn = rotated if layer.rotary else lambda v, _: v
                query = turn(x[t] @ kernel[:, g, n], t)
                keys = [turn(x[s] @ kernel[:, g, -2], s) for s in range(first, t + 1)]
                scores = np.exp([query @ key / np.sqrt(size) for key in keys])
                values = [x[s] @ kernel[:, g, -1] for s in range(first, t + 1)]
                head = (scores[:, None] / scores.sum() * values).sum(axis=0)
                result[t] += head @ back[g, n]
    return result


@pytest.mark.parametrize(
    "options",
    [{}, {"num_kv_heads": 2}, {"num_kv_heads": 1, "head_dim": 6}, {"window": 3}, {"rotary": False}],
    ids=str,
)
def test_it_computes_the_equations(options):
    layer = fresh(**options)
    expected = [by_hand(layer, x.astype("float64")) for x in X]
    np.testing.assert_allclose(layer(X), expected, rtol=1e-4, atol=1e-4)


def test_rotary_scores_depend_on_distances_alone():
    """The same features behind a prefix that the window hides give the same outputs."""
    layer = fresh(window=3)
    later = np.concatenate([X[:, ::-1], X], axis=1)
    np.testing.assert_allclose(layer(later)[:, 9:], layer(X)[:, 2:], atol=1e-4)
    still = fresh(window=3, rotary=False)
    np.testing.assert_allclose(still(later)[:, 9:], still(X)[:, 2:], atol=1e-4)


def test_an_open_length_changes_nothing():
    layer = fresh(num_kv_heads=2)
    x = keras.Input((None, 8))
    np.testing.assert_allclose(keras.Model(x, layer(x))(X), layer(X), atol=1e-5)
    assert layer(x).shape == (None, None, 8)


def test_scores_are_precise_under_mixed_precision():
    layer = fresh(dtype="mixed_bfloat16", num_kv_heads=2)
    precise = fresh(num_kv_heads=2)
    precise.set_weights(layer.get_weights())
    found = layer(X)
    assert found.dtype == "bfloat16"
    expected = precise(X).numpy()
    error = np.abs(np.asarray(found, "float32") - expected).max()
    assert error < 0.03 * np.abs(expected).max()


def test_dropout_acts_in_training_alone():
    layer = fresh(dropout=0.5)
    np.testing.assert_array_equal(layer(X), layer(X))
    assert np.abs(layer(X, training=True) - layer(X)).max() > 0.01
    assert not [part for part in fresh()._flatten_layers() if hasattr(part, "seed_generator")]


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        (dict(num_kv_heads=3), (2, 7, 8), "must divide num_heads, but .* num_kv_heads=3"),
        (dict(), (2, 8), r"\(batch, time, features\), .* got input shape \(2, 8\)"),
        (dict(), (2, 7, 6), "4 heads share the features evenly, .* Pass head_dim"),
        (dict(head_dim=3), (2, 7, 8), "must be even, but it is 3 .* rotary=False"),
        (dict(dropout=1.0), (2, 7, 8), r"dropout must lie in \[0, 1\), but got 1.0"),
        (dict(window=0), (2, 7, 8), "window must be at least 1, but got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, shape, message):
    with pytest.raises(ValueError, match=message):
        CausalSelfAttention(**{"num_heads": 4, **options}).build(shape)
