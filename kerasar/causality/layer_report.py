"""What each layer of a network sees, in words: the table of `kerasar inspect`."""

from typing import NamedTuple

import keras

from kerasar.arguments import checks_arguments
from kerasar.causality.analysis import Analysis, analyze
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.placed import Placed
from kerasar.causality.proof import ReceptiveField, field_of
from kerasar.layers.protocol import MixesPositions


class LayerReceptiveField(NamedTuple):
    """What one layer sees of the data.

    Attributes:
        name: of the layer.
        kind: its class.
        field: its receptive field; None if that is unknown or the layer does not see the data.
        text: the same in words.
    """

    name: str
    kind: str
    field: ReceptiveField | None
    text: str


@checks_arguments
def layer_receptive_fields(
    network: keras.Model, event_rank: int | None = None
) -> list[LayerReceptiveField]:
    """What each layer of a network sees of its data, from input to output.

    Args:
        network: functional Keras model; need not be causal.
        event_rank: as for `check_causal`.

    Raises:
        ValueError: if the network has no graph.
    """
    return report_layers(analyze(network, event_rank))


def report_layers(analysis: Analysis) -> list[LayerReceptiveField]:
    """`layer_receptive_fields` for a network that is analyzed already."""
    fields = []
    needed = set(analysis.graph.needed())
    for node in analysis.graph.nodes:
        kind = type(node.operation).__name__
        field = None
        declared = analysis.declarations.get(node)
        if node not in analysis.declarations:
            text = "conditions only" if node in needed else "its shape only is used"
        elif isinstance(declared, MixesPositions):
            text = f"mixes positions: {declared.reason}"
        elif declared is None:
            text = f"unknown: it {node.unknown_because}"
        elif node.outputs[0] in analysis.placed:
            text = _describe_placed(analysis.placed[node.outputs[0]], analysis.sizes)
        elif node.outputs[0] not in analysis.dependences:
            text = "unknown: so is a layer before it"
        else:
            offsets = analysis.dependences[node.outputs[0]].offsets
            field, text = field_of(offsets, analysis.sizes), describe(offsets, analysis.sizes)
        fields.append(LayerReceptiveField(node.name, kind, field, text))
    return fields


def _describe_placed(placed: Placed, sizes: tuple[int | None, ...]) -> str:
    """What a tensor of attention sees; of a pair, what its query and what its key see."""
    seen = [describe(offsets, sizes) for _, offsets in sorted(placed.axes.items())]
    return seen[0] if len(seen) == 1 else f"pairs of positions: {seen[0]}; {seen[1]}"


def describe(offsets: Offsets, sizes: tuple[int | None, ...]) -> str:
    """A set of offsets in words."""
    if not offsets:
        return "nothing"
    if offsets.rank == 1 and offsets.unbounded:
        return f"everything up to {_step(offsets.latest()[0])}"
    members = offsets.members(sizes)
    if offsets.rank == 1:
        first, last = min(members)[0], max(members)[0]
        gaps = last - first + 1 - len(members)
        span = _step(last) if first == last else f"{_step(first)} to {_step(last)}"
        return span + (f", {len(members)} of {last - first + 1}" if gaps else "")
    rows = sorted({row for row, _ in members})
    columns = sorted({column for _, column in members})
    if offsets.unbounded:
        return f"all rows up to {_place(rows[-1], 'row')}"
    return (
        f"{len(members)} pixel{'s' if len(members) > 1 else ''}: rows {rows[0]:+d} to "
        f"{rows[-1]:+d}, columns {columns[0]:+d} to {columns[-1]:+d}"
    ).replace("+0", "0")


def _step(offset: int) -> str:
    return "now" if offset == 0 else f"t{offset:+d}"


def _place(offset: int, unit: str) -> str:
    return f"its own {unit}" if offset == 0 else f"{unit} {offset:+d}"
