"""The `kerasar` command."""
