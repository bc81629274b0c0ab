"""What becomes of each layer of a window model, and what it saves."""

import dataclasses

import keras
import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.causality.graph import Node
from kerasar.convolutionalize.column_rules import is_move
from kerasar.convolutionalize.plan import Plan, plan
from kerasar.convolutionalize.streams import ZERO, Pool, Read, Stream, WeightedSum


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """What becomes of one layer.

    Attributes:
        name: of the layer.
        kind: its class.
        columns: how many columns the window model computes in it, for each window.
        streams: how many streams they are.
        dilation: distance of the taps, if the layer is one stream that reads one other at even
            steps; else None.
        form: what it is in practice, in words.
        theory: multiplications (operations, where there are no weights) for each prediction.
        practice: the same after the conversion.
        reads: its columns as (stream, shift), from the earliest on, for pictures.
    """

    name: str
    kind: str
    columns: int
    streams: int
    dilation: int | None
    form: str
    theory: int
    practice: int
    reads: tuple[Read, ...]


@dataclasses.dataclass(frozen=True)
class ConvolutionReport:
    """What `convolutionalize` makes of a window model; `print` shows it as a table.

    Attributes:
        name: of the window model.
        window: how many values a prediction sees.
        layers: those that compute something; what only renames columns costs nothing.
        columns: of all layers.
        streams: of all layers.
        theory: operations for each prediction, window by window.
        practice: operations for each prediction in one pass.
        reads: for each stream what it reads, as (stream, shift); the first are the data.
    """

    name: str
    window: int
    layers: tuple[LayerReport, ...]
    columns: int
    streams: int
    theory: int
    practice: int
    reads: dict[int, tuple[Read, ...]]

    def __str__(self) -> str:
        head = ["layer", "columns", "streams", "dilation", "in theory", "in practice", "becomes"]
        table = [head]
        for row in self.layers:
            dilation = "" if row.dilation is None else str(row.dilation)
            table.append(
                [
                    f"{row.name} ({row.kind})",
                    *[f"{number:,}" for number in (row.columns, row.streams)],
                    dilation,
                    *[f"{number:,}" for number in (row.theory, row.practice)],
                    row.form,
                ]
            )
        totals = [f"{n:,}" for n in (self.columns, self.streams, self.theory, self.practice)]
        ratio = f"{self.theory / max(self.practice, 1):.1f} times less"
        table.append(["together", *totals[:2], "", *totals[2:], ratio])
        widths = [max(len(line[i]) for line in table) for i in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, 6) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        return "\n".join([f"{self.name}, window of {self.window}", *lines])


@checks_arguments
def convolution_report(window_model: keras.Model) -> ConvolutionReport:
    """Says what `convolutionalize` makes of each layer, and the arithmetic that it saves.

    `kerasar.pictures.convolution_figure` draws it.

    Args:
        window_model: as for `convolutionalize`.

    Returns:
        A report; `print` shows it as a table.

    Raises:
        TypeError, ValueError: as for `convolutionalize`.
    """
    found = plan(window_model)
    by_number = {stream.number: stream for stream in found.streams}
    layers = [_layer(node, found, by_number) for node in found.graph.nodes if not is_move(node)]
    computed = [stream for stream in found.streams if stream.op is not None]
    return ConvolutionReport(
        found.graph.name,
        found.window,
        tuple(layers),
        sum(row.columns for row in layers),
        len(computed),
        sum(row.theory for row in layers),
        sum(stream.cost for stream in computed),
        {stream.number: stream.reads for stream in found.streams},
    )


def _layer(node: Node, found: Plan, by_number: dict[int, Stream]) -> LayerReport:
    entries = np.concatenate([found.entries[edge].reshape(-1, 3) for edge in node.outputs])
    found_first = np.sort(np.unique(entries[:, :2], axis=0, return_index=True)[1])
    columns = [tuple(column) for column in entries[found_first, :2].tolist()]
    columns = [(stream, shift) for stream, shift in columns if stream != ZERO]
    streams = {stream: by_number[stream] for stream, _ in columns if stream in by_number}
    dilation, form = _form(node, list(streams.values()))
    return LayerReport(
        node.name,
        type(node.operation).__name__,
        len(columns),
        len(streams),
        dilation,
        form,
        sum(streams[stream].cost for stream, _ in columns if stream in streams),
        sum(stream.cost for stream in streams.values()),
        tuple(columns),
    )


def _form(node: Node, streams: list[Stream]) -> tuple[int | None, str]:
    """The dilation, and what a layer is in practice."""
    kind = type(node.operation).__name__
    if len(streams) != 1:
        return None, f"{len(streams)} streams" if streams else "nothing: it is not used"
    (stream,) = streams
    sources = {source for source, _ in stream.reads}
    shifts = sorted(shift for _, shift in stream.reads)
    steps = {int(step) for step in np.diff(shifts)}
    if not isinstance(stream.op, (WeightedSum, Pool)) or len(shifts) == 1:
        return None, f"{kind}, each step"
    if len(sources) != 1 or len(steps) != 1 or 0 in steps:
        return None, f"1 stream, {len(shifts)} taps"
    (step,) = steps
    if isinstance(stream.op, Pool):
        kind = "DilatedPooling1D"
    elif kind == "Dense":
        kind = "Conv1D"
    return step, f"{kind}, {len(shifts)} taps, dilation {step}"
