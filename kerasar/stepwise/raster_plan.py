"""Which tensors of an image network are computed once a row, and which once a pixel.

What depends on finished rows only is computed for a whole row at once when the row starts. What
depends on the row being drawn is computed pixel by pixel, on a `Line` along the columns. The
part of a convolution that reads finished rows is summed for the whole row too, if it is linear.
"""

import dataclasses

from kerasar.causality.analysis import Reading
from kerasar.causality.graph import Edge, Node
from kerasar.layers.protocol import Declaration, Recurrence, RowRecurrence, Taps
from kerasar.stepwise.line import Job, Line


class NotSteppable(ValueError):
    """The network is causal, but the engine cannot run it step by step."""


@dataclasses.dataclass(frozen=True, eq=False)
class RasterPlan:
    """How an image network is run.

    Attributes:
        line: the part that is computed pixel by pixel.
        row_nodes: the nodes that are computed a row at a time, from input to output.
        row_lead: for each tensor kept by rows: at the start of row y, its row y + lead is made
            (or finished, for what was collected pixel by pixel).
        depth: for each tensor kept by rows, how many rows are read.
        collected: tensors whose rows are collected from the line.
        growth: by how much tensors are larger than the image, (rows, columns).
        present: whether the line reads the pixel being drawn (colour channels in turn).
    """

    reading: Reading
    line: Line
    row_nodes: list[Node]
    row_lead: dict[Edge, int]
    depth: dict[tuple[Edge, float], int]
    collected: list[Edge]
    growth: dict[Edge, tuple[int, int]]
    present: bool

    def declared(self, node: Node) -> Declaration:
        """What a node on the data's way sees."""
        found = self.reading.declarations[node]
        assert_known(node, found)
        return found  # type: ignore[return-value]


def assert_known(node: Node, declared: Declaration | None) -> None:
    """Raises `NotSteppable` for a node of which nothing is known."""
    if declared is None:
        raise NotSteppable(
            f"layer '{node.name}' ({type(node.operation).__name__}) declares nothing"
        )


def latest_row(reading: Reading, edge: Edge) -> int:
    """The last row offset that a tensor sees."""
    offsets = reading.seen[edge].offsets
    return max((row for row, bits in offsets.rows.items() if bits), default=-(10**6))


def reads_of(node: Node, declared: Declaration | None) -> list[tuple[Edge, int, int]]:
    """(tensor, row offset, column offset) for each tap, or for each input read in place."""
    if isinstance(declared, Taps):
        return [
            (node.inputs[declared.source(number)], offset[0], offset[1])
            for number, offset in enumerate(declared.offsets)
        ]
    return [(edge, 0, 0) for edge in node.inputs]


def plan_raster(reading: Reading) -> RasterPlan:
    """Plans an image network.

    Raises:
        NotSteppable: naming the layer that has no step form.
    """
    graph = reading.graph
    nodes = [node for node in graph.nodes if node in reading.declarations]
    growth = _growth(reading, nodes)
    on_line = _on_line(reading, nodes)
    jobs = []
    for node in nodes:
        if not on_line.intersection(node.outputs):
            continue
        declared = reading.declarations[node]
        assert_known(node, declared)
        taps: tuple[tuple[int, int], ...] = ()
        if isinstance(declared, Taps):
            taps = tuple(
                (number, column)
                for number, (edge, row, column) in enumerate(reads_of(node, declared))
                if row == 0 and latest_row(reading, edge) == 0
            )
        jobs.append(Job(node, declared, taps))  # type: ignore[arg-type]
    outputs = [graph.output] if graph.output in on_line else []
    present = bool(outputs) and reading.seen[graph.output].offsets.has((0, 0))
    line = Line(
        jobs,
        graph.x,
        outputs,
        {edge: grow[1] for edge, grow in growth.items()},
        2,
        source_lead=0 if present else -1,
        made=on_line | {graph.x},
    )
    for job in line.jobs:
        if isinstance(job.declared, RowRecurrence) and line.lead[job.node.outputs[0]] != 0:
            raise NotSteppable(f"layer '{job.node.name}' stands before a shift")
    row_lead, depth, collected = _rows(reading, nodes, line, on_line)
    row_nodes = [
        node
        for node in nodes
        if any(edge in row_lead and edge not in collected for edge in node.outputs)
    ]
    return RasterPlan(reading, line, row_nodes, row_lead, depth, collected, growth, present)


def _growth(reading: Reading, nodes: list[Node]) -> dict[Edge, tuple[int, int]]:
    growth = {reading.graph.x: (0, 0)}
    for node in nodes:
        source = next(edge for edge in node.inputs if edge in growth)
        declared = reading.declarations[node]
        grow = (declared.grow if isinstance(declared, Taps) else None) or (0, 0)
        for edge in node.outputs:
            growth[edge] = (growth[source][0] + grow[0], growth[source][1] + grow[1])
    return growth


def _on_line(reading: Reading, nodes: list[Node]) -> set[Edge]:
    """The tensors that must be computed pixel by pixel."""
    graph = reading.graph
    needed = {graph.output} if latest_row(reading, graph.output) >= 0 else set()
    for node in reversed(nodes):
        if not needed.intersection(node.outputs):
            continue
        needed.update(node.outputs)
        declared = reading.declarations[node]
        assert_known(node, declared)
        if isinstance(declared, Recurrence):
            raise NotSteppable(f"layer '{node.name}' is a recurrence over a sequence")
        if isinstance(declared, RowRecurrence) and latest_row(reading, node.inputs[0]) < 0:
            raise NotSteppable(f"layer '{node.name}' runs over rows that are finished already")
        for edge, row, _ in reads_of(node, declared):
            if edge not in reading.tainted or row + latest_row(reading, edge) < 0:
                continue
            if row != 0:
                raise NotSteppable(
                    f"layer '{node.name}' looks down by {row} row(s) into the row being drawn"
                )
            needed.add(edge)
    return needed - {graph.x}


def _rows(
    reading: Reading, nodes: list[Node], line: Line, on_line: set[Edge]
) -> tuple[dict[Edge, int], dict[tuple[Edge, float], int], list[Edge]]:
    """What is kept by rows: how early, how long, and what is collected from the line."""
    graph = reading.graph
    lead: dict[Edge, int] = {}
    wanted: list[tuple[Edge, float, int]] = []  # tensor, padding, row relative to y

    def want(edge: Edge, pad: float, row: int) -> None:
        lead[edge] = max(lead.get(edge, row), row)
        wanted.append((edge, pad, row))

    if graph.output not in on_line:
        want(graph.output, 0.0, 0)
    collected = []
    for node in reversed(nodes):
        declared = reading.declarations[node]
        pad = declared.pad if isinstance(declared, Taps) else 0.0
        reads = [r for r in reads_of(node, declared) if r[0] in reading.tainted]
        if on_line.intersection(node.outputs):
            for edge, row, _ in reads:
                if row + latest_row(reading, edge) < 0:
                    want(edge, pad, row)
            if isinstance(declared, RowRecurrence):
                want(node.inputs[0], 0.0, -1)  # the finished input row
        by_rows = [edge for edge in node.outputs if edge in lead]
        if not by_rows:
            continue
        # A finished row of the line is complete unless the line runs behind the pixel.
        own = max(lead[edge] for edge in by_rows)
        if all(edge in on_line and line.lead.get(edge) == 0 for edge in by_rows):
            collected += by_rows
            for edge in by_rows:
                lead[edge] = -1
            continue
        for edge in node.outputs:
            lead[edge] = own
        if own + latest_row(reading, node.outputs[0]) >= 0:
            raise NotSteppable(f"layer '{node.name}' is needed before its rows are drawn")
        for edge, row, _ in reads:
            want(edge, pad, own + row)
    if graph.x in lead:
        lead[graph.x] = -1
    depth: dict[tuple[Edge, float], int] = {}
    for edge, pad, row in wanted:
        key = (edge, pad)
        depth[key] = max(depth.get(key, 0), lead[edge] - row + 1)
    return lead, depth, collected
