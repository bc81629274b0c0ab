"""Forecasts of series: paths that a model draws, and what is made of them."""

from kerasar.forecasting.backtest import Backtest as Backtest
from kerasar.forecasting.backtest import backtest as backtest
from kerasar.forecasting.backtest_panel import PanelBacktest as PanelBacktest
from kerasar.forecasting.backtest_panel import backtest_panel as backtest_panel
from kerasar.forecasting.choose import Choice as Choice
from kerasar.forecasting.choose import choose as choose
from kerasar.forecasting.choose_panel import choose_panel as choose_panel
from kerasar.forecasting.draw import forecast as forecast
from kerasar.forecasting.learned import learned_more as learned_more
from kerasar.forecasting.learned import learned_more_of_panel as learned_more_of_panel
from kerasar.forecasting.panels import PanelForecast as PanelForecast
from kerasar.forecasting.panels import forecast_panel as forecast_panel
from kerasar.forecasting.paths import Forecast as Forecast
from kerasar.forecasting.scores import crps as crps
from kerasar.forecasting.scores import energy_score as energy_score
from kerasar.forecasting.seasonal_naive import seasonal_naive as seasonal_naive
from kerasar.forecasting.start import start_from as start_from
