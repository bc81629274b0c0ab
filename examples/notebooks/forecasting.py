# %% [markdown]
# # Forecasting
#
# From a table to forecasts whose bands were checked: monthly sales with a trend, a season and
# noise. For a file of your own, replace the path.

# %%
# %matplotlib inline
import os
from pathlib import Path

import numpy as np

import kerasar
from kerasar.pictures import fan_chart

QUICK = bool(os.environ.get("KERASAR_QUICK"))  # set by the tests, to see that everything runs

# %% [markdown]
# ## The data
#
# `load_series` finds the column of months, keeps it, and holds out the end of the series for
# testing.

# %%
rng = np.random.default_rng(0)
months = np.arange(np.datetime64("2010-01"), np.datetime64("2022-01"))
t = np.arange(len(months))
season = 1 + 0.2 * np.sin(2 * np.pi * t / 12)
sales = (100 + 0.8 * t) * season * np.exp(rng.normal(0, 0.03, len(t)))
rows = "\n".join(f"{month},{value:.1f}" for month, value in zip(months, sales, strict=True))
Path("sales.csv").write_text(f"month,sales\n{rows}\n")
series = kerasar.data.load_series("sales.csv")
print(len(series.train), "months to learn from,", len(series.test), "to judge by")

# %% [markdown]
# ## What a step is relative to
#
# `choose` compares what a step can be relative to, the last value or last year's, by forecasts of
# the training part.

# %%
seasons = kerasar.data.find_seasons(series.train)
choice = kerasar.forecasting.choose(series.train, horizon=12, seasons=seasons)
print(seasons, choice.arguments)

# %% [markdown]
# ## Training
#
# `Forecaster` begins as the best linear forecaster and learns what that one misses.

# %%
model = kerasar.models.Forecaster(None, likelihood=choice.likelihood(), **choice.arguments)
kerasar.forecasting.start_from(model, choice.fitted)
model.compile()
windows = kerasar.data.windows(series.train, length=60, stride=4)
model.fit(windows, epochs=1 if QUICK else 5, verbose=0)

# %% [markdown]
# ## Is it good?
#
# The backtest forecasts the held-out part from several places. CRPS is in the units of the file,
# and smaller is better; the seasonal naive forecast repeats last year. `choice.widening` is the
# factor with which the bands held on the training part; a temperature widens what is drawn.

# %%
drawn = {"num_paths": 20 if QUICK else 200, "temperature": choice.widening**2}
found = kerasar.backtest(model, series.whole, horizon=12, season=12, **drawn)
print(f"CRPS {found.scores['crps']:.2f}, seasonal naive {found.seasonal_naive['crps']:.2f}")
print(f"{found.scores['coverage_90']:.0%} of the values were in the bands of 90 %")

# %% [markdown]
# ## The forecast

# %%
future = kerasar.forecast(model, series.whole, steps=24, series=series, **drawn)
print(future.times[0], "to", future.times[-1])
chart = fan_chart(series.whole[-60:], future.paths, heading="Sales a month")
chart
