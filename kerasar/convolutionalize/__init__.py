"""From a model of one window to one pass over all time steps, and back.

The room has the name of the function that it is for, so the module can be called:
`kerasar.convolutionalize(window_model)`. A function in its place would give way to the module as
soon as anything imports from here.
"""

import sys
from types import ModuleType

from kerasar.convolutionalize.convert import convolutionalize as convolutionalize
from kerasar.convolutionalize.report import ConvolutionReport as ConvolutionReport
from kerasar.convolutionalize.report import convolution_report as convolution_report
from kerasar.convolutionalize.to_window_model import to_window_model as to_window_model


class _CallableModule(ModuleType):
    __call__ = staticmethod(convolutionalize)


sys.modules[__name__].__class__ = _CallableModule
