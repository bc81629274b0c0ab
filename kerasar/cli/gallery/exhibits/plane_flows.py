"""Flows bend the plane.

Two moons, learned by Real NVP, whose couplings move half of the numbers at a time, and by a flow
of splines. The bent grid is what the inverse map makes of a grid of latents whose cells all hold
the same probability: where they are small, the density is high.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import density_figure


def bent_grid(flow: Any) -> Figure:
    """Where lines of constant latents are in the plane."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    normal = NormalDist()  # each of the latents is
    along = np.array([normal.inv_cdf(p) for p in np.linspace(0.01, 0.99, 400)])
    across = [normal.inv_cdf(p) for p in np.linspace(0.01, 0.99, 15)]
    for value in across:
        fixed = np.full_like(along, value)
        for z, color, style in (
            ((along, fixed), "#1f4e79", "-"),
            ((fixed, along), "#d9720b", "--"),
        ):
            line = flow.from_latent(np.stack(z, axis=-1).astype("float32"))
            axes.plot(*line.T, style, color=color, linewidth=0.8)
    axes.set(xlabel="first value", ylabel="second value")
    return figure


def draw(studio: Studio) -> None:
    x = kerasar.data.toy_density("moons", 5000)
    new = kerasar.data.toy_density("moons", 5000, seed=1)

    lines = "Solid lines have one second latent, dashed ones one first."

    def realnvp() -> kerasar.FlowModel:
        return kerasar.models.RealNVP(2, depth=6)

    def spline_flow() -> kerasar.FlowModel:
        return kerasar.models.NeuralSplineFlow(2)

    for build, name in ((realnvp, "Real NVP"), (spline_flow, "Neural spline flow")):
        flow = studio.trained(build, x, epochs=40, batch_size=200)
        nats = -flow.log_prob(new).mean()
        figure = density_figure(flow, samples=flow.sample(1000, seed=0), data=x[:1000])
        studio.show(figure, f"{name}: density, samples and data; {nats:.3f} nats a point.")
        studio.show(bent_grid(flow), f"{name}: the bent grid. {lines}")
