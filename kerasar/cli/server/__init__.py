"""`kerasar serve`: an exported model behind KServe's model server.

The model runs in TensorFlow's C++ library, as on TensorFlow Serving, so nothing here imports
TensorFlow. KServe is the server; this is what it needs to know of an export.
"""
