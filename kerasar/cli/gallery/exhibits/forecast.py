"""A forecast with bands.

Twenty months of a series with a trend, a season and noise are held out. The model draws 500
futures, each a joint path; the bands hold the middle 50% and 90% of them.
"""

import numpy as np

import kerasar
from kerasar.cli.gallery.studio import Studio
from kerasar.pictures import fan_chart


def draw(studio: Studio) -> None:
    month = np.arange(240)
    level = 20 + 0.1 * month + 4 * np.sin(2 * np.pi * month / 12)
    series = level + np.random.default_rng(0).normal(0, 1.0, 240)
    past, future = series[:220, None].astype("float32"), series[220:, None]

    choice = kerasar.forecasting.choose(past, horizon=20, seasons=[12])
    likelihood = choice.likelihood()
    model = kerasar.models.Forecaster(None, likelihood=likelihood, **choice.arguments)
    kerasar.forecasting.start_from(model, choice.fitted)
    forecast = kerasar.forecast(model, past, steps=20, num_paths=500, seed=0)
    low, high = forecast.quantiles([0.05, 0.95])
    inside = np.mean((low <= future) & (future <= high))
    caption = (
        "The past, and the held-out months as they came (dots) in the bands that were forecast: "
        f"{inside:.0%} of them lie in the band of 90%."
    )
    figure = fan_chart(past[-60:], forecast.paths, actual=future)
    figure.axes[0].set_xlabel("months from the last known one")
    studio.show(figure, caption)
