"""The SavedModel: signatures and input checks."""

from kerasar.serving.archive import export_model as export_model
