"""Networks that take positions apart, as networks on whole positions.

Attention along each row, each column, or within blocks of a sequence, moves some digits of the
positions (see `parts.py`) into the batch or behind other axes. Here every such tensor gets all its
positions on one axis again:

    (batch · rows, columns, channels)             ->  (batch, positions, channels)
    (batch · rows, heads, columns, columns)       ->  (batch, positions, positions, heads)

What was a pair within a row is then a pair of any two positions, of which a mask leaves those of
the same row. Attention in parts is attention over all positions under a mask, which the rules for
pairs know.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.graph import Edge, Graph, Node, read_pieces
from kerasar.causality.rules import declaration
from kerasar.causality.rules.pointwise import is_array
from kerasar.causality.whole_positions.check import computes_the_same
from kerasar.causality.whole_positions.parts import Layout, gather_index, standard, where_equal
from kerasar.keras_internals import automatic_names_kept, replaces_methods
from kerasar.layers.protocol import MixesPositions
from kerasar.typing import Shape, Tensor

#: Masks over more pairs take more memory than the network.
_MOST_POSITIONS = 4096

#: Translates an operation; False if it cannot.
Translation = Callable[["Translator", Node], bool]
TRANSLATIONS: dict[type, Translation] = {}


def translation(*kinds: type) -> Callable[[Translation], Translation]:
    """Registers how some kinds of operations are translated."""

    def register(rule: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def with_whole_positions(graph: Graph) -> Graph | Node | None:
    """The same network with all positions on one axis where it takes them apart.

    None if it does not; the operation in between that cannot be translated, if there is one.
    """
    sizes = graph.x.shape[1 : 1 + graph.position_rank]
    if None in sizes or math.prod(map(int, sizes)) > _MOST_POSITIONS:  # type: ignore[arg-type]
        return None
    translator = Translator(graph)
    found = translator.graph()
    if found is None:
        return translator.stopped_at
    return found if computes_the_same(graph, found) else None


class Translator:
    """Goes through a graph from input to output.

    Args:
        graph: of data of known sizes.
    """

    def __init__(self, graph: Graph) -> None:
        self.source = graph
        self.sizes = [int(size or 1) for size in graph.x.shape[1 : 1 + graph.position_rank]]
        self.count = math.prod(self.sizes)
        self.nodes: list[Node] = []
        self.constants = dict(graph.constants)
        self.data_dependent = {graph.x}
        #: The operation on positions taken apart that could not be translated.
        self.stopped_at: Node | None = None
        #: What lies on the axes of tensors whose positions are not behind the batch.
        self.layouts: dict[Edge, Layout] = {}
        #: The tensors of all positions that stand for tensors of the network.
        self._whole: dict[Edge, Edge] = {}
        #: Tensors that hold the same elements in other shapes, of which more is known.
        self._shaped: dict[tuple[Edge, Shape], Edge] = {}

    def graph(self) -> Graph | None:
        """The translated graph; None if there is none."""
        opened = dict(self.source.opened)
        for node in self.source.nodes:
            begin = len(self.nodes)
            if not self._take(node):
                self.stopped_at = node if self.layouts else None
                return None
            made = {edge for piece in self.nodes[begin:] for edge in piece.outputs}
            for layer, found in opened.items():
                if node.outputs[0] in found.made:
                    opened[layer] = found._replace(made=found.made | made)
        if not self.layouts or self.source.output in self.layouts:
            return None
        return dataclasses.replace(
            self.source, nodes=tuple(self.nodes), constants=self.constants, opened=opened
        )

    def _take(self, node: Node) -> bool:
        sources = [edge for edge in node.inputs if edge in self.data_dependent]
        if not sources or node.only_shape:
            self.nodes.append(node)
            return True
        self.data_dependent.update(node.outputs)
        if not any(edge in self.layouts for edge in sources):
            declared = declaration(node, len(self.sizes), self.data_dependent)
            if declared is not None and not isinstance(declared, MixesPositions):
                self.nodes.append(node)
                return True
        rule = TRANSLATIONS.get(type(node.operation))
        if rule is None or replaces_methods(node.operation):
            return False
        return rule(self, node)

    # What rules read.

    def layout(self, edge: Edge) -> Layout | None:
        """What lies on the axes of a tensor that depends on the data; None if positions miss."""
        if edge in self.layouts:
            return self.layouts[edge]
        fits = edge.shape[1 : 1 + len(self.sizes)] == tuple(self.sizes)
        return standard(edge.shape, self.sizes) if fits and None not in edge.shape[1:] else None

    def shape(self, layout: Layout, channels: Sequence[int] | None = None) -> list[int]:
        """The shape of a tensor of whole positions behind its batch."""
        pair = [self.count] * (1 + layout.is_pair)
        return [*pair, *(layout.channels if channels is None else channels)]

    def whole(self, edge: Edge) -> Edge:
        """The tensor of whole positions that stands for one: `(batch, positions, …, *channels)`."""
        if edge not in self._whole:
            layout = self.layout(edge)
            if layout is None:
                raise ValueError(f"tensor '{edge.name}' does not have the positions of the data")
            self._whole[edge] = self.reshape(edge, self.shape(layout), edge.name)
        return self._whole[edge]

    def beside(self, edge: Edge, layout: Layout) -> Edge | None:
        """What does not depend on the data, as it lies beside a tensor of whole positions.

        Args:
            edge: aligned with the tensor's axes from the right.
            layout: of the tensor.

        Returns:
            A tensor of the full rank, sizes of 1 where it makes no difference; None if it does not
            fit.
        """
        if not edge.shape:
            return edge
        missing = len(layout.axes) - len(edge.shape)
        shape = (1,) * missing + tuple(edge.shape)
        if missing < 0 or None in shape[1:] or (shape[0] is None and layout.axes[0]):
            return None
        if shape[0] not in (None, 1):
            return None
        kept = [False, *(size != 1 for size in shape[1:])]
        own = layout.on_axes(kept)
        if any(
            math.prod(part.size for part in axis) != size
            for axis, size in zip(own.axes[1:], shape[1:], strict=True)
        ):
            return None
        batch = 1 if shape[0] == 1 else -1
        channels = [
            part.size if keeps else 1
            for axis, keeps in zip(layout.axes, kept, strict=True)
            for part in axis
            if not part.is_digit
        ]
        return self.make(
            edge.name,
            lambda x: _in_position(x, own, batch, channels, self.count, layout.is_pair),
            edge,
        )

    def masked(self, edge: Edge, layout: Layout, fill: float) -> Edge:
        """A tensor of pairs with a number in place of those that the network does not make."""
        if not layout.shared:
            return edge
        made = where_equal(layout.shared, self.count)
        made = made.reshape(1, self.count, self.count, *[1] * len(layout.channels))
        return self.make(edge.name, lambda x: ops.where(made, x, fill), edge)

    # What rules make.

    def make(self, name: str, function: Callable[..., Tensor], *edges: Edge) -> Edge:
        """The result of a function of some tensors."""
        fresh = [keras.KerasTensor(edge.shape, edge.dtype) for edge in edges]
        with automatic_names_kept():
            made = function(*fresh)
        self.nodes += read_pieces(keras.Function(fresh, made), list(edges), f"{name}/")
        return self.nodes[-1].outputs[0]

    def reshape(self, edge: Edge, shape: Sequence[int], name: str) -> Edge:
        """A tensor with another shape behind its batch."""
        if tuple(shape) == edge.shape[1:]:
            return edge
        if (edge, tuple(shape)) in self._shaped:
            return self._shaped[edge, tuple(shape)]
        return self.make(name, lambda x: ops.reshape(x, (-1, *shape)), edge)

    def constant(self, value: Any, name: str) -> Edge:
        """An array or a weight as a tensor of the graph."""
        dtype = keras.backend.standardize_dtype(value.dtype)
        edge = Edge(tuple(value.shape), dtype, name)
        self.constants[edge] = value
        return edge

    def repeat(self, node: Node, made: Edge, operands: dict[Edge, Edge], layout: Layout) -> bool:
        """The same operation on other tensors, with arrays of the call beside them."""
        slots = [(key, operands[edge]) for key, edge in node.slots]
        inputs = [operands[edge] for edge in node.inputs]
        known = {key for key, _ in slots}
        for part in filter(is_array, keras.tree.flatten(node.constants)):
            if id(part) in known or not len(part.shape):
                continue
            beside = self.beside(self.constant(part, f"{node.name}_constant"), layout)
            if beside is None:
                return False
            slots.append((id(part), beside))
            inputs.append(beside)
        edge = Edge((None, *self.shape(layout)), made.dtype, made.name)
        self.nodes.append(
            dataclasses.replace(node, inputs=tuple(inputs), outputs=(edge,), slots=tuple(slots))
        )
        return self.finish(made, edge, layout)

    def finish(self, made: Edge, edge: Edge, layout: Layout) -> bool:
        """Lets a tensor of whole positions stand for one of the network.

        Args:
            made: the tensor of the network.
            edge: what stands for it; of any shape that holds its elements in that order.
            layout: of the network's tensor.
        """
        if not layout.is_complete(self.count):
            return False
        if not layout.is_standard(self.sizes):
            self.layouts[made] = layout
            whole = self.reshape(edge, self.shape(layout), edge.name)
            self._whole[made] = whole
            self._shaped[whole, edge.shape[1:]] = edge
            return True
        self.make(made.name, lambda x: ops.reshape(x, (-1, *made.shape[1:])), edge)
        self.nodes[-1] = dataclasses.replace(self.nodes[-1], outputs=(made,))
        return True


def _in_position(
    x: Tensor, own: Layout, batch: int, channels: list[int], count: int, is_pair: bool
) -> Tensor:
    """What lies on some axes, at the positions that it belongs to."""
    parts = own.parts
    order = sorted(range(len(parts)), key=lambda number: not parts[number].is_digit)
    digits = [parts[number] for number in order if parts[number].is_digit]
    x = ops.reshape(x, (batch, *(part.size for part in parts)))
    if order != list(range(len(parts))):
        x = ops.transpose(x, (0, *(1 + number for number in order)))
    if not digits:
        return ops.reshape(x, (batch, *[1] * (1 + is_pair), *channels))
    x = ops.reshape(x, (batch, math.prod(part.size for part in digits), *channels))
    return ops.take(x, np.asarray(gather_index(digits, count, is_pair), "int32"), axis=1)
