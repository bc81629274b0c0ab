"""Toy densities: shapes, seeds, and the mixture's known density."""

import numpy as np
import pytest

from kerasar.data import TOY_DENSITIES, mixture_entropy, mixture_log_prob, toy_density


@pytest.mark.parametrize("name", TOY_DENSITIES)
def test_points_have_their_dimension_and_belong_to_the_seed(name):
    points = toy_density(name, 500, seed=3)
    assert points.shape == (500, TOY_DENSITIES[name]) and points.dtype == np.float32
    np.testing.assert_array_equal(toy_density(name, 500, seed=3), points)
    assert np.abs(toy_density(name, 500, seed=4) - points).max() > 0.1


def test_moons_lie_on_two_half_circles():
    x, y = toy_density("moons", 2000, noise=0.0).T
    upper = np.abs(np.hypot(x, y) - 1) < 1e-5
    lower = np.abs(np.hypot(x - 1, y - 0.5) - 1) < 1e-5
    assert (upper | lower).all() and upper.mean() == pytest.approx(0.5, abs=0.05)
    assert (y[upper & ~lower] >= 0).all() and (y[lower & ~upper] <= 0.5).all()


def test_circles_have_two_radii():
    radius = np.hypot(*toy_density("circles", 500, noise=0.0).T)
    assert (np.minimum(np.abs(radius - 1), np.abs(radius - 0.5)) < 1e-5).all()


def test_the_checkerboard_has_eight_dark_fields_of_equal_share():
    column, row = np.floor(toy_density("checkerboard", 8000) / 2).astype(int).T + 2
    assert ((column + row) % 2 == 0).all()
    counts = np.unique(4 * column + row, return_counts=True)[1]
    assert len(counts) == 8 and counts.min() > 850


def test_a_pinwheel_has_five_blades_and_spirals_two_arms():
    for name, symmetry in (("pinwheel", 5), ("spirals", 2)):
        x, y = toy_density(name, 20_000).T
        turned = np.exp(2j * np.pi / symmetry) * (x + 1j * y)
        bins = np.linspace(-4, 4, 17)
        first, second = (
            np.histogram2d(p.real, p.imag, bins, density=True)[0] for p in (x + 1j * y, turned)
        )
        assert np.abs(first - second).sum() < 0.15 * first.sum()


def test_the_mixtures_density_is_a_density_and_that_of_its_points():
    x = np.linspace(-3, 3, 6001)[:, None]
    density = np.exp(mixture_log_prob(x))
    assert density.sum() * 1e-3 == pytest.approx(1, abs=1e-6)
    points = toy_density("mixture", 100_000)[:, 0]
    for low, high in ((-1, -0.4), (-0.4, 0.2), (0.5, 0.8)):
        inside = (x[:, 0] >= low) & (x[:, 0] < high)
        share = np.mean((points >= low) & (points < high))
        assert share == pytest.approx(density[inside].sum() * 1e-3, abs=0.006)


def test_the_mixtures_entropy_is_the_mean_of_minus_its_log_density():
    found = -mixture_log_prob(toy_density("mixture", 200_000)).mean()
    assert mixture_entropy() == pytest.approx(found, abs=0.006)  # 3 deviations of the mean


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="moon", n=5), "Did you mean 'moons'"),
        (dict(name="moons", n=0), "at least 1, but got 0"),
        (dict(name="moons", n=5, seed=-1), "seed must be at least 0, but got -1"),
        (dict(name="moons", n=5, noise=-0.1), "at least 0, but got -0.1"),
        (
            dict(name="moons", n=5, noise=float("nan")),
            "noise must be a finite number .* got nan",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        toy_density(**arguments)


def test_the_mixture_is_on_the_line():
    with pytest.raises(ValueError, match=r"shape \(n, 1\), but its shape is \(3, 2\)"):
        mixture_log_prob(np.zeros((3, 2)))
