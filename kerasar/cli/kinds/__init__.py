"""The kinds of data that the command takes; what differs between them, one file for each."""

from kerasar.cli.kinds.find import KINDS as KINDS
from kerasar.cli.kinds.find import kind_of as kind_of
from kerasar.cli.kinds.find import kind_of_run as kind_of_run
from kerasar.cli.kinds.find import panel_or_series as panel_or_series
from kerasar.cli.kinds.kind import DataKind as DataKind
from kerasar.cli.kinds.kind import SamplingRequest as SamplingRequest
