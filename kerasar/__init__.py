"""kerasar."""
