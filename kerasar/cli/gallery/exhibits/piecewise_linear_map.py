"""A map of the line.

The first flow of the lecture: a rising, piecewise linear map turns a mixture of two normal
distributions into one. The density of x is that of z = f(x), times the slope of the map: it is high
where a steep part of the map meets likely values of z.
"""

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import map_figure


def draw(studio: Studio) -> None:
    x = kerasar.data.toy_density("mixture", 5000)
    flow = studio.trained(
        kerasar.models.PiecewiseLinearFlow, x, epochs=20, batch_size=100, learning_rate=3e-2
    )
    new = kerasar.data.toy_density("mixture", 5000, seed=1)
    nats, least = -flow.log_prob(new).mean(), kerasar.data.mixture_entropy()
    figure = map_figure(
        flow, -2.0, 2.0, kerasar.data.mixture_log_prob, samples=flow.sample(5000, seed=0)
    )
    caption = (
        f"Below the density of x, to the left that of z, between them the map; {nats:.3f} nats a "
        f"point, where the mixture itself has {least:.3f}."
    )
    studio.show(figure, caption)
