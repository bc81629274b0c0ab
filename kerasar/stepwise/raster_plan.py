"""Which tensors of an image network are computed once a row, and which once a pixel.

          columns ->
    row y-2  o o o o o o o o     finished rows: what depends on them alone is computed
    row y-1  o o o o o o o o     for the whole of row y at once, when the row starts
    row y    o o o X . . . .     the row being drawn: what depends on it is computed pixel
                   ^             by pixel, by an `AxisProgram` along the columns

Where a linear map reads both, the sum over its taps in finished rows is computed for the whole row
too, and the pixel adds the taps that lie in its own row:

    kernel of a masked 3×3 convolution     a a a   (a: summed once a row)
                                           p X     (p: added at each pixel)
"""

import dataclasses

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge, Node
from kerasar.layers.protocol import Aligned, Declaration, RowRecurrence, Taps
from kerasar.stepwise.attention_plan import AttentionPlan, plan_attention
from kerasar.stepwise.axis_program import AxisProgram, NotSteppable, Step


@dataclasses.dataclass(frozen=True, eq=False)
class RasterPlan:
    """How an image network is run.

    Attributes:
        analysis: of the network.
        pixels: the part that is computed pixel by pixel.
        row_nodes: the nodes that are computed a row at a time, from input to output.
        row_lead: for each tensor kept by rows: at the start of row y, its row y + lead is made
            (or finished, for what was collected pixel by pixel).
        depth: for each tensor kept by rows, how many rows are read.
        collected: tensors whose rows are collected pixel by pixel.
        length_changes: by how much tensors are larger than the image, (rows, columns).
        sees_present: whether the pixel being drawn is read (color channels in turn).
    """

    analysis: Analysis
    pixels: AxisProgram
    row_nodes: list[Node]
    row_lead: dict[Edge, int]
    depth: dict[tuple[Edge, float], int]
    collected: list[Edge]
    length_changes: dict[Edge, tuple[int, ...]]
    sees_present: bool


def declaration_of(analysis: Analysis, node: Node) -> Declaration:
    """What a node that depends on the data sees.

    Raises:
        NotSteppable: if nothing is known of it.
    """
    declared = analysis.declarations[node]
    if declared is None:
        kind = type(node.operation).__name__
        raise NotSteppable(f"layer '{node.name}' ({kind}) declares nothing")
    return declared


def latest_row(analysis: Analysis, edge: Edge) -> int:
    """The last row offset that a tensor sees."""
    seen = [analysis.dependences[edge].offsets] if edge in analysis.dependences else []
    if edge in analysis.placed:
        seen = list(analysis.placed[edge].axes.values())
    rows = (row for offsets in seen for row, bits in offsets.rows.items() if bits)
    return max(rows, default=-(10**6))


def reads_of(node: Node, declared: Declaration | None) -> list[tuple[Edge, int, int]]:
    """(tensor, row offset, column offset) for each tap, or for each input read in place."""
    if isinstance(declared, Taps):
        return [
            (node.inputs[declared.source(tap)], offset[0], offset[1])
            for tap, offset in enumerate(declared.offsets)
        ]
    return [(edge, 0, 0) for edge in node.inputs]


def plan_raster(analysis: Analysis) -> RasterPlan:
    """Plans an image network.

    Raises:
        NotSteppable: naming the layer that has no step form.
    """
    output = analysis.graph.output
    nodes = list(analysis.declarations)
    length_changes = analysis.length_changes()
    by_pixel = _by_pixel(analysis, nodes)
    sees_present = output in by_pixel and analysis.dependences[output].offsets.has((0, 0))
    attention = plan_attention(analysis)
    try:
        pixels = AxisProgram(
            [_step(analysis, node, attention) for node in nodes if by_pixel & {*node.outputs}],
            analysis.graph.x,
            [output] if output in by_pixel else [],
            {edge: change[1] for edge, change in length_changes.items()},
            2,
            source_lead=0 if sees_present else -1,
            made=by_pixel | {analysis.graph.x},
            caches=attention.caches,
            step_axis=attention.step_axis,
            folds=attention.folds,
            placed=analysis.placed,
        )
    except ValueError as error:
        raise NotSteppable(f"it reads pixels that are not kept: {error}") from None
    for step in pixels.steps:
        if isinstance(step.declared, RowRecurrence) and pixels.lead[step.node.outputs[0]] != 0:
            raise NotSteppable(f"layer '{step.node.name}' comes before a shift")
    row_lead, depth, collected = _rows(analysis, nodes, pixels, by_pixel)
    row_nodes = [
        node
        for node in nodes
        if any(edge in row_lead and edge not in collected for edge in node.outputs)
    ]
    return RasterPlan(
        analysis, pixels, row_nodes, row_lead, depth, collected, length_changes, sees_present
    )


def _step(analysis: Analysis, node: Node, attention: AttentionPlan) -> Step:
    """A node that is computed pixel by pixel, with its taps in the row being drawn."""
    declared = declaration_of(analysis, node)
    if isinstance(declared, Aligned):
        return Step(node, declared, parts=attention.parts[node], ahead=attention.ahead[node])
    if not isinstance(declared, Taps):
        return Step(node, declared)
    taps = tuple(
        (tap, column)
        for tap, (edge, row, column) in enumerate(reads_of(node, declared))
        if row == 0 and latest_row(analysis, edge) == 0
    )
    return Step(node, declared, taps)


def _by_pixel(analysis: Analysis, nodes: list[Node]) -> set[Edge]:
    """The tensors that must be computed pixel by pixel."""
    graph = analysis.graph
    needed = {graph.output} if latest_row(analysis, graph.output) >= 0 else set()
    for node in reversed(nodes):
        declared = declaration_of(analysis, node)
        if not needed.intersection(node.outputs) and not isinstance(declared, Aligned):
            continue
        needed.update(node.outputs)
        for edge, row, _ in reads_of(node, declared):
            if edge not in analysis.data_dependent or row + latest_row(analysis, edge) < 0:
                continue
            if row != 0:
                raise NotSteppable(
                    f"layer '{node.name}' looks down by {row} row(s) into the row being drawn"
                )
            needed.add(edge)
    return needed - {graph.x}


def _rows(
    analysis: Analysis, nodes: list[Node], pixels: AxisProgram, by_pixel: set[Edge]
) -> tuple[dict[Edge, int], dict[tuple[Edge, float], int], list[Edge]]:
    """What is kept by rows: how early, how long, and what is collected pixel by pixel."""
    graph = analysis.graph
    lead: dict[Edge, int] = {}
    wanted: list[tuple[Edge, float, int]] = []  # tensor, padding, row relative to y

    def want(edge: Edge, pad: float, row: int) -> None:
        lead[edge] = max(lead.get(edge, row), row)
        wanted.append((edge, pad, row))

    if graph.output not in by_pixel:
        want(graph.output, 0.0, 0)
    collected = []
    for node in reversed(nodes):
        declared = analysis.declarations[node]
        pad = declared.pad if isinstance(declared, Taps) else 0.0
        reads = [r for r in reads_of(node, declared) if r[0] in analysis.data_dependent]
        if by_pixel.intersection(node.outputs):
            for edge, row, _ in reads:
                if row + latest_row(analysis, edge) < 0:
                    want(edge, pad, row)
            if isinstance(declared, RowRecurrence):
                want(node.inputs[0], 0.0, -1)  # the finished input row
        by_rows = [edge for edge in node.outputs if edge in lead]
        if not by_rows:
            continue
        # A row made pixel by pixel is complete at its end unless it is computed late.
        own = max(lead[edge] for edge in by_rows)
        # One whose rows are longer than the image is not complete then, either.
        if all(
            edge in by_pixel and pixels.lead.get(edge) == 0 and not pixels.length_changes[edge]
            for edge in by_rows
        ):
            collected += by_rows
            lead.update(dict.fromkeys(by_rows, -1))
            continue
        lead.update(dict.fromkeys(node.outputs, own))
        if own + latest_row(analysis, node.outputs[0]) >= 0:
            raise NotSteppable(f"layer '{node.name}' is needed before its rows are drawn")
        if isinstance(declared, RowRecurrence):
            if not declared.runs_whole_rows():
                raise NotSteppable(
                    f"layer '{node.name}' runs along rows, and over rows that are finished already"
                )
            want(node.inputs[0], 0.0, own - 1)
        for edge, row, _ in reads:
            want(edge, pad, own + row)
    if graph.x in lead:
        lead[graph.x] = -1
    depth: dict[tuple[Edge, float], int] = {}
    for edge, pad, row in wanted:
        if row > lead[edge]:
            raise NotSteppable("it looks down beyond the image, to where there is only padding")
        key = (edge, pad)
        depth[key] = max(depth.get(key, 0), lead[edge] - row + 1)
    return lead, depth, collected
