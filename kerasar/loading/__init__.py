"""Loads models that `model.save` wrote; a file is looked through before anything is built of it."""

from kerasar.loading.load import load as load
