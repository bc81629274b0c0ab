"""From an analyzed network to its step form, or to the reason why there is none."""

from kerasar.causality.analysis import Analysis
from kerasar.layers.protocol import Taps
from kerasar.stepwise.axis_program import NotSteppable
from kerasar.stepwise.fuse import fuse
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.stepwise.sequence_steps import SequenceProgram


def make_stepper(analysis: Analysis) -> SequenceProgram | RasterProgram:
    """The step form of a causal network: what computes one position after the other.

    Args:
        analysis: of a network that `check_causal` accepts.

    Raises:
        NotSteppable: if a layer does not declare what it sees, or cannot be run step by step; the
            layer is named.
    """
    graph = analysis.graph
    analysis = fuse(analysis)
    for node, declared in analysis.declarations.items():
        kind = type(node.operation).__name__
        if declared is None:
            raise NotSteppable(
                f"layer '{node.name}' ({kind}) {node.unknown_because} (see kerasar.layers.protocol)"
            )
        if isinstance(declared, Taps) and declared.combine is None and declared.matrices is None:
            raise NotSteppable(f"layer '{node.name}' ({kind}) has no step form")
    for node in analysis.broadcasting:
        raise NotSteppable(f"layer '{node.name}' spreads one position over all others")
    if graph.position_rank == 2:
        return RasterProgram(analysis)
    if len(graph.x.shape) > 3 and not graph.event_rank:
        raise NotSteppable("the values of a step are drawn one after the other along several axes")
    return SequenceProgram(analysis)
