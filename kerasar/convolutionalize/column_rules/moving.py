"""Operations that only rename, repeat or drop columns."""

from typing import Any

import numpy as np

from kerasar.causality.graph import Edge, Node
from kerasar.convolutionalize.column_rules.common import Entries, Refused
from kerasar.convolutionalize.streams import ZERO, Streams


def moved(node: Node, entries: Entries, streams: Streams) -> Entries:
    """The operation itself shows where it puts each element: it is run on their names.

    Zeros stand for padding. A second example, named otherwise, shows that nothing else enters.
    """
    flat = np.concatenate([[[ZERO, 0, 0]], *[part.reshape(-1, 3) for part in entries]])
    count, start = len(flat), 1
    values: dict[Edge, Any] = {}
    for edge, part in zip(node.inputs, entries, strict=True):
        names = np.arange(start, start + part[..., 0].size).reshape(part.shape[:-1])
        start += names.size
        values[edge] = np.stack([names, names + count]).astype("int32")
    found = []
    for output in node.run(values):
        names = np.asarray(output)
        if len(names) != 2 or not (names[1] == np.where(names[0], names[0] + count, 0)).all():
            raise Refused("it moves elements between examples, or adds elements of its own")
        found.append(flat[names[0]])
    return found
