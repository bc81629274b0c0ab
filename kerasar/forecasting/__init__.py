"""Forecasts of series: paths that a model draws, and what is made of them."""

from kerasar.forecasting.draw import forecast as forecast
from kerasar.forecasting.paths import Forecast as Forecast
