"""Pictures of data, samples and completions. matplotlib is imported when one is drawn.

Each function returns a `matplotlib.figure.Figure` without pyplot, window or global state. `save`
writes it; a notebook shows it.
"""

from kerasar.pictures.backtest_figure import backtest_figure as backtest_figure
from kerasar.pictures.convolution_figure import convolution_figure as convolution_figure
from kerasar.pictures.density_figure import density_figure as density_figure
from kerasar.pictures.fan_chart import fan_chart as fan_chart
from kerasar.pictures.image_grid import image_grid as image_grid
from kerasar.pictures.inpainting_figure import inpainting_figure as inpainting_figure
from kerasar.pictures.manifold_figure import manifold_figure as manifold_figure
from kerasar.pictures.map_figure import map_figure as map_figure
from kerasar.pictures.posterior_figure import posterior_figure as posterior_figure
from kerasar.pictures.receptive_field_figure import (
    receptive_field_figure as receptive_field_figure,
)
from kerasar.pictures.save import save as save
from kerasar.pictures.sequence_grid import sequence_grid as sequence_grid
from kerasar.pictures.spectrogram import spectrogram as spectrogram
from kerasar.pictures.spectrogram import spectrogram_figure as spectrogram_figure
from kerasar.pictures.strangest_figure import strangest_figure as strangest_figure
from kerasar.pictures.surprise import surprise_image as surprise_image
