"""Operations that sum or normalize, translated to whole positions.

What the network sums over a part of the positions is summed over all, the others masked.
"""

import string
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.einsum_letters import letters_of, matmul_letters
from kerasar.causality.graph import Edge, Node
from kerasar.causality.pairs.values import operands
from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.pointwise import is_array
from kerasar.causality.whole_positions.join import join, sides_of, without_pairs
from kerasar.causality.whole_positions.moves_and_elements import elementwise
from kerasar.causality.whole_positions.parts import FIRST, SECOND, Layout, channel_axis
from kerasar.causality.whole_positions.translator import Translator, translation
from kerasar.keras_internals import operation_classes

L = keras.layers
_NOTHING = {
    **dict.fromkeys(operation_classes("Sum"), 0.0),
    **dict.fromkeys(operation_classes("Max", "Logsumexp"), -np.inf),
}
_FUNCTIONS: dict[type, Any] = {
    kind: getattr(ops, kind.__name__.lower()) for kind in (*_NOTHING, *operation_classes("Mean"))
}


def _side_on(layout: Layout, axis: int) -> int | None:
    """Which position of a pair is on an axis, if all of its own digits are, and nothing else."""
    held = layout.axes[axis]
    for side in (FIRST, SECOND):
        own = tuple(part for part in layout.parts if part.is_digit and part.side == side)
        if layout.is_pair and own and held == own:
            return side
    return None


def _one_axis(axis: Any, rank: int) -> int | None:
    axes = np.atleast_1d(-1 if axis is None else axis)
    return int(axes[0]) % rank if len(axes) == 1 else None


@translation(L.Softmax, *operation_classes("Softmax"))
def _softmax(graph: Translator, node: Node) -> bool:
    edge, rank = node.inputs[0], len(node.inputs[0].shape)
    layout, axis = graph.layout(edge), _one_axis(node.operation.axis, rank)
    if layout is None or not axis:
        return False
    place = _normalized_axis(layout, axis)
    if place is None:
        return False
    known = {key for key, _ in node.slots}
    arrays = filter(is_array, keras.tree.flatten(node.constants))
    lifted = [graph.constant(part, "mask") for part in arrays if id(part) not in known]
    masks = [*node.inputs[1:], *lifted]
    if not masks:
        return _normalize(graph, node, layout, axis)
    mask = None if masks[0] in graph.data_dependent else graph.beside(masks[0], layout)
    if mask is None or len(masks) > 1:
        return False
    if mask.dtype != "bool":
        mask = graph.make(node.name, lambda x: x > 0.5, mask)
    if _side_on(layout, axis) is not None:
        mask = graph.masked(mask, layout, False)
    weights = graph.make(
        node.name, lambda x, on: L.Softmax(axis=place)(x, mask=on), graph.whole(edge), mask
    )
    return graph.finish(node.outputs[0], weights, layout)


@translation(L.Activation)
def _activation(graph: Translator, node: Node) -> bool:
    activation, edge = node.operation.activation, node.inputs[0]
    if is_elementwise(activation):
        return elementwise(graph, node)
    layout = graph.layout(edge)
    if layout is None or activation is not keras.activations.softmax:
        return False
    return _normalize(graph, node, layout, len(edge.shape) - 1)


def _normalize(graph: Translator, node: Node, layout: Layout, axis: int) -> bool:
    """A softmax along an axis of the network's tensor."""
    scores, place = graph.whole(node.inputs[0]), _normalized_axis(layout, axis)
    if place is None:
        return False
    if _side_on(layout, axis) is not None:
        scores = graph.masked(scores, layout, -np.inf)
    weights = graph.make(node.name, lambda x: ops.softmax(x, axis=place), scores)
    return graph.finish(node.outputs[0], weights, layout)


def _normalized_axis(layout: Layout, axis: int) -> int | None:
    """Which axis of whole positions an axis is: of one position of a pair, or of channels."""
    side, held = _side_on(layout, axis), layout.axes[axis]
    if side is not None:
        return 1 + side
    if len(held) != 1 or held[0].is_digit:
        return None
    return layout.whole_axis(axis)


@translation(*_FUNCTIONS)
def _reduction(graph: Translator, node: Node) -> bool:
    edge, made, operation = node.inputs[0], node.outputs[0], node.operation
    layout, axis = graph.layout(edge), _one_axis(operation.axis, len(edge.shape))
    if layout is None or not axis or operation.axis is None or len(node.inputs) > 1:
        return False
    function = _FUNCTIONS[type(operation)]
    side, whole = _side_on(layout, axis), graph.whole(edge)
    place: tuple[int, ...]
    if side is not None and type(operation) in _NOTHING:
        whole, place = graph.masked(whole, layout, _NOTHING[type(operation)]), (1 + side,)
    elif not any(part.is_digit for part in layout.axes[axis]):
        first = layout.whole_axis(axis)
        side, place = None, tuple(range(first, first + len(layout.axes[axis])))
    else:
        return False
    if place:
        keeps = side is not None
        whole = graph.make(node.name, lambda x: function(x, axis=place, keepdims=keeps), whole)
    kept = [()] if operation.keepdims else []
    after = Layout((*layout.axes[:axis], *kept, *layout.axes[axis + 1 :]))
    if side is not None:
        after = without_pairs(after)
    return graph.finish(made, whole, after)


@translation(L.EinsumDense, *operation_classes("Einsum", "Matmul"))
def _contraction(graph: Translator, node: Node) -> bool:
    """Products summed over the axes that the result has not."""
    operation = node.operation
    if type(operation) is L.EinsumDense:
        if not is_elementwise(operation.activation) or operation.quantization_mode:
            return False
        edges = [node.inputs[0], graph.constant(operation.kernel, f"{node.name}/kernel")]
    else:
        slots, edges = dict(node.slots), []
        for part in operands(node):
            if id(part) not in slots and not is_array(part):
                return False
            edges.append(slots.get(id(part)) or graph.constant(part, f"{node.name}_constant"))
    ranks = [len(edge.shape) for edge in edges]
    is_matmul = type(operation) in operation_classes("Matmul")
    equation = getattr(operation, "equation", "") or getattr(operation, "subscripts", "")
    letters = matmul_letters(ranks) if is_matmul else letters_of(equation, ranks)
    return letters is not None and _Product(graph, node, edges, *letters).translated()


class _Product:
    """A product of one or two tensors, summed over some axes; every axis has a letter."""

    def __init__(
        self, graph: Translator, node: Node, edges: list[Edge], given: list[str], made: str
    ) -> None:
        self.graph, self.node, self.edges, self.given, self.made = graph, node, edges, given, made
        summed = {name for own in given for name in own if name not in made}
        #: The letters of the result, and those that are summed over.
        self.letters = made + "".join(sorted(summed))
        self._names = iter(string.ascii_letters)
        #: How tensors of whole positions name batch, positions and channels.
        self.batch, *self.positions = (next(self._names) for _ in range(3))
        self.channels: dict[str, str] = {}

    def translated(self) -> bool:
        graph, made = self.graph, self.made
        if any(len(set(own)) < len(own) for own in [*self.given, made]):
            return False
        joined = self._joined()
        if joined is None:
            return False
        for name, axis in zip(self.letters, joined.axes, strict=True):
            self.channels[name] = "".join(next(self._names) for p in axis if not p.is_digit)
        side = self._summed_side(joined)
        if side is None or (side >= 0 and not self._holds_pairs()):
            return False
        edges, terms = [], []
        for own, edge in zip(self.given, self.edges, strict=True):
            operand = self._data if edge in graph.data_dependent else self._beside
            found = operand(own, edge, joined, side)
            if found is None:
                return False
            edges.append(found[0])
            terms.append(found[1])
        after = Layout(joined.axes[: len(made)])
        kept = self.positions if joined.is_pair else self.positions[:1]
        if side in (FIRST, SECOND):
            kept = [self.positions[1 - side]]
            after = without_pairs(after)
        result = "".join([self.batch, *kept, *(self.channels[name] for name in made)])
        equation = f"{','.join(terms)}->{result}"
        whole = graph.make(self.node.name, lambda *parts: self._product(equation, parts), *edges)
        return self._finish(whole, after)

    def _product(self, equation: str, parts: Any) -> Any:
        dtype = keras.backend.standardize_dtype(self.node.outputs[0].dtype)
        return ops.einsum(equation, *(ops.cast(part, dtype) for part in parts))

    def _finish(self, whole: Edge, layout: Layout) -> bool:
        graph, node, made = self.graph, self.node, self.node.outputs[0]
        if type(node.operation) is L.EinsumDense:
            bias, activation = node.operation.bias, node.operation.activation
            if bias is not None:
                given = graph.constant(bias, f"{node.name}/bias")
                beside = graph.beside(given, layout)
                if beside is None:
                    return False
                whole = graph.make(
                    node.name, lambda x, b: x + ops.cast(b, whole.dtype), whole, beside
                )
            if activation not in (None, keras.activations.linear):
                whole = graph.make(node.name, activation, whole)
        return graph.finish(made, whole, layout)

    def _on_letters(self, own: str, layout: Layout) -> Layout:
        """A layout with an axis for each letter."""
        axes = dict(zip(own, layout.axes, strict=True))
        return Layout(tuple(axes.get(name, ()) for name in self.letters))

    def _joined(self) -> Layout | None:
        """What lies on the axis of each letter."""
        joined, sizes = None, dict[str, int]()
        for own, edge in zip(self.given, self.edges, strict=True):
            if edge not in self.graph.data_dependent:
                sizes.update(zip(own, map(int, (size or 1 for size in edge.shape)), strict=True))
                continue
            layout = self.graph.layout(edge)
            if layout is None or own[:1] != self.made[:1]:
                return None
            layout = self._on_letters(own, layout)
            joined = layout if joined is None else join(joined, layout)
            if joined is None:
                return None
        if joined is None:
            return None
        # Letters of weights alone are channels.
        missing = [
            channel if not axis and (channel := channel_axis(sizes.get(name, 1))) else axis
            for name, axis in zip(self.letters, joined.axes, strict=True)
        ]
        return Layout((joined.axes[0], *missing[1:]))

    def _holds_pairs(self) -> bool:
        """Whether one of the operands holds pairs of positions."""
        data = [edge for edge in self.edges if edge in self.graph.data_dependent]
        return any(own is not None and own.is_pair for own in map(self.graph.layout, data))

    def _summed_side(self, joined: Layout) -> int | None:
        """The position of a pair that is summed over; -1 for none, None if it cannot be."""
        summed = [part for axis in joined.axes[len(self.made) :] for part in axis if part.is_digit]
        if not summed:
            return -1
        sides = {part.side for part in summed}
        for side in (FIRST, SECOND):
            own = [part for part in joined.parts if part.is_digit and part.side == side]
            if joined.is_pair and sides == {side} and len(own) == len(summed):
                return side
        return None

    def _data(self, own: str, edge: Edge, joined: Layout, side: int) -> tuple[Edge, str] | None:
        """What depends on the data, and its letters."""
        layout = self.graph.layout(edge)
        if layout is None:
            return None
        whole = self.graph.whole(edge)
        channels = "".join(
            self.channels[name] for name, axis in zip(own, layout.axes, strict=True) if axis
        )
        if layout.is_pair:
            if side in (FIRST, SECOND):
                whole = self.graph.masked(whole, layout, 0.0)
            return whole, self.batch + "".join(self.positions) + channels
        held = self._on_letters(own, layout)
        sides = sides_of(joined.on_axes([bool(axis) for axis in held.axes]))
        if len(sides) != 1:
            return None
        return whole, self.batch + self.positions[sides.pop()] + channels

    def _beside(self, own: str, edge: Edge, joined: Layout, side: int) -> tuple[Edge, str] | None:
        """What does not depend on the data, and its letters."""
        axes = dict(zip(self.letters, joined.axes, strict=True))
        layout = Layout(tuple(axes[name] for name in own))
        if own[:1] != self.made[:1]:  # as if it had a batch
            whole = self.graph.make(edge.name, lambda x: x[None], edge)
            layout = Layout(((), *layout.axes))
        else:
            whole = edge
        if any(part.is_digit for part in layout.parts):
            return None
        beside = self.graph.beside(whole, layout)
        if beside is None or None in beside.shape[1:]:
            return None
        sizes = [
            (size, name)
            for size, name in zip(
                (int(size or 1) for size in beside.shape[2:]),
                "".join(self.channels[name] for name in own),
                strict=True,
            )
        ]
        letters = "".join(name for size, name in sizes if size > 1)
        shape = [size for size, _ in sizes if size > 1]
        batch = "" if beside.shape[0] == 1 else self.batch
        head = () if not batch else (-1,)
        flat = self.graph.make(edge.name, lambda x: ops.reshape(x, (*head, *shape)), beside)
        return flat, batch + letters
