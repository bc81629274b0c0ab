"""Toy sequences: drawn as defined, and scored exactly."""

import importlib
import itertools

import numpy as np
import pytest

from kerasar.data import toy_entropy, toy_log_prob, toy_sequences


def every_sequence(length):
    return np.array(list(itertools.product(range(2 * length), repeat=length)))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_probabilities_of_all_sequences_sum_to_one(length):
    assert np.exp(toy_log_prob(every_sequence(length))).sum() == pytest.approx(1, abs=1e-12)


def test_frequencies_agree_with_the_probabilities():
    drawn = toy_sequences(400_000, length=4, seed=1)
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = len(drawn) * np.exp(toy_log_prob(found))
    assert expected.sum() == pytest.approx(len(drawn))  # all that can occur did
    # Chi-square on len(found) - 1 degrees of freedom, at most 5 standard deviations off.
    freedom = len(found) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_a_probability_by_hand():
    # Three steps: 3, 3, 4. The cut lies at 1 (slope in (½, 1) after it), at 2 (impossible: the
    # new run would start at 3) or nowhere (slope in (¼, ½)).
    assert toy_log_prob([[3, 3, 4]])[0] == pytest.approx(np.log((1 / 4 + 1 / 8) / 3))


def test_a_sequence_that_cannot_occur_has_probability_zero():
    impossible = np.array(
        [
            [5, 5, 5, 5],  # does not start at 4
            [4, 6, 4, 4],  # steeper than 1
            [4, 5, 5, 5],  # faster than ½, then slower
            [4, 4, -1, 4],  # outside the values
            [4, 4, 4, 8],
        ]
    )
    assert (toy_log_prob(impossible) == -np.inf).all()


def test_intervals_that_only_touch_have_probability_zero():
    # A rise of 2 in 3 steps needs a slope below 2.5/3, one of 8 in 9 steps a slope above 7.5/9.
    steps = np.arange(10)
    risen = np.round(steps * (5 / 6 - 1e-9)).astype(int)
    assert np.isfinite(toy_log_prob([10 + risen])).all()
    risen[9] = 8
    assert toy_log_prob([10 + risen])[0] == -np.inf


def test_sequences_are_two_runs_from_the_middle():
    x = toy_sequences(2000, length=16, seed=3)
    assert x.dtype == np.int32 and x.shape == (2000, 16)
    assert x.min() >= 0 and x.max() < 32
    assert (x[:, 0] == 16).all()
    assert np.isfinite(toy_log_prob(x)).all()


def test_cuts_and_slopes_fill_their_ranges():
    x = toy_sequences(20_000, length=8, seed=0)
    assert x.min() == 1 and x.max() == 15
    falls = (x[:, 1] == 8).mean()  # a cut at 1, or the first slope within (-½, ½)
    assert falls == pytest.approx(1 / 8 + 7 / 8 / 2, abs=0.015)  # 4 standard errors


def test_a_seed_gives_the_same_sequences_and_another_one_others():
    np.testing.assert_array_equal(toy_sequences(5, seed=4), toy_sequences(5, seed=4))
    assert (toy_sequences(5, seed=4) != toy_sequences(5, seed=5)).any()


@pytest.mark.parametrize("length", [2, 4, 5])
def test_the_entropy_is_that_of_all_probabilities(length):
    log_prob = toy_log_prob(every_sequence(length))
    log_prob = log_prob[np.isfinite(log_prob)]
    assert toy_entropy(length) == pytest.approx(-(np.exp(log_prob) * log_prob).sum(), abs=1e-12)


def test_the_mean_log_probability_of_32_steps_is_the_entropy():
    log_prob = toy_log_prob(toy_sequences(40_000))
    error = log_prob.std() / np.sqrt(len(log_prob))  # 0.008 nats
    assert -log_prob.mean() == pytest.approx(12.5378, abs=4 * error)


@pytest.mark.long
def test_the_entropy_of_32_steps():
    assert toy_entropy() == pytest.approx(12.5378, abs=1e-4)


def test_many_sequences_are_scored_in_chunks(monkeypatch):
    x = toy_sequences(30, length=8)
    expected = toy_log_prob(x)
    monkeypatch.setattr(importlib.import_module("kerasar.data.toy_sequences"), "_CHUNK", 7)
    np.testing.assert_array_equal(toy_log_prob(x), expected)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (dict(n=0), ValueError, "n must be at least 1, but got 0"),
        (dict(n=2.0), TypeError, "n must be an integer, but got 2.0"),
        (dict(n=2, length=0), ValueError, "length must be at least 1"),
        (dict(n=2, seed=-1), ValueError, "seed must be at least 0"),
        (dict(n=2, length=True), TypeError, "length must be an integer"),
    ],
)
def test_bad_numbers_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        toy_sequences(**arguments)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        ([4, 4, 4], ValueError, r"\(batch, length\).*shape is \(3,\).*x\[None\]"),
        (np.zeros((0, 4)), ValueError, r"shape is \(0, 4\)"),
        ([[4, 4.5]], ValueError, "whole numbers.*holds 4.5"),
        ([[4, np.nan]], ValueError, "whole numbers.*holds nan"),
        ([["a", "b"]], TypeError, "must hold integers"),
    ],
)
def test_what_is_no_sequence_is_refused(x, kind, message):
    with pytest.raises(kind, match=message):
        toy_log_prob(x)
