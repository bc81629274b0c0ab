"""Merges linear maps before a network is run step by step.

Three rewrites, exact up to rounding: what reads a shifted, padded or cropped tensor reads the
tensor itself at other offsets; a linear map of a concatenation is a sum over its parts (so the part
that is known for a whole row is computed once a row); a sum of linear maps is one matrix product
(thirty skip outputs of a WaveNet cost one).
"""

import dataclasses
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge, Node
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Declaration, Taps
from kerasar.typing import Tensor

_CONCATENATIONS = frozenset([keras.layers.Concatenate, *operation_classes("Concatenate")])
_SUMS = frozenset([keras.layers.Add, *operation_classes("Add")])


def fuse(analysis: Analysis) -> Analysis:
    """The same network with linear maps merged; what its tensors see stays as it was."""
    declarations = dict(analysis.declarations)
    made_by = {edge: node for node in analysis.graph.nodes for edge in node.outputs}
    nodes = []
    for node in analysis.graph.nodes:
        found = node, declarations.get(node)
        if found[1] is not None:
            found = _through_moves(*found, made_by, declarations)
            found = _split_concatenation(*found, made_by, analysis)
            found = _joined_sum(*found, made_by, declarations, analysis)
        if found[0] is not node:
            del declarations[node]
            declarations[found[0]] = found[1]
            made_by.update(dict.fromkeys(found[0].outputs, found[0]))
        nodes.append(found[0])
    live = _live(nodes, analysis.graph.output)
    graph = dataclasses.replace(analysis.graph, nodes=tuple(live))
    kept = {node: declarations[node] for node in live if node in declarations}
    return dataclasses.replace(analysis, graph=graph, declarations=kept)


def _through_moves(
    node: Node,
    declared: Declaration | None,
    made_by: dict[Edge, Node],
    declarations: dict[Node, Declaration | None],
) -> tuple[Node, Declaration | None]:
    """Taps on a shifted, padded or cropped tensor become taps on the tensor itself."""
    while isinstance(declared, Taps) and len(node.inputs) == 1:
        mover = made_by.get(node.inputs[0])
        move = declarations.get(mover) if mover is not None else None
        if mover is None or not isinstance(move, Taps) or not _composes(move, declared):
            break
        if mover.inputs[0].dtype != node.inputs[0].dtype:
            break  # it rounds, too
        shift = move.offsets[0]
        offsets = tuple(
            tuple(o + s for o, s in zip(offset, shift, strict=True)) for offset in declared.offsets
        )
        none = (0,) * len(shift)
        pairs = zip(move.length_change or none, declared.length_change or none, strict=True)
        declared = declared._replace(offsets=offsets, length_change=tuple(a + b for a, b in pairs))
        node = dataclasses.replace(node, inputs=mover.inputs, slots=())
    return node, declared


def _composes(move: Taps, reader: Taps) -> bool:
    """Whether the reader sees nothing but the moved tensor and zeros, at the right offsets."""
    if not move.moves or len(reader.offsets) == 0 or move.pad != reader.pad:
        return False
    none = (0,) * len(move.offsets[0])
    for axis in range(len(none)):
        front = -move.offsets[0][axis]
        back = (move.length_change or none)[axis] - front
        reach = [offset[axis] for offset in reader.offsets]
        # Where the move cut something off, the reader must not look beyond the cut.
        if front < 0 and min(reach) < 0:
            return False
        if back < 0 and max(reach) > -(reader.length_change or none)[axis]:
            return False
    return True


def _split_concatenation(
    node: Node, declared: Declaration | None, made_by: dict[Edge, Node], analysis: Analysis
) -> tuple[Node, Declaration | None]:
    """A linear map whose one input is a concatenation of channels reads the parts instead."""
    if not isinstance(declared, Taps) or declared.matrices is None or len(node.inputs) != 1:
        return node, declared
    joined = made_by.get(node.inputs[0])
    if joined is None or type(joined.operation) not in _CONCATENATIONS:
        return node, declared
    parts, rank = joined.inputs, len(node.inputs[0].shape)
    if joined.operation.axis % rank != rank - 1:
        return node, declared
    if not all(
        edge in analysis.data_dependent and edge.dtype == node.inputs[0].dtype for edge in parts
    ):
        return node, declared
    widths = [edge.shape[-1] for edge in parts]
    whole = declared.matrices

    def matrices() -> Sequence[Tensor]:
        return [piece for matrix in whole() for piece in tf.split(matrix, widths, axis=0)]

    taps = declared._replace(
        offsets=tuple(offset for offset in declared.offsets for _ in parts),
        sources=tuple(range(len(parts))) * len(declared.offsets),
        matrices=matrices,
    )
    return dataclasses.replace(node, inputs=parts, slots=()), taps


def _joined_sum(
    node: Node,
    declared: Declaration | None,
    made_by: dict[Edge, Node],
    declarations: dict[Node, Declaration | None],
    analysis: Analysis,
) -> tuple[Node, Declaration | None]:
    """A sum whose terms are linear maps, all read by nobody else, becomes one linear map."""
    if type(node.operation) not in _SUMS:
        return node, declared
    terms = [made_by.get(edge) for edge in node.inputs]
    maps = [declarations.get(term) if term is not None else None for term in terms]
    kinds = {(edge.shape, edge.dtype) for edge in (*node.inputs, *node.outputs)}
    if len(node.inputs) < 2 or len(kinds) != 1:
        return node, declared
    found: list[Taps] = []
    inputs: list[Edge] = []
    sources: list[int] = []
    for edge, term, taps in zip(node.inputs, terms, maps, strict=True):
        if term is None or not isinstance(taps, Taps) or taps.matrices is None or not taps.linear:
            return node, declared
        if any(taps.length_change or ()):
            return node, declared
        if sum(edge in other.inputs for other in analysis.graph.nodes) > 1:
            return node, declared
        sources += [len(inputs) + taps.source(tap) for tap in range(len(taps.offsets))]
        inputs += term.inputs
        found.append(taps)
    offsets = tuple(offset for taps in found for offset in taps.offsets)
    fused = Taps(
        offsets,
        matrices=lambda: [m for taps in found for m in _matrices(taps)()],
        finish=lambda total: _finish_all(found, total),
        linear=True,
        sources=tuple(sources),
    )
    return dataclasses.replace(node, inputs=tuple(inputs), slots=()), fused


def _matrices(taps: Taps) -> Callable[[], Sequence[Tensor]]:
    if taps.matrices is None:
        raise ValueError("only linear maps are fused")
    return taps.matrices


def _finish_all(maps: Sequence[Taps], total: Tensor) -> Tensor:
    """Adds every bias: what `finish` does to zero, since it only adds."""
    for taps in maps:
        if taps.finish is not None:
            total = taps.finish(total)
    return total


def _live(nodes: Sequence[Node], output: Edge) -> list[Node]:
    """The nodes that the output still needs."""
    needed = {output}
    live = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            live.append(node)
    return live[::-1]
