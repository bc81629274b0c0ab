"""The `kerasar` command: one file a command. TensorFlow is imported by those that need it."""

from kerasar.cli.app import app as app
from kerasar.cli.app import main as main
