"""The kinds of data that the command takes; what differs between them, one file for each."""

from kerasar.cli.kinds.find import KINDS as KINDS
from kerasar.cli.kinds.find import kind_of as kind_of
from kerasar.cli.kinds.find import kind_of_run as kind_of_run
from kerasar.cli.kinds.kind import Drawn as Drawn
from kerasar.cli.kinds.kind import Kind as Kind
from kerasar.cli.kinds.kind import Loaded as Loaded
from kerasar.cli.kinds.kind import Named as Named
