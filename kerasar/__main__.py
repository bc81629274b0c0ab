"""`python -m kerasar` is the `kerasar` command."""

from kerasar.cli.app import main

main()
