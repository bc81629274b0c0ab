"""Dense layers: on a column as on a stream, and on a map that was flattened before."""

import numpy as np

from kerasar.causality.graph import Node
from kerasar.convolutionalize.column_rules.common import Entries, check_weights, sizes
from kerasar.convolutionalize.streams import ZERO, Read, Streams, WeightedSum


def dense(node: Node, entries: Entries, streams: Streams) -> Entries:
    """On a column as on a stream; on a flattened map each stream meets its part of the kernel."""
    layer = node.operation
    check_weights(layer, node)
    shape, width = sizes(node), sizes(node)[-1]
    vectors = entries[0].reshape(-1, *entries[0].shape[-2:])
    size = vectors.shape[1]
    made = []
    for vector, whole in zip(vectors, streams.whole(vectors).tolist(), strict=True):
        if whole:
            op = WeightedSum(layer, (0,), (size,), None, node=node)
            read = (int(vector[0, 0]), int(vector[0, 1]))
            made.append(streams.add(op, [read], width, size * width))
        else:
            made.append(
                _joined(node, vector, width, streams) or _weighed(node, vector, width, streams)
            )
    return [streams.entries(made, width).reshape(*shape, 3)]


def _joined(node: Node, vector: np.ndarray, width: int, streams: Streams) -> Read | None:
    """The same from columns that are joined first, if they are one stream; None if not wanted."""
    if not streams.join_first:
        return None
    cuts = np.flatnonzero(np.diff(vector[:, 1])) + 1
    size = int(cuts[0]) if len(cuts) else len(vector)
    if len(vector) % size or (cuts % size).any():
        return None
    reads = [(int(s), int(shift)) for s, shift in streams.columns(vector.reshape(-1, size, 3))]
    if len({stream for stream, _ in reads}) != 1 or reads[0][0] == ZERO:
        return None
    rows = tuple(range(0, len(vector), size))
    op = WeightedSum(node.operation, rows, (size,) * len(rows), None, node=node)
    return streams.add(op, reads, width, len(vector) * width)


def _weighed(node: Node, vector: np.ndarray, width: int, streams: Streams) -> Read:
    """The sum of kernel rows times the elements of one vector."""
    rows = np.flatnonzero(vector[:, 0] != ZERO)
    if not len(rows):
        zeros = streams.filled([(ZERO, 0)], len(vector), node.inputs[0].dtype)
        op = WeightedSum(node.operation, (0,), (len(vector),), None, node=node)
        return streams.add(op, zeros, width, len(vector) * width)
    stream, shift, channel = vector[rows].T
    # The same element may come twice: then its second row belongs to a tap of its own.
    sort = np.lexsort((rows, channel, -shift, stream))
    keys = vector[rows][sort]
    fresh = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)])
    number = np.arange(len(keys))
    copies = np.empty(len(keys), int)
    copies[sort] = number - np.maximum.accumulate(np.where(fresh, number, 0))
    sort = np.lexsort((rows, channel, -shift, stream, copies))
    tap = np.stack([copies, stream, shift], axis=1)[sort]
    starts = np.flatnonzero(np.concatenate([[True], (tap[1:] != tap[:-1]).any(axis=1)]))
    stops = np.append(starts[1:], len(tap))
    reads, tables = [], []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        _, source, at = tap[start].tolist()
        table = np.full(streams.all[source].width, -1)
        table[channel[sort[start:stop]]] = rows[sort[start:stop]]
        reads.append((source, at))
        tables.append(table)
    widths = tuple(len(table) for table in tables)
    natural = all((t == t[0] + np.arange(len(t))).all() and t[0] >= 0 for t in tables)
    if natural:
        firsts, order = [int(table[0]) for table in tables], None
    else:
        firsts = np.concatenate([[0], np.cumsum(widths)[:-1]]).tolist()
        order = tuple(np.concatenate(tables).tolist())
    op = WeightedSum(node.operation, tuple(firsts), widths, order, node=node)
    return streams.add(op, reads, width, len(rows) * width)
