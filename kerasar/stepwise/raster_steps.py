"""The step form of an image network: rows at their start, then pixel by pixel.

start_row(y)    finished rows of `RowState`  ->  `RowInputs`: what the row's pixels read
  pixel(0)      one step along the columns for each pixel; the caller draws it
  pixel(1)
    …
finish_row(y)   the drawn row and what was collected of it  ->  the next `RowState`
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.causality.analysis import Analysis
from kerasar.causality.graph import Edge, Node
from kerasar.layers.linear_taps import weighted_sum
from kerasar.layers.protocol import RowRecurrence, Taps
from kerasar.stepwise.axis_execution import AxisExecution, AxisState
from kerasar.stepwise.axis_program import Part, Step, takes_whole, tap_matrix
from kerasar.stepwise.raster_plan import RasterPlan, declaration_of, plan_raster, reads_of
from kerasar.stepwise.rings import Rings, clipped, masked, padding
from kerasar.stepwise.sequence_steps import cut_part, slice_at
from kerasar.typing import Tensor


class RasterProgram:
    """A causal image network, ready to be run pixel by pixel.

    Args:
        analysis: of a network that `check_causal` accepts.

    Raises:
        NotSteppable: naming the layer that has no step form.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.graph = analysis, analysis.graph
        self.plan = plan_raster(analysis)

    @property
    def has_caches(self) -> bool:
        """Whether tensors are kept for all positions, as attention needs it."""
        return bool(self.plan.pixels.caches)

    @property
    def look_ahead(self) -> int:
        """How many rows further on an output may read tensors that look ahead."""
        return max([0, *self.plan.row_lead.values()])

    def bind(
        self,
        batch: Tensor,
        size: tuple[Tensor, Tensor],
        conditions: list[Tensor],
        rings: Rings,
    ) -> "RasterExecution":
        """Everything that is computed once: conditions, weights; call it outside the loops."""
        known = self.analysis.compute_conditions(conditions, batch)
        return RasterExecution(self.plan, batch, size, known, rings)


class RowInputs(NamedTuple):
    """What the pixels of row `y` read from outside of it: by column, `(width, batch, …)`."""

    inputs: dict[Edge, Tensor]
    parts: dict[Step, Any]
    y: Tensor


class RowState(NamedTuple):
    """What is passed from row to row: finished rows, what recurrences keep and carry, caches.

    `whole` is what recurrences that run a row at a time keep and carry.
    """

    rows: list[Tensor]
    kept: list[Any]
    carries: list[Any]
    whole: list[tuple[Any, Any]]
    caches: list[Tensor]


#: For each tensor and padding the rows that are read again, the newest last.
_Rows = dict[tuple[Edge, float], list[Tensor]]


class RasterExecution:
    """One run of the step form; states are passed from row to row and from pixel to pixel."""

    def __init__(
        self,
        plan: RasterPlan,
        batch: Tensor,
        size: tuple[Tensor, Tensor],
        known: dict[Edge, Tensor],
        rings: Rings,
    ) -> None:
        self.plan, self.batch, self.known = plan, batch, known
        self.height, self.width = size
        slots = self.height * self.width
        self.pixels = AxisExecution(plan.pixels, batch, self.width, rings, slots)
        self.recurrences = [
            (step, step.declared)
            for step in plan.pixels.steps
            if isinstance(step.declared, RowRecurrence)
        ]
        #: Recurrences that run a row at a time.
        self.row_recurrences = {
            node: declared
            for node in plan.row_nodes
            if isinstance(declared := declaration_of(plan.analysis, node), RowRecurrence)
        }
        #: For each step the taps that read finished rows.
        self.above = {step: _taps_above(step) for step in plan.pixels.steps}
        self.row_weights: dict[Node | Step, Tensor] = {}
        for node in plan.row_nodes:
            declared = declaration_of(plan.analysis, node)
            if isinstance(declared, Taps) and declared.matrices is not None:
                self.row_weights[node] = tap_matrix(declared, [*range(len(declared.offsets))])
        for step, taps in self.above.items():
            if taps and isinstance(step.declared, Taps) and step.declared.matrices is not None:
                self.row_weights[step] = tap_matrix(step.declared, taps)

    @property
    def has_caches(self) -> bool:
        """Whether tensors are kept for all positions."""
        return bool(self.plan.pixels.caches)

    # Rows.

    @property
    def first_row(self) -> int:
        """Rows from here to -1 are prepared for readers that look ahead; nothing is drawn."""
        return -max([0, *self.plan.row_lead.values()])

    def extent(self, stop: Tensor) -> Tensor:
        """How many positions of what is kept whole are read by the rows before `stop`."""
        return self.pixels.extent(stop * self.width)

    def grown(self, rows: RowState, extent: int) -> RowState:
        """The state with room in its caches for more positions."""
        return rows._replace(caches=self.pixels.grown(rows.caches, extent))

    def initial(self, extent: Tensor | None = None) -> RowState:
        """The state above the first row: padding, initial states.

        Args:
            extent: for how many positions caches have room; None: for all.
        """
        rows: _Rows = {}
        for (edge, pad), depth in self.plan.depth.items():
            shape = (self.batch, 1, self._width_of(edge), *edge.shape[3:])
            row = tf.fill(tf.stack(shape), padding(pad, edge.dtype))
            row = tf.ensure_shape(row, [_static(size) for size in shape])
            rows[edge, pad] = [row] * depth
        starts = [r.initial_rows(self.batch, self.width) for _, r in self.recurrences]
        kept, carries = [kept for kept, _ in starts], [carry for _, carry in starts]
        whole = [
            recurrence.initial_rows(self.batch, self._width_of(node.outputs[0]))
            for node, recurrence in self.row_recurrences.items()
        ]
        return RowState(self._flat(rows), kept, carries, whole, self.pixels.no_caches(extent))

    def start_row(self, y: Tensor, above: RowState) -> tuple[RowInputs, RowState]:
        """Computes what depends on finished rows only, for row `y`."""
        rows = self._by_edge(above.rows)
        whole = dict(zip(self.row_recurrences, above.whole, strict=True))
        for node in self.plan.row_nodes:
            if node in whole:
                made, whole[node] = self._recur_row(node, rows, whole[node], y)
            else:
                made = self._run_row(node, rows, y)
            for edge, value in zip(node.outputs, made, strict=True):
                self._push(rows, edge, value, y)
        parts = self._row_parts(rows)
        recurrent_parts, carries = self._recurrent_parts(rows, above, y)
        inputs = RowInputs(self._external_rows(rows, y), parts | recurrent_parts, y)
        states = [*whole.values()]
        return inputs, RowState(self._flat(rows), above.kept, carries, states, above.caches)

    def finish_row(
        self, y: Tensor, above: RowState, x: Tensor, collected: list[Tensor], state: AxisState
    ) -> RowState:
        """Keeps the rows that were drawn; `x` and `collected` are `(width, batch, …)`.

        `collected` holds, in the order of `collected_shapes`, tensors made pixel by pixel and then
        what recurrences keep.
        """
        rows = self._by_edge(above.rows)
        edges = self.plan.collected
        kept = [_swap_batch(value) for value in collected[len(edges) :]]
        drawn = [(self.plan.analysis.graph.x, x)]
        drawn += zip(edges, collected[: len(edges)], strict=True)
        for edge, value in drawn:
            # Kept for the next row, where this one is row -1.
            if edge in self.plan.row_lead:
                self._push(rows, edge, _swap_batch(value)[:, None], y + 1)
        kept = tf.nest.pack_sequence_as(above.kept, kept)
        return RowState(self._flat(rows), kept, above.carries, above.whole, state.caches)

    def collected_shapes(self, above: RowState) -> list[tuple[Any, tuple[int | None, ...]]]:
        """(dtype, shape) of what each pixel adds to the row."""
        batch = _static(self.batch)
        plain = [(edge.dtype, (batch, *edge.shape[3:])) for edge in self.plan.collected]
        kept = [
            (value.dtype, (value.shape[0], *value.shape[2:]))
            for value in tf.nest.flatten(above.kept)
        ]
        return plain + kept

    def _width_of(self, edge: Edge) -> Tensor:
        return self.width + self.plan.length_changes[edge][1]

    def _flat(self, rows: _Rows) -> list[Tensor]:
        return [row for key in self.plan.depth for row in rows[key]]

    def _by_edge(self, flat: list[Tensor]) -> _Rows:
        rows = iter(flat)
        return {key: [next(rows) for _ in range(d)] for key, d in self.plan.depth.items()}

    def _run_row(self, node: Node, rows: _Rows, y: Tensor) -> tuple[Tensor, ...]:
        """A node's outputs for the whole row y + lead."""
        lead = self.plan.row_lead[node.outputs[0]]
        declared = declaration_of(self.plan.analysis, node)
        if not isinstance(declared, Taps):
            return node.run(
                {
                    edge: self.known[edge]
                    if takes_whole(node, declared, edge) and edge in self.known
                    else self._row_of(rows, edge, lead, y)
                    for edge in node.inputs
                }
            )
        values = self._aligned(rows, node, declared, range(len(declared.offsets)), lead)
        if declared.finish is not None:
            return (declared.finish(weighted_sum(values, self.row_weights[node])),)
        columns = tf.range(self._width_of(node.outputs[0]))
        return (declared.combine(values, (y + lead, columns)),)  # type: ignore[misc]

    def _recur_row(
        self, node: Node, rows: _Rows, before: tuple[Any, Any], y: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[Any, Any]]:
        """A recurrence's output for the whole row y + lead, and what it keeps and carries on."""
        recurrence = self.row_recurrences[node]
        lead = self.plan.row_lead[node.outputs[0]]
        x, above = (self._row_of(rows, node.inputs[0], at, y)[:, 0] for at in (lead, lead - 1))
        row = y + lead
        kept, carry = before
        part, carry = recurrence.row(above, kept, carry, row)
        position = row, tf.range(self._width_of(node.outputs[0]))
        made, _, kept = recurrence.step(x, (), part, position)
        after = kept, carry
        if self.first_row + lead < 0:  # rows above the image, which do not move the state
            after = tf.nest.map_structure(
                lambda new, old: tf.where(row >= 0, new, old), after, before
            )
        return (made[:, None],), after

    def _row_parts(self, rows: _Rows) -> dict[Step, Any]:
        """What each step's taps in finished rows give: their weighted sum, or their values."""
        parts: dict[Step, Any] = {}
        for step, taps in self.above.items():
            if not taps or not isinstance(step.declared, Taps):
                continue
            values = self._aligned(rows, step.node, step.declared, taps, 0)
            if step in self.row_weights:
                parts[step] = _by_column(weighted_sum(values, self.row_weights[step]))
            else:
                parts[step] = {t: _by_column(row) for t, row in zip(taps, values, strict=True)}
        return parts

    def _recurrent_parts(
        self, rows: _Rows, above: RowState, y: Tensor
    ) -> tuple[dict[Step, Any], list[Any]]:
        """What recurrences make of the finished row, by column, and what they carry on."""
        parts, carries = {}, []
        for (step, recurrence), kept, carry in zip(
            self.recurrences, above.kept, above.carries, strict=True
        ):
            finished = tf.squeeze(rows[step.node.inputs[0], 0.0][-1], 1)
            part, carry = recurrence.row(finished, kept, carry, y)
            parts[step] = tf.nest.map_structure(_swap_batch, part)
            carries.append(carry)
        return parts, carries

    def _external_rows(self, rows: _Rows, y: Tensor) -> dict[Edge, Tensor]:
        """Row y of the tensors that pixels read and that are not made pixel by pixel."""
        made = self.plan.pixels.made
        wanted = [
            edge
            for step in self.plan.pixels.steps
            if not isinstance(step.declared, Taps)
            for edge in step.node.inputs
            if edge not in self.known or not (step.parts or step.takes_whole(edge))
        ]
        found = {}
        for edge in dict.fromkeys([*wanted, self.plan.analysis.graph.output]):
            if edge not in made:
                value = self._row_of(rows, edge, 0, y)
                is_constant = len(edge.shape) <= 2 or value.shape[2] == 1
                found[edge] = value if is_constant else _by_column(value)
        return found

    def _row_of(self, rows: _Rows, edge: Edge, row: int, y: Tensor) -> Tensor:
        """Row y + `row` of a tensor, `(batch, 1, width, …)`."""
        if edge in self.plan.analysis.data_dependent:
            return rows[edge, 0.0][-1 - (self.plan.row_lead[edge] - row)]
        if len(edge.shape) <= 2:
            return self.known[edge]
        return slice_at(self.known[edge], edge, 1, y + row)

    def _push(self, rows: _Rows, edge: Edge, row: Tensor, y: Tensor) -> None:
        """Keeps a row, as its readers' padding where it lies outside of the tensor."""
        lead, change = self.plan.row_lead[edge], self.plan.length_changes[edge][0]
        for (owner, pad), held in rows.items():
            if owner is not edge:
                continue
            value = masked(row, pad, y, self.first_row, lead, self.height, change)
            held[:] = [*held[1:], tf.ensure_shape(value, held[-1].shape)]

    def _aligned(
        self, rows: _Rows, node: Node, declared: Taps, taps: Sequence[int], row: int
    ) -> list[Tensor]:
        """For each tap the row it reads, shifted so that equal columns belong together."""
        reads = [reads_of(node, declared)[tap] for tap in taps]
        change = self.plan.length_changes[node.outputs[0]][1]
        padded: dict[tuple[Edge, int], tuple[Tensor, int, bool]] = {}
        found = []
        for edge, dy, dx in reads:
            if (edge, dy) not in padded:
                columns = [c for e, _, c in reads if e is edge]
                spare = change - self.plan.length_changes[edge][1]
                left = max([0, *(-c for c in columns)])
                right = max([0, *(c + spare for c in columns)])
                value = rows[edge, declared.pad][-1 - (self.plan.row_lead[edge] - row - dy)]
                is_whole = left == right == spare == 0
                if not is_whole:
                    sides = [[0, 0], [0, 0], [left, right]] + [[0, 0]] * (len(value.shape) - 3)
                    pad = padding(declared.pad, value.dtype)
                    value = tf.pad(value, sides, constant_values=pad)
                padded[edge, dy] = value, left, is_whole
            value, left, is_whole = padded[edge, dy]
            first = left + dx
            found.append(value if is_whole else value[:, :, first : first + self.width + change])
        return found

    # Pixels.

    @property
    def first_column(self) -> int:
        """Columns from here to -1 are prepared for readers that look ahead; nothing is drawn."""
        return self.plan.pixels.start

    @property
    def last_columns(self) -> int:
        """How many columns behind the last one are run for what is kept of the pixels before."""
        program = self.plan.pixels
        return max([0, *(-program.lead[edge] for edge in program.caches)])

    def start_pixels(self, rows: RowState) -> AxisState:
        """The state before the first pixel of a row."""
        return self.pixels.initial(caches=rows.caches)

    def flush(self, column: Tensor, state: AxisState) -> AxisState:
        """The first thing at a pixel: what the one before it made goes into the rings."""
        return self.pixels.flush(column, state)

    def pixel(
        self,
        column: Tensor,
        state: AxisState,
        x: Tensor,
        row: RowInputs,
        extent: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor], AxisState]:
        """The network's output at a pixel.

        Args:
            column: of the pixel.
            state: from `flush`.
            x: the pixel before it, or (color channels in turn) what is drawn of itself;
                `(batch, 1, 1, channels)`.
            row: from `start_row`.
            extent: how many positions of what is kept whole are read; None: all.

        Returns:
            The output `(batch, 1, 1, …)`, the values to collect `(batch, …)`, and the state.
        """
        inputs = _PixelInputs(row, self.known, self.width)
        values, state, kept = self.pixels.run(column, state, x, inputs, extent)
        output = self.plan.analysis.graph.output
        found = values[output] if output in values else _column(row.inputs[output], column)
        collected = [tf.squeeze(values[edge], (1, 2)) for edge in self.plan.collected]
        for step, _ in self.recurrences:
            collected += tf.nest.flatten(kept[step])
        return found, collected, state


class _PixelInputs:
    """What a pixel reads from outside of its row: conditions and finished rows."""

    def __init__(self, row: RowInputs, known: dict[Edge, Tensor], width: Tensor) -> None:
        self.row, self.known, self.width = row, known, width

    def position(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.row.y, index

    def value(self, step: Step, edge: Edge, index: Tensor) -> Tensor:
        if edge in self.known and step.takes_whole(edge):
            return self.known[edge]
        value = self.row.inputs[edge]
        is_constant = len(edge.shape) <= 2 or edge.shape[2] == 1
        return value if is_constant else _column(value, index)

    def weighted_sum(self, step: Step, index: Tensor) -> Tensor | None:
        part = self.row.parts.get(step)
        return None if part is None else _column(part, index)

    def taps(self, step: Step, index: Tensor) -> dict[int, Tensor]:
        return {tap: _column(value, index) for tap, value in self.row.parts[step].items()}

    def part(self, part: Part, index: Tensor, extent: Tensor) -> Tensor:
        if part.edge in self.row.inputs:
            return _column(self.row.inputs[part.edge], index)
        return cut_part(self.known[part.edge], part, self.slot(index), extent)

    def slot(self, index: Tensor) -> Tensor:
        is_inside = (index >= 0) & (index < self.width)
        return tf.where(is_inside, self.row.y * self.width + index, -1)

    def row_part(self, step: Step, index: Tensor) -> Any:
        return tf.nest.map_structure(lambda p: _column(p, index)[:, 0, 0], self.row.parts[step])


def _taps_above(step: Step) -> list[int]:
    """The taps of a step that read finished rows."""
    if not isinstance(step.declared, Taps):
        return []
    own = {tap for tap, _ in step.taps}
    return [tap for tap in range(len(step.declared.offsets)) if tap not in own]


def _by_column(row: Tensor) -> Tensor:
    """`(batch, 1, width, …)` to `(width, batch, …)`: a column is then one contiguous slice."""
    return _swap_batch(tf.squeeze(row, 1))


def _swap_batch(columns: Tensor) -> Tensor:
    """Swaps the first two axes: `(width, batch, …)` to `(batch, width, …)`, and its inverse."""
    return tf.transpose(columns, (1, 0, *range(2, len(columns.shape))))


def _column(row: Tensor, index: Tensor) -> Tensor:
    value = row[clipped(index, row, 0)]
    return value[:, None, None]


def _static(size: Any) -> int | None:
    return size if isinstance(size, int) else None
