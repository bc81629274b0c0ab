"""`kerasar show`: a run in the browser. `page` has what is on it, `images` what images have."""
