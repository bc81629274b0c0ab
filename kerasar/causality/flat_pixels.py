"""Images as sequences of pixels: networks that put the pixels in a row before they mix them.

Image GPT, or an LSTM over all pixels, begin with a reshape from (height, width, channels) to
(height · width, channels) and end with one back. In between such a network is one on sequences:

    x (H, W, C)  ->  (H · W, C)  -> attention, recurrences, convolutions along the row ->  (H, W, …)
      └── elements alone ──┘                                                     └─ elements alone ┘

The positions of the graph are then pixels, or values, in raster order, which is the autoregressive
order of images.
"""

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np

from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.moves import BROADCASTS, RESHAPES
from kerasar.causality.rules.activations import is_elementwise
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES, MERGES, is_array
from kerasar.keras_internals import automatic_names_kept, made_by, operation_classes
from kerasar.layers.split_channels import SplitChannels
from kerasar.typing import Shape

L = keras.layers

_RESHAPES = (RESHAPES - BROADCASTS) | frozenset(operation_classes("ExpandDims"))
_BY_ELEMENT = ELEMENTWISE_CLASSES | {
    L.Embedding, L.Dense, L.Rescaling, L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.Identity,
    L.LayerNormalization, L.RMSNormalization, L.Concatenate, SplitChannels, *MERGES,
}  # fmt: skip
_OF_CHANNELS = (
    L.Dense, L.LayerNormalization, L.RMSNormalization, L.Concatenate, SplitChannels,
)  # fmt: skip
_SLICES = frozenset(operation_classes("GetItem"))


def flat_pixels(graph: Graph) -> Iterator[Graph]:
    """The same network as one on sequences, of pixels or of values, if it may be one.

    Args:
        graph: of a network on images.
    """
    if None in graph.x.shape[1:]:
        return
    for axes in (2, 3):
        found = _Flattened(graph, axes).graph()
        if found is not None:
            yield found


def on_image(offsets: Offsets, sizes: tuple[int | None, ...], image: Shape) -> Offsets:
    """Offsets along a row of pixels, or values, as those between the pixels of the image.

    Args:
        offsets: of a graph made by `flat_pixels`.
        sizes: of its data: the number of positions.
        image: (height, width).
    """
    (count,), (height, width) = _static(sizes), _static(image)
    each = count // (height * width)
    start = np.arange(width * each)
    lags = np.array([lag for (lag,) in offsets.members(sizes)], int)
    seen = start[None] + lags[:, None]
    rows, columns = seen // (width * each), seen % (width * each) // each - start // each
    inside = np.abs(rows) < height
    pairs = np.unique(np.stack([rows[inside], columns[inside]], -1), axis=0)
    return Offsets.of(2, [(int(row), int(column)) for row, column in pairs])


class _Flattened:
    """Goes through a graph and puts tensors of images in a row.

    Args:
        graph: of a network on images.
        axes: how many of them become one: of the pixels, or of the values.
    """

    def __init__(self, graph: Graph, axes: int) -> None:
        self.whole, self.axes = graph, axes
        self.sizes = graph.x.shape[1 : 1 + axes]
        self.count = int(np.prod(self.sizes))  # type: ignore[arg-type]
        #: The tensors of images as they are now, and those that hold sequences.
        self.flat = {graph.x: self._flat(graph.x)}
        self.in_a_row: set[Edge] = set()

    def graph(self) -> Graph | None:
        """The graph on sequences; None if there is none."""
        nodes = []
        for node in self.whole.nodes:
            made = self._node(node)
            if made is None:
                return None
            nodes.append(made)
        if self.whole.output not in self.flat or not self.in_a_row:
            return None
        return dataclasses.replace(
            self.whole,
            nodes=tuple(nodes),
            x=self.flat[self.whole.x],
            output=self.flat[self.whole.output],
            position_rank=1,
            raster=tuple(_static(self.whole.x.shape[1:3])),
        )

    def _flat(self, edge: Edge) -> Edge:
        shape = (edge.shape[0], self.count, *edge.shape[1 + self.axes :])
        return Edge(shape, edge.dtype, edge.name)

    def _node(self, node: Node) -> Node | None:
        kind, made = type(node.operation), node.outputs[0]
        is_image = made.shape[1 : 1 + self.axes] == self.sizes
        if not any(edge in self.flat for edge in node.inputs):
            in_a_row = bool(self.in_a_row.intersection(node.inputs))
            if in_a_row and kind in _RESHAPES and is_image:
                return self._reshape(node, node.inputs[0])
            if in_a_row:
                self.in_a_row.update(node.outputs)
            return node
        if kind in _RESHAPES:
            is_row = made.shape[1:2] == (self.count,)
            return self._reshape(node, self.flat[node.inputs[0]]) if is_image or is_row else None
        known = all(edge in self.flat for edge in node.inputs)
        return (
            self._by_element(node)
            if is_image and known and is_by_element(node, self.axes)
            else None
        )

    def _reshape(self, node: Node, source: Edge) -> Node:
        made = node.outputs[0]
        if made.shape[1 : 1 + self.axes] == self.sizes:
            self.flat[made] = made = self._flat(made)
        else:
            self.in_a_row.add(made)
        return reshape_node(node.name, source, made)

    def _by_element(self, node: Node) -> Node:
        self.flat.update({edge: self._flat(edge) for edge in node.outputs})
        made = tuple(self.flat[edge] for edge in node.outputs)
        return dataclasses.replace(node.reading(self.flat), outputs=made)


def reshape_node(name: str, source: Edge, made: Edge) -> Node:
    """A reshape from one tensor to another."""
    fresh = keras.KerasTensor(source.shape, source.dtype)
    with automatic_names_kept():
        call = made_by(keras.ops.reshape(fresh, (-1, *_static(made.shape[1:]))))
    return Node(call.operation, name, (source,), (made,), call.arguments, ((id(fresh), source),))


def is_by_element(node: Node, axes: int) -> bool:
    """Whether an operation treats each position by itself, on however many axes they lie.

    Args:
        node: one use of the operation, of inputs of which each has all positions.
        axes: how many axes hold them.
    """
    if type(node.operation) in _SLICES:
        args, kwargs = node.constants
        key = [*args, *kwargs.values()][1]
        return axes < 3 and isinstance(key, tuple) and key[:1] == (Ellipsis,)
    if type(node.operation) in _OF_CHANNELS and len(node.inputs[0].shape) < axes + 2:
        return False
    arrays = filter(is_array, keras.tree.flatten(node.constants))
    same_rank = len({len(edge.shape) for edge in node.inputs}) == 1
    of_elements = type(node.operation) is L.Activation and is_elementwise(node.operation)
    return (
        (of_elements or type(node.operation) in _BY_ELEMENT)
        and same_rank
        and getattr(node.operation, "axis", None) in (None, -1, [-1], (-1,))
        and all(np.size(array) == 1 for array in arrays)
    )


def _static(shape: Shape) -> list[int]:
    return [int(size or 1) for size in shape]
