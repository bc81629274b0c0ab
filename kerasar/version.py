"""The version of kerasar, at the bottom of the house: what is written names it."""

__version__ = "0.1.0"
