"""Figures of flows show the model's own numbers."""

import numpy as np
import pytest
from flows import IMAGES, POINTS, pictures, plane

import kerasar
from kerasar.data import mixture_log_prob
from kerasar.layers import PiecewiseLinear
from kerasar.pictures import density_figure, manifold_figure, map_figure, save
from kerasar.testing import randomize


def line():
    model = kerasar.FlowModel([PiecewiseLinear(6, -2, 2)], (1,))
    randomize(model.bijection)
    return model


def test_the_plane_shows_density_samples_and_data(tmp_path):
    model = plane()
    figure = density_figure(model, POINTS, num_samples=50, seed=2, resolution=20, heading="moons")
    density, samples, data = figure.axes[:3]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["density", "samples", "data"]
    image = density.images[0]
    left, right, low, high = image.get_extent()
    x, y = np.linspace(left, right, 20)[3], np.linspace(low, high, 20)[7]
    expected = np.exp(model.log_prob([[x, y]]))[0]
    np.testing.assert_allclose(image.get_array()[7, 3], expected, rtol=1e-4)  # a row for each y
    np.testing.assert_allclose(samples.lines[0].get_xydata(), model.sample(50, seed=2), atol=1e-5)
    np.testing.assert_array_equal(data.lines[0].get_xydata(), POINTS)
    save(figure, tmp_path / "plane.png")


def test_a_condition_is_repeated():
    model = plane(condition_shape=(3,))
    label = np.array([[1.0, -2.0, 0.5]])
    figure = density_figure(model, num_samples=4, resolution=5, condition=label)
    expected = model.sample(4, condition=np.repeat(label, 4, axis=0))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xydata(), expected, atol=1e-5)


def test_the_map_shows_latents_over_data(tmp_path):
    model = line()
    figure = map_figure(model, -1.5, 1.5, target=mixture_log_prob)
    _, main, _, below = figure.axes
    x, z = main.lines[0].get_xydata().T
    assert (x[0], x[-1]) == (-1.5, 1.5)
    np.testing.assert_allclose(model.latent(x[:, None])[:, 0], z, atol=1e-5)
    true = below.lines[0].get_xydata().T[1]
    np.testing.assert_allclose(true, np.exp(mixture_log_prob(x[:, None])), rtol=1e-5)
    save(figure, tmp_path / "map.png")


def test_samples_that_were_drawn_are_shown_as_they_are():
    points = np.linspace(-1, 2, 12).reshape(6, 2)
    samples = density_figure(plane(), samples=points, resolution=5).axes[1]
    np.testing.assert_array_equal(samples.lines[0].get_xydata(), points)
    below = map_figure(line(), -1.5, 1.5, samples=np.full((7, 1), 1.4)).axes[3]
    heights = below.patches[0].get_xy()  # the outline of the histogram
    assert heights[heights[:, 1] > 0, 0].min() > 1.3


def test_the_manifold_has_the_given_images_in_its_corners():
    model = pictures()
    figure = manifold_figure(model, IMAGES[:4], steps=3)
    rows = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert len(rows) == 3
    factor = (rows[0].shape[0]) // 4
    for row, column, image in ((0, 0, 0), (0, 2, 1), (2, 0, 2), (2, 2, 3)):
        start = column * (4 * factor + 2)
        cell = rows[row][::factor, start : start + 4 * factor : factor, 0]
        np.testing.assert_array_equal(cell, IMAGES[image, ..., 0] * 85)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: density_figure(line()), r"event_shape=\(2,\), but model .*\(1,\)"),
        (lambda: map_figure(plane()), r"event_shape=\(1,\), but model .*\(2,\)"),
        (lambda: map_figure(line(), 2.0, 2.0), "low must be below high"),
        (lambda: manifold_figure(plane(), POINTS[:4]), "images of integers"),
        (lambda: manifold_figure(pictures(), IMAGES[:3]), "four images.*got 3"),
    ],
)
def test_other_data_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
