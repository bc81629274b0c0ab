"""The step form of an image network: rows at their start, then pixel by pixel."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.causality.analysis import Reading
from kerasar.causality.graph import Edge, Node
from kerasar.layers.linear_taps import weighted_sum
from kerasar.layers.protocol import RowRecurrence, Taps
from kerasar.stepwise.line import Job, LineState, tap_matrix
from kerasar.stepwise.raster_plan import RasterPlan, plan_raster, reads_of
from kerasar.stepwise.rings import Rings, masked, padding
from kerasar.stepwise.sequence_steps import untainted
from kerasar.typing import Tensor


class RasterProgram:
    """A causal image network, ready to be run pixel by pixel.

    Args:
        reading: of a network that `check_causal` accepts.

    Raises:
        NotSteppable: naming the layer that has no step form.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading, self.graph = reading, reading.graph
        self.plan = plan_raster(reading)

    def bind(
        self,
        batch: Tensor,
        size: tuple[Tensor, Tensor],
        conditions: list[Tensor],
        rings: Rings,
    ) -> "RasterExecution":
        """Everything that is computed once: conditions, weights; call it outside the loops."""
        return RasterExecution(self.plan, batch, size, untainted(self.reading, conditions), rings)


class Row(NamedTuple):
    """What the pixels of one row read: by column, `(width, batch, …)`."""

    inputs: dict[Edge, Tensor]
    parts: dict[Job, Any]
    y: Tensor


class Above(NamedTuple):
    """What goes from row to row: finished rows, and what recurrences keep and carry."""

    rows: list[Tensor]
    kept: list[Any]
    carries: list[Any]


RowsState = dict[tuple[Edge, float], list[Tensor]]


class RasterExecution:
    """One run of the step form; states go from row to row and from pixel to pixel."""

    def __init__(
        self,
        plan: RasterPlan,
        batch: Tensor,
        size: tuple[Tensor, Tensor],
        known: dict[Edge, Tensor],
        rings: Rings,
    ) -> None:
        self.plan, self.batch, self.known, self.rings = plan, batch, known, rings
        self.height, self.width = size
        self.line_weights = plan.line.prepare()
        self.row_weights: dict[Node | Job, Tensor] = {}
        for node in plan.row_nodes:
            declared = plan.declared(node)
            if isinstance(declared, Taps) and declared.matrices is not None:
                every = range(len(declared.offsets))
                self.row_weights[node] = tap_matrix(declared, every)
        for job in plan.line.jobs:
            above = self._above(job)
            if above and isinstance(job.declared, Taps) and job.declared.matrices is not None:
                self.row_weights[job] = tap_matrix(job.declared, above)

    # Rows.

    @property
    def first_row(self) -> int:
        """Rows from here to -1 are prepared for readers that look ahead; nothing is drawn."""
        return -max([0, *self.plan.row_lead.values()])

    def _row_recurrences(self) -> list[tuple[Job, RowRecurrence]]:
        jobs = self.plan.line.jobs
        return [(job, job.declared) for job in jobs if isinstance(job.declared, RowRecurrence)]

    def initial(self) -> Above:
        """What stands above the first row: padding, initial states."""
        state: RowsState = {}
        for (edge, pad), depth in self.plan.depth.items():
            width = self.width + self.plan.growth[edge][1]
            shape = (self.batch, 1, width, *edge.shape[3:])
            row = tf.fill(tf.stack(shape), padding(pad, edge.dtype))
            row = tf.ensure_shape(row, [_size(s) for s in shape])
            state[edge, pad] = [row] * depth
        starts = [r.initial_rows(self.batch, self.width) for _, r in self._row_recurrences()]
        return Above(self._flat(state), [kept for kept, _ in starts], [c for _, c in starts])

    def _flat(self, state: RowsState) -> list[Tensor]:
        return [row for key in self.plan.depth for row in state[key]]

    def _unflat(self, flat: list[Tensor]) -> RowsState:
        rows = iter(flat)
        return {key: [next(rows) for _ in range(d)] for key, d in self.plan.depth.items()}

    def start_row(self, y: Tensor, above: Above) -> tuple[Row, Above]:
        """Computes what depends on finished rows only, for row `y`; newest rows come last."""
        state = self._unflat(above.rows)
        plan = self.plan
        for node in plan.row_nodes:
            lead = plan.row_lead[node.outputs[0]]
            declared = plan.declared(node)
            if isinstance(declared, Taps):
                values = self._aligned(state, node, declared, range(len(declared.offsets)), lead)
                if declared.finish is not None:
                    total = weighted_sum(values, self.row_weights[node])
                    made: tuple[Tensor, ...] = (declared.finish(total),)
                else:
                    columns = tf.range(self.width + plan.growth[node.outputs[0]][1])
                    made = (declared.combine(values, (y + lead, columns)),)  # type: ignore[misc]
            else:
                inputs = {edge: self._row_of(state, edge, lead, y) for edge in node.inputs}
                made = node.run(inputs)
            for edge, value in zip(node.outputs, made, strict=True):
                self._push(state, edge, value, y)
        line = plan.line
        inputs, parts = {}, {}
        for job in line.jobs:
            if isinstance(job.declared, Taps):
                numbers = self._above(job)
                if not numbers:
                    continue
                rows = self._aligned(state, job.node, job.declared, numbers, 0)
                if job in self.row_weights:
                    parts[job] = _by_column(weighted_sum(rows, self.row_weights[job]))
                else:
                    parts[job] = {n: _by_column(row) for n, row in zip(numbers, rows, strict=True)}
                continue
            for edge in job.node.inputs:
                if edge not in line.made and edge not in inputs:
                    inputs[edge] = self._outside_row(state, edge, y)
        output = plan.reading.graph.output
        if output not in line.made:
            inputs[output] = self._outside_row(state, output, y)
        carries = []
        for (job, recurrence), kept, carry in zip(
            self._row_recurrences(), above.kept, above.carries, strict=True
        ):
            finished = tf.squeeze(state[job.node.inputs[0], 0.0][-1], 1)
            part, carry = recurrence.row(finished, kept, carry, y)
            parts[job] = tf.nest.map_structure(
                lambda p: tf.transpose(p, (1, 0, *range(2, len(p.shape)))), part
            )
            carries.append(carry)
        return Row(inputs, parts, y), Above(self._flat(state), above.kept, carries)

    def _outside_row(self, state: RowsState, edge: Edge, y: Tensor) -> Tensor:
        value = self._row_of(state, edge, 0, y)
        return value if len(edge.shape) <= 2 or value.shape[2] == 1 else _by_column(value)

    def _row_of(self, state: RowsState, edge: Edge, row: int, y: Tensor) -> Tensor:
        """Row y + `row` of a tensor, `(batch, 1, width, …)`."""
        if edge in self.plan.reading.tainted:
            kept = state[edge, 0.0]
            return kept[-1 - (self.plan.row_lead[edge] - row)]
        value = self.known[edge]
        if len(edge.shape) <= 2 or edge.shape[1] == 1:
            return value
        index = tf.clip_by_value(y + row, 0, tf.shape(value)[1] - 1)
        return tf.gather(value, tf.reshape(index, (1,)), axis=1)

    def _push(self, state: RowsState, edge: Edge, row: Tensor, y: Tensor) -> None:
        """Keeps a row, as its readers' padding where it lies outside of the tensor."""
        lead, growth = self.plan.row_lead[edge], self.plan.growth[edge][0]
        for (kept, pad), rows in state.items():
            if kept is not edge:
                continue
            value = masked(row, pad, y, self.first_row, lead, self.height, growth)
            rows[:] = [*rows[1:], tf.ensure_shape(value, rows[-1].shape)]

    def _above(self, job: Job) -> list[int]:
        """The taps of a job on the line that read finished rows."""
        if not isinstance(job.declared, Taps):
            return []
        on_line = {number for number, _ in job.taps}
        return [n for n in range(len(job.declared.offsets)) if n not in on_line]

    def _aligned(
        self, state: RowsState, node: Node, declared: Taps, numbers: Sequence[int], row: int
    ) -> list[Tensor]:
        """For each tap the row it reads, shifted so that equal columns belong together."""
        reads = [reads_of(node, declared)[number] for number in numbers]
        width = self.width + self.plan.growth[node.outputs[0]][1]
        padded: dict[tuple[Edge, int], tuple[Tensor, int]] = {}
        found = []
        for edge, dy, dx in reads:
            if (edge, dy) not in padded:
                columns = [c for e, _, c in reads if e is edge]
                spare = self.plan.growth[node.outputs[0]][1] - self.plan.growth[edge][1]
                left = max([0, *(-c for c in columns)])
                right = max([0, *(c + spare for c in columns)])
                kept = state[edge, declared.pad]
                value = kept[-1 - (self.plan.row_lead[edge] - row - dy)]
                sides = [[0, 0], [0, 0], [left, right]] + [[0, 0]] * (len(value.shape) - 3)
                pad = padding(declared.pad, value.dtype)
                padded[edge, dy] = tf.pad(value, sides, constant_values=pad), left
            value, left = padded[edge, dy]
            found.append(value[:, :, left + dx : left + dx + width])
        return found

    def finish_row(self, y: Tensor, above: Above, x: Tensor, collected: list[Tensor]) -> Above:
        """Keeps the rows that were drawn; `x` and `collected` are `(width, batch, …)`.

        `collected` holds, in the order of `collected_shapes`, tensors of the line and then what
        recurrences keep.
        """
        state = self._unflat(above.rows)
        plain = len(self.plan.collected)
        kept_flat = [_by_row(value) for value in collected[plain:]]
        collected = collected[:plain]
        graph = self.plan.reading.graph
        drawn = [(graph.x, x), *zip(self.plan.collected, collected, strict=True)]
        for edge, value in drawn:
            row = _by_row(value)[:, None]
            # Kept for the next row, where this one is row -1.
            if edge in self.plan.row_lead:
                self._push(state, edge, row, y + 1)
        kept = tf.nest.pack_sequence_as(above.kept, kept_flat)
        return Above(self._flat(state), kept, above.carries)

    def collected_shapes(self, above: Above) -> list[tuple[Any, tuple[int | None, ...]]]:
        """(dtype, shape) of what each pixel adds to the row."""
        batch = _size(self.batch)
        plain = [(edge.dtype, (batch, *edge.shape[3:])) for edge in self.plan.collected]
        kept = [
            (value.dtype, (value.shape[0], *value.shape[2:]))
            for value in tf.nest.flatten(above.kept)
        ]
        return plain + kept

    # Pixels.

    def start_pixels(self) -> LineState:
        """The state before the first pixel of a row."""
        return self.plan.line.initial(self.batch, self.rings)

    def flush(self, column: Tensor, state: LineState) -> LineState:
        """The first thing at a pixel: what the one before it made goes into the rings."""
        return self.plan.line.flush(column, state, self.rings)

    def pixel(
        self, column: Tensor, state: LineState, x: Tensor, row: Row
    ) -> tuple[Tensor, list[Tensor], LineState]:
        """The network's output at a pixel.

        Args:
            column: of the pixel.
            state: from `flush`.
            x: the pixel before it, or (colour channels in turn) what is drawn of itself;
                `(batch, 1, 1, channels)`.
            row: from `start_row`.

        Returns:
            The output `(batch, 1, 1, …)`, the values to collect `(batch, …)`, and the state.
        """
        plan = self.plan

        def outside(job: Job, edge: Edge | None, index: Tensor) -> Any:
            if edge is not None:
                return _at_column(row.inputs[edge], edge, index)
            part = row.parts.get(job)
            if isinstance(job.declared, RowRecurrence):
                return tf.nest.map_structure(lambda p: _column(p, index)[:, 0, 0], part)
            if isinstance(part, dict):
                return {n: _column(value, index) for n, value in part.items()}
            return None if part is None else _column(part, index)

        values, state, kept = plan.line.step(
            column,
            state,
            self.rings,
            x,
            self.width,
            self.line_weights,
            outside,
            lambda index: (row.y, index),
        )
        output = plan.reading.graph.output
        if output not in values:
            values[output] = _column(row.inputs[output], column)
        collected = [tf.squeeze(values[edge], (1, 2)) for edge in plan.collected]
        for job, _ in self._row_recurrences():
            collected += tf.nest.flatten(kept[job])
        return values[output], collected, state


def _by_column(row: Tensor) -> Tensor:
    """`(batch, 1, width, …)` to `(width, batch, …)`: a column is then one contiguous slice."""
    row = tf.squeeze(row, 1)
    return tf.transpose(row, (1, 0, *range(2, len(row.shape))))


def _by_row(columns: Tensor) -> Tensor:
    """The way back: `(width, batch, …)` to `(batch, width, …)`."""
    return tf.transpose(columns, (1, 0, *range(2, len(columns.shape))))


def _column(row: Tensor, index: Tensor) -> Tensor:
    value = row[tf.clip_by_value(index, 0, tf.shape(row)[0] - 1)]
    return value[:, None, None]


def _at_column(row: Tensor, edge: Edge, index: Tensor) -> Tensor:
    if len(edge.shape) <= 2 or edge.shape[2] == 1:
        return row
    return _column(row, index)


def _size(size: Any) -> int | None:
    return size if isinstance(size, int) else None
