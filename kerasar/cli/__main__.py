"""`python -m kerasar.cli` is the `kerasar` command."""

from kerasar.cli.app import main

main()
