"""Reads a network: proof of causality, receptive field, step form."""

from kerasar.causality.proof import ReceptiveField as ReceptiveField
from kerasar.causality.proof import check_causal as check_causal
from kerasar.causality.proof import receptive_field as receptive_field
from kerasar.causality.raster_plan import NoStepForm as NoStepForm
from kerasar.causality.sights import layer_sights as layer_sights
from kerasar.causality.step_form import step_form as step_form
