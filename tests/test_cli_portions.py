"""Large samples are drawn a few at a time: all of them, none twice."""

import numpy as np
import pytest

from kerasar.cli.support import quick
from kerasar.cli.support.quick import portions, quick_samples


class Drawing:
    """A model that draws its seed and its condition."""

    data_shape, data_levels = (64, 64, 3), 256

    def __init__(self):
        self.asked = []

    def sample(self, num, seed=0, condition=None, **options):
        self.asked.append((num, seed))
        return np.full((num, 1), seed) if condition is None else condition[:, None]


@pytest.mark.parametrize("num, each", [(40, 1), (6, 3), (1, 1), (7, 1)])
def test_portions_hold_each_example_once_and_fit(num, each):
    found = portions(Drawing(), num, each)
    assert [i for rows in found for i in range(num)[rows]] == list(range(num))
    values = 64 * 64 * 3 * 256
    for rows in found:
        assert (rows.stop - rows.start) * each * values <= 2**24 or rows.stop - rows.start == 1


def test_what_fits_is_drawn_at_once(monkeypatch):
    monkeypatch.setattr(Drawing, "data_shape", (8, 8, 1))
    assert portions(Drawing(), 40) == [slice(0, 40)]


def test_each_portion_has_its_own_samples_and_classes(monkeypatch):
    model = Drawing()
    monkeypatch.setattr(quick, "fast_start_options", lambda model: {})
    monkeypatch.setattr(quick, "is_conditional", lambda model: False)
    samples = quick_samples(None, model, 12)
    assert model.asked == [(4, 0), (4, 1), (4, 2)] and len(samples) == 12
    monkeypatch.setattr(quick, "is_conditional", lambda model: True)

    class Run:
        config = {"classes": ["a", "b", "c"]}

    assert quick_samples(Run(), model, 12).ravel().tolist() == [0, 1, 2] * 4
