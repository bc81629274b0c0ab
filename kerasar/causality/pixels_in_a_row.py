"""Parts of an image network that run over all pixels in a row, put back onto the image.

    x (H, W, C) ─┬─ convolutions over the image ──────────────────────────┬─ … (H, W, K)
                 └─ (H · W, C) ─ shift, recurrence, … ─ (H, W, C)─────────┘

`flat_pixels` reads networks that are sequences of pixels as a whole. Here the reshapes around such
a part are left out, and what is between them runs on images: `raster_operations`. Attention stays
as it is: where its positions lie is followed anyway.
"""

import dataclasses
from collections.abc import Iterator

import keras

from kerasar.causality.flat_pixels import is_by_element, reshape_node
from kerasar.causality.graph import Edge, Graph, Node
from kerasar.causality.pairs.moves import BROADCASTS, RESHAPES
from kerasar.causality.raster_operations import over_pixels
from kerasar.causality.rules import declaration
from kerasar.typing import Shape

_RESHAPES = RESHAPES - BROADCASTS


def pixels_in_a_row(graph: Graph) -> Iterator[Graph]:
    """The same network with such parts on images, if it has some.

    Args:
        graph: of a network on images.
    """
    if None in graph.x.shape[1:]:
        return
    found = _OnImages(graph).graph()
    if found is not None:
        yield found


class _OnImages:
    """Goes through a graph and puts rows of pixels back.

    Args:
        graph: of a network on images.
    """

    def __init__(self, graph: Graph) -> None:
        self.whole = graph
        self.height, self.width = (int(size) for size in graph.x.shape[1:3])  # type: ignore[arg-type]
        #: The image that stands for a row of pixels, and for an image that was made of one.
        self.images: dict[Edge, Edge] = {}
        self.stand_for: dict[Edge, Edge] = {}
        self.rows: set[Edge] = set()
        self.nodes: list[Node] = []
        self.found = False

    def graph(self) -> Graph | None:
        for node in self.whole.nodes:
            self._add(node.reading(self.stand_for))
        if not self.found:
            return None
        output = self.stand_for.get(self.whole.output, self.whole.output)
        return dataclasses.replace(self.whole, nodes=tuple(self.nodes), output=output)

    def _add(self, node: Node) -> None:
        if type(node.operation) in _RESHAPES and self._is_reshaped(node):
            return
        images = [self.images.get(edge) for edge in node.inputs]
        if images and None not in images:
            made = self._on_image(node)
            if made is not None:
                self.nodes.append(made)
                return
        for edge in node.inputs:
            if edge in self.images and edge not in self.rows:  # read as a row of pixels after all
                self.rows.add(edge)
                self.nodes.append(reshape_node(node.name, self.images[edge], edge))
        self.nodes.append(node)

    def _is_reshaped(self, node: Node) -> bool:
        """Whether a node only puts pixels in a row, or back, and so is left out."""
        (source, *others), (made, *_) = node.inputs, node.outputs
        if others:
            return False
        count, sizes = self.height * self.width, (self.height, self.width)
        if source.shape[1:3] == sizes and made.shape[1:2] == (count,):
            self.images[made] = self._of_tail(node, source, made.shape[2:])
            return True
        if source in self.images and made.shape[1:3] == sizes:
            self.stand_for[made] = self._of_tail(node, self.images[source], made.shape[3:])
            return True
        return False

    def _of_tail(self, node: Node, image: Edge, tail: Shape) -> Edge:
        """An image with the axes behind its pixels as they are asked for."""
        if image.shape[3:] == tail:
            return image
        made = Edge((*image.shape[:3], *tail), image.dtype, image.name)
        self.nodes.append(reshape_node(node.name, image, made))
        return made

    def _on_image(self, node: Node) -> Node | None:
        """An operation on rows of pixels as one on images; None if it stays as it is."""
        (made, *others), count = node.outputs, self.height * self.width
        if others or made.shape[1:2] != (count,):
            return None
        operation = node.operation
        if not is_by_element(node, 1):
            is_plain = all(isinstance(part, keras.KerasTensor) for part in node.arguments.args)
            if len(node.inputs) > 1 or not is_plain:
                return None
            declared = declaration(node, 1, set(node.inputs))
            operation = over_pixels(operation, declared, self.width)
            if operation is None:
                return None
            self.found = True
        image = Edge(
            (made.shape[0], self.height, self.width, *made.shape[2:]), made.dtype, made.name
        )
        self.images[made] = image
        return dataclasses.replace(node.reading(self.images), operation=operation, outputs=(image,))
