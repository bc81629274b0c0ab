"""Example data, and readers for the user's own files: arrays, ready for `fit`.

This room imports neither TensorFlow nor TensorFlow Datasets until a function needs them.
"""

from kerasar.data.audio import load_audio as load_audio
from kerasar.data.audio import write_wav as write_wav
from kerasar.data.audio_data import AudioData as AudioData
from kerasar.data.catalog import DATASETS as DATASETS
from kerasar.data.catalog import SEQUENCES as SEQUENCES
from kerasar.data.catalog import VECTORS as VECTORS
from kerasar.data.digits import load_digits as load_digits
from kerasar.data.image_data import ImageData as ImageData
from kerasar.data.images import load_images as load_images
from kerasar.data.mean_and_scale import mean_and_scale as mean_and_scale
from kerasar.data.mu_law import mu_law_decode as mu_law_decode
from kerasar.data.mu_law import mu_law_encode as mu_law_encode
from kerasar.data.panel import load_panel as load_panel
from kerasar.data.panel_data import PanelData as PanelData
from kerasar.data.panel_pieces import panel_pieces as panel_pieces
from kerasar.data.pipeline import pipeline as pipeline
from kerasar.data.quantizer import Quantizer as Quantizer
from kerasar.data.seasons import find_seasons as find_seasons
from kerasar.data.sequences import SequenceData as SequenceData
from kerasar.data.sequences import load_sequences as load_sequences
from kerasar.data.series import load_series as load_series
from kerasar.data.series_data import SeriesData as SeriesData
from kerasar.data.text import TextData as TextData
from kerasar.data.text import load_text as load_text
from kerasar.data.toy_densities import TOY_DENSITIES as TOY_DENSITIES
from kerasar.data.toy_densities import mixture_entropy as mixture_entropy
from kerasar.data.toy_densities import mixture_log_prob as mixture_log_prob
from kerasar.data.toy_densities import toy_density as toy_density
from kerasar.data.toy_sequences import toy_entropy as toy_entropy
from kerasar.data.toy_sequences import toy_log_prob as toy_log_prob
from kerasar.data.toy_sequences import toy_sequences as toy_sequences
from kerasar.data.vectors import VectorData as VectorData
from kerasar.data.vectors import load_vectors as load_vectors
from kerasar.data.vocabulary import Vocabulary as Vocabulary
from kerasar.data.windows import windows as windows
