"""`python -m kerasar.cli` is the `kerasar` command, as `python -m kerasar` is."""

from kerasar.cli.app import main

main()
