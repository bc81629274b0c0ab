"""Forecasts of series: paths that a model draws, and what is made of them."""

from kerasar.forecasting.backtest import Backtest as Backtest
from kerasar.forecasting.backtest import backtest as backtest
from kerasar.forecasting.choose import Choice as Choice
from kerasar.forecasting.choose import choose as choose
from kerasar.forecasting.choose_panel import choose_panel as choose_panel
from kerasar.forecasting.draw import forecast as forecast
from kerasar.forecasting.learned import learned_more as learned_more
from kerasar.forecasting.paths import Forecast as Forecast
from kerasar.forecasting.scores import crps as crps
from kerasar.forecasting.scores import energy_score as energy_score
from kerasar.forecasting.seasonal_naive import seasonal_naive as seasonal_naive
from kerasar.forecasting.start import start_from as start_from
