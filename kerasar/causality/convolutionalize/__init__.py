"""From a model of one window to one pass over all time steps, and back."""

from kerasar.causality.convolutionalize.convert import convolutionalize as convolutionalize
from kerasar.causality.convolutionalize.report import ConvolutionReport as ConvolutionReport
from kerasar.causality.convolutionalize.report import convolution_report as convolution_report
from kerasar.causality.convolutionalize.windowed import windowed as windowed
