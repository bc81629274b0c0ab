"""From a network to its step form, or to the reason why there is none."""

import keras

from kerasar.causality.graph import read_graph
from kerasar.causality.reading import read
from kerasar.layers.protocol import Taps
from kerasar.stepwise.fuse import fuse
from kerasar.stepwise.raster_plan import NoStepForm
from kerasar.stepwise.raster_steps import RasterSteps
from kerasar.stepwise.sequence_steps import SequenceSteps


def step_form(network: keras.Model, event_rank: int | None = None) -> SequenceSteps | RasterSteps:
    """The step form of a causal network: what computes one position after the other.

    Args:
        network: functional Keras model that `check_causal` accepts.
        event_rank: as for `check_causal`.

    Raises:
        NoStepForm: if a layer does not say what it sees, or cannot be run step by step; the layer
            is named.
    """
    reading = fuse(read(read_graph(network, event_rank)))
    for node, declared in reading.declarations.items():
        kind = type(node.operation).__name__
        if declared is None:
            raise NoStepForm(
                f"layer '{node.name}' ({kind}) does not declare what it sees "
                "(kerasar.layers.protocol says how)"
            )
        if isinstance(declared, Taps) and declared.combine is None and declared.matrices is None:
            raise NoStepForm(f"layer '{node.name}' ({kind}) has no step form")
    if reading.graph.places == 1:
        if len(reading.graph.x.shape) > 2 and not event_rank:
            raise NoStepForm("several values of a step are drawn one after the other")
        return SequenceSteps(reading)
    return RasterSteps(reading)
