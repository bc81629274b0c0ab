"""From a network to its step form, or to the reason why there is none."""

import keras

from kerasar.causality.analysis import read
from kerasar.causality.graph import read_graph
from kerasar.layers.protocol import Taps
from kerasar.stepwise.fuse import fuse
from kerasar.stepwise.raster_plan import NotSteppable
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.stepwise.sequence_steps import SequenceProgram


def step_form(
    network: keras.Model, event_rank: int | None = None
) -> SequenceProgram | RasterProgram:
    """The step form of a causal network: what computes one position after the other.

    Args:
        network: functional Keras model that `check_causal` accepts.
        event_rank: as for `check_causal`.

    Raises:
        NotSteppable: if a layer does not say what it sees, or cannot be run step by step; the layer
            is named.
    """
    reading = fuse(read(read_graph(network, event_rank)))
    for node, declared in reading.declarations.items():
        kind = type(node.operation).__name__
        if declared is None:
            raise NotSteppable(
                f"layer '{node.name}' ({kind}) does not declare what it sees "
                "(kerasar.layers.protocol says how)"
            )
        if isinstance(declared, Taps) and declared.combine is None and declared.matrices is None:
            raise NotSteppable(f"layer '{node.name}' ({kind}) has no step form")
    if reading.graph.places == 1:
        if len(reading.graph.x.shape) > 2 and not event_rank:
            raise NotSteppable("several values of a step are drawn one after the other")
        return SequenceProgram(reading)
    return RasterProgram(reading)
