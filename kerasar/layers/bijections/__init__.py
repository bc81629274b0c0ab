"""Bijections: the invertible layers from which flows are built, one a file.

Import them from `kerasar.layers`.
"""
