"""The SavedModel: signatures and input checks."""

from kerasar.serving.export import export_autoregressive as export_autoregressive
