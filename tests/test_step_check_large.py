"""The check of a sampler's steps on large images, of which the first rows would do."""

import numpy as np

import kerasar
from kerasar.sampling import step_check


def test_a_network_of_a_fixed_size_is_checked_as_a_whole(monkeypatch):
    monkeypatch.setattr(step_check, "_WHOLE", 16)
    monkeypatch.setattr(step_check, "_CHECKED", 8)
    model = kerasar.models.ShiftedPixelCNN((8, 4, 1), 3, filters=(4, 4), head_filters=4)
    drawn = model.sample(2, seed=1, method="cached", verbose=False)
    np.testing.assert_array_equal(drawn, model.sample(2, seed=1, method="parallel", verbose=False))
