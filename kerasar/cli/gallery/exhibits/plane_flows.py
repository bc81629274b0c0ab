"""Flows bend the plane.

Two moons, learned by Real NVP, whose couplings move half of the numbers at a time, and by a flow
of splines. The bent grid is what the inverse map makes of a square grid of latents: where its
cells are small, the density is high.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import density_figure


def bent_grid(flow: Any) -> Figure:
    """Where lines of constant latents are in the plane."""
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    along, across = np.linspace(-2.5, 2.5, 200), np.linspace(-2.5, 2.5, 17)
    for value in across:
        fixed = np.full_like(along, value)
        for z, color in (((along, fixed), "#4c78a8"), ((fixed, along), "#e45756")):
            line = flow.from_latent(np.stack(z, axis=-1).astype("float32"))
            axes.plot(*line.T, color=color, linewidth=0.8)
    axes.set(xlabel="first number", ylabel="second number")
    return figure


def draw(studio: Studio) -> None:
    x = kerasar.data.toy_density("moons", 5000)
    new = kerasar.data.toy_density("moons", 5000, seed=1)

    def realnvp() -> kerasar.FlowModel:
        return kerasar.models.RealNVP(2, depth=6)

    def spline_flow() -> kerasar.FlowModel:
        return kerasar.models.NeuralSplineFlow(2)

    for build, name in ((realnvp, "Real NVP"), (spline_flow, "Neural spline flow")):
        flow = studio.trained(build, x, epochs=40, batch_size=200)
        nats = -flow.log_prob(new).mean()
        figure = density_figure(flow, samples=flow.sample(1000, seed=0), data=x[:1000])
        studio.show(figure, f"{name}: density, samples and data; {nats:.3f} nats a point.")
        studio.show(bent_grid(flow), f"{name}: what it makes of a square grid.")
