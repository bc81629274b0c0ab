"""Scores of examples that a trained model has not seen, and the detector that joins them."""

from kerasar.scores.detector import AnomalyDetector as AnomalyDetector
from kerasar.scores.detector import Explanation as Explanation
from kerasar.scores.functions import all_scores as all_scores
from kerasar.scores.functions import complexity as complexity
from kerasar.scores.functions import complexity_corrected as complexity_corrected
from kerasar.scores.functions import entropy_z as entropy_z
from kerasar.scores.functions import surprise as surprise
from kerasar.scores.functions import typicality as typicality
from kerasar.scores.functions import worst_patch as worst_patch
from kerasar.scores.functions import worst_pixel as worst_pixel
