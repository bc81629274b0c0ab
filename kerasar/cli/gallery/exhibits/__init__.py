"""One file for each exhibit: see `kerasar.cli.gallery`."""
