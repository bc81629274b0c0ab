"""The cached sampler for images: a loop over rows, and in it one over pixels."""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from kerasar.sampling.cached_sequence import MOST_PARTS
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Choose, Options, draw_or_keep, take_given
from kerasar.sampling.partial_batch import PartialBatch, events_so_far, noise_at, sizes_of
from kerasar.stepwise.raster_steps import RasterProgram, RowInputs, RowState
from kerasar.stepwise.rings import ArrayRing, TensorRing, while_loop
from kerasar.typing import Tensor


class _Pixel(NamedTuple):
    """What a pixel is drawn from beside the network's output, and the pixel to its left."""

    given: Tensor
    known: Tensor
    noise: Tensor | None
    last: Tensor


class _Drawn(NamedTuple):
    """A pixel: its events, the parameters they were drawn from, and what the row needs of it."""

    events: list[Tensor]
    parameters: Tensor
    collected: list[Tensor]
    state: Any


class ImageLoop:
    """Fills in the unknown values of images; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        program: the step form of its network.
        batch: the batch to be completed.
        options: temperature, top-k and top-p.
        size: height and width.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.
        record: takes all values as they are given, and returns the parameters of each.
        choose: takes the place of a draw; None draws.
    """

    def __init__(
        self,
        model: SampledAutoregressive,
        program: RasterProgram,
        batch: PartialBatch,
        options: Options,
        size: tuple[Tensor, Tensor],
        compiled: bool,
        record: bool = False,
        choose: Choose | None = None,
    ) -> None:
        self.model, self.batch, self.options, self.record = model, batch, options, record
        self.choose = take_given if record else choose
        self.likelihood, self.compiled = model.likelihood, compiled
        self.height, self.width = size
        self.x, self.output = program.graph.x, program.graph.output
        self.channels = int(self.x.shape[3] or 1)
        #: Whether values are events of their own; a pixel's channels are then consecutive events.
        self.by_value = self.likelihood.event_rank == 0
        self.events = self.channels if self.by_value else 1
        self.in_turn = program.plan.sees_present
        values = batch.values
        self.batch_size = sizes_of(values, compiled)[0]
        self.execution = program.bind(
            self.batch_size,
            size,
            model.conditions.tensors(batch.condition),
            TensorRing if compiled else ArrayRing,
        )
        #: (dtype, shape) of the pixels of all examples, and of what is returned of each pixel.
        self.pixel_spec: Any = (values.dtype, (values.shape[0], self.channels))
        self.result_spec = self.pixel_spec
        if record:
            shape = (values.shape[0], *self.output.shape[3:])
            self.result_spec = (self.output.dtype, shape)
        given = self._by_pixel(values)
        self.given = tf.ensure_shape(given, (*given.shape[:2], *self.pixel_spec[1]))
        self.known = self._by_pixel(batch.known)

    def _by_pixel(self, values: Tensor) -> Tensor:
        """`(batch, positions, …)` as `(height, width, batch, channels)`."""
        images = tf.reshape(values, (-1, self.height, self.width, self.channels))
        return tf.transpose(images, (1, 2, 0, 3))

    def run(self) -> Tensor:
        """The values, shape of `batch.values`; or the parameters, `(batch, positions, …)`."""
        dtype, shape = self.result_spec
        results = tf.TensorArray(dtype, self.height, element_shape=(self.given.shape[1], *shape))
        stops = self._stops()
        rows = self.execution.initial(self.execution.extent(stops[0]) if len(stops) > 1 else None)
        for y in range(self.execution.first_row, 0):
            _, rows = self.execution.start_row(tf.constant(y), rows)
        y = tf.constant(0)
        for stop in stops:
            if len(stops) > 1:
                rows = self.execution.grown(rows, self.execution.extent(stop))
            y, rows, results = while_loop(
                lambda y, *_, stop=stop: y < stop,
                functools.partial(self._draw_row, stop),
                (y, rows, results),
            )
        stacked = results.stack()
        stacked = tf.transpose(stacked, (2, 0, 1, *range(3, stacked.shape.rank)))
        if not self.record:
            return tf.reshape(stacked, tf.shape(self.batch.values))
        tail = shape[2:] if self.by_value else shape[1:]
        return tf.reshape(stacked, tf.concat([tf.shape(self.batch.values)[:2], tail], 0))

    # Rows.

    def _stops(self) -> list[Any]:
        """The rows at which the parts of the loop end, as for sequences."""
        if not (self.execution.has_caches and self.compiled):
            return [self.height]
        size = -(-self.height // MOST_PARTS)
        return [*range(size, self.height, size), self.height]

    def _draw_row(self, end: Any, y: Tensor, rows: RowState, results: tf.TensorArray) -> Any:
        row, rows = self.execution.start_row(y, rows)
        noise = self._row_noise(y) if self.choose is None else None
        with tf.control_dependencies([results.flow] if self.choose is not None else []):
            last = tf.zeros(tf.stack([self.batch_size, 1, 1, self.channels]), self.x.dtype)
        specs = [self.pixel_spec, *self.execution.collected_shapes(rows)]
        specs += [self.result_spec] if self.record else []
        arrays = [tf.TensorArray(d, self.width, element_shape=shape) for d, shape in specs]
        extent = self.execution.extent(end if self.compiled else y + 1)
        draw = functools.partial(self._draw_pixel, row=row, noise=noise, extent=extent)
        _, last, state, arrays = while_loop(
            lambda column, *_: column < self.width,
            draw,
            (tf.constant(0), last, self._first_state(last, row, rows, extent), arrays),
        )
        for column in range(self.execution.last_columns):
            state = self.execution.flush(self.width + column, state)
            _, _, state = self.execution.pixel(self.width + column, state, last, row, extent)
        drawn, *collected = [array.stack() for array in arrays]
        result = collected.pop() if self.record else drawn
        rows = self.execution.finish_row(y, rows, tf.cast(drawn, self.x.dtype), collected, state)
        return y + 1, rows, results.write(y, result)

    def _row_noise(self, y: Tensor) -> Tensor:
        """The noise of row y, `(width, events, batch, draws)`."""
        parameters = self.model.network.output_shape[-1]
        events = self.width * self.events
        noise = noise_at(self.likelihood, self.batch, y * events + tf.range(events), parameters)
        shape = tf.concat([[self.width, self.events], tf.shape(noise)[1:]], 0)
        draws = self.likelihood.num_uniforms(parameters)
        return tf.ensure_shape(
            tf.reshape(noise, shape), (None, self.events, self.batch.values.shape[0], draws)
        )

    def _first_state(self, last: Tensor, row: RowInputs, rows: RowState, extent: Tensor) -> Any:
        """The state before column 0, after the columns that readers ahead need."""
        state = self.execution.start_pixels(rows)
        for column in range(self.execution.first_column, 0):
            state = self.execution.flush(tf.constant(column), state)
            _, _, state = self.execution.pixel(tf.constant(column), state, last, row, extent)
        return state

    # Pixels.

    def _draw_pixel(
        self,
        column: Tensor,
        last: Tensor,
        state: Any,
        arrays: list[tf.TensorArray],
        row: RowInputs,
        noise: Tensor | None,
        extent: Tensor,
    ) -> Any:
        state = self.execution.flush(column, state)
        drawn_from = None if noise is None else noise[column]
        pixel = _Pixel(self.given[row.y, column], self.known[row.y, column], drawn_from, last)
        draw = self._draw_in_turn if self.in_turn else self._draw_together
        drawn = draw(column, last, state, row, pixel, extent)
        value = tf.stack(drawn.events, -1) if self.by_value else drawn.events[0]
        following = tf.reshape(tf.cast(value, self.x.dtype), tf.shape(last))
        made = [value, *drawn.collected, *([drawn.parameters] if self.record else [])]
        arrays = [array.write(column, part) for array, part in zip(arrays, made, strict=True)]
        return column + 1, following, drawn.state, arrays

    def _draw_together(
        self,
        column: Tensor,
        last: Tensor,
        state: Any,
        row: RowInputs,
        pixel: _Pixel,
        extent: Tensor,
    ) -> _Drawn:
        """All channels from one run of the network, for none sees another."""
        output, collected, state = self.execution.pixel(column, state, last, row, extent)
        events = [self._draw(output, event, pixel) for event in range(self.events)]
        return _Drawn(events, output[:, 0, 0], collected, state)

    def _draw_in_turn(
        self,
        column: Tensor,
        last: Tensor,
        state: Any,
        row: RowInputs,
        pixel: _Pixel,
        extent: Tensor,
    ) -> _Drawn:
        """Each channel given those drawn before it; the last run of the network sees them all."""
        events: list[Tensor] = []
        parameters = []
        for event in range(self.events):
            so_far = events_so_far(events, last)
            output, _, _ = self.execution.pixel(column, state, so_far, row, extent)
            events.append(self._draw(output, event, pixel))
            parameters.append(output[:, 0, 0, event])
        so_far = events_so_far(events, last)
        _, collected, state = self.execution.pixel(column, state, so_far, row, extent)
        return _Drawn(events, tf.stack(parameters, 1), collected, state)

    def _draw(self, output: Tensor, event: int, pixel: _Pixel) -> Tensor:
        """One event of a pixel: a channel, or all of them."""
        parameters, given, known = output[:, 0, 0], pixel.given, pixel.known
        if self.by_value:
            parameters, given, known = parameters[:, event], given[:, event], known[:, event]
        if self.choose is not None or pixel.noise is None:
            return (self.choose or take_given)(parameters, given, pixel.last)
        noise = pixel.noise[event]
        return draw_or_keep(self.likelihood, parameters, noise, self.options, given, known)
