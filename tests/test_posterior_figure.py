"""The posterior figure shows what is known, and probabilities that are right."""

import numpy as np
import pytest

from kerasar.pictures import posterior_figure, save

X = np.array([[3, 4, 5, 0], [1, 1, 2, 2]])
KNOWN = np.array([[True, True, False, False], [True, False, False, True]])
LOGITS = np.log([[0.1, 0.2, 0.3, 0.2, 0.1, 0.1], [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]]) + 700


def points(line):
    return set(zip(*line.get_data(), strict=True))


def test_it_shows_known_and_hidden_values_and_the_one_asked_for():
    figure = posterior_figure(X, KNOWN, [2, 1], LOGITS, heading="four steps")
    left, _, second, _ = figure.axes
    hidden, known, asked, _ = left.lines
    assert points(known) == {(0, 3), (1, 4)} and points(hidden) == {(2, 5), (3, 0)}
    assert points(asked) == {(2, 5)}
    assert points(second.lines[1]) == {(0, 1), (3, 2)}
    assert figure.get_suptitle() == "four steps"


def test_bars_are_the_probabilities():
    figure = posterior_figure(X, KNOWN, 2, LOGITS)
    for axes, logits in zip(figure.axes[1::2], LOGITS, strict=True):
        shares = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(shares, np.exp(logits - 700), rtol=1e-9)


def test_it_can_be_written(tmp_path):
    save(posterior_figure(X[:1], KNOWN[:1], 0, LOGITS[:1]), tmp_path / "posterior.png")
    assert (tmp_path / "posterior.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, KNOWN[:1], 2, LOGITS), r"\(2, 4\), \(1, 4\) and \(2, 6\)"),
        ((X, KNOWN, 2, LOGITS[0]), r"logits \(n, levels\).*\(6,\)"),
        ((X, KNOWN, [2, 4], LOGITS), r"be in \[0, 4\), but they are \[2, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        posterior_figure(*arguments)
