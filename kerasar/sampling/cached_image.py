"""The cached sampler for images: a loop over rows, and in it one over pixels."""

from typing import Any

import tensorflow as tf

from kerasar.sampling.draft import Options, PartialBatch, noise_at
from kerasar.sampling.loops import pick, while_loop
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.stepwise.rings import ArrayRing, TensorRing
from kerasar.typing import Tensor


def cached_image(
    model: Any,
    steps: RasterProgram,
    draft: PartialBatch,
    options: Options,
    size: tuple[Tensor, Tensor],
    compiled: bool,
    record: bool = False,
) -> Tensor:
    """Fills in the unknown values of images; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        steps: the step form of its network.
        draft: the batch to be completed.
        options: temperature and the like.
        size: height and width.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.
        record: returns the parameters instead of the values they gave.

    Returns:
        The values, shape of `draft.values`; or the parameters, `(batch, places, …)`.
    """
    likelihood = model.likelihood
    batch = draft.values.shape[0] if compiled else tf.shape(draft.values)[0]
    height, width = size
    x = steps.graph.x
    channels = int(x.shape[3] or 1)
    by_value = likelihood.event_rank == 0
    # Values are events of their own; all channels of a pixel stand at consecutive places.
    per_pixel = channels if by_value else 1
    run = steps.bind(
        batch,
        (height, width),
        model.condition_tensors(draft.condition),
        TensorRing if compiled else ArrayRing,
    )
    image = (-1, height, width, channels)
    given = tf.transpose(tf.reshape(draft.values, image), (1, 2, 0, 3))
    known = tf.transpose(tf.reshape(draft.known, image), (1, 2, 0, 3))
    static = (draft.values.shape[0], channels)
    given = tf.ensure_shape(given, (given.shape[0], given.shape[1], *static))
    parameters = model.network.output_shape[-1]
    dtype = draft.values.dtype
    made = tuple(steps.graph.output.shape[3:]) if record else (channels,)
    out = (steps.graph.output.dtype if record else dtype, (static[0], *made))
    results = tf.TensorArray(out[0], height, element_shape=(given.shape[1], *out[1]))

    def channel(output: Tensor, number: int) -> Tensor:
        """The parameters of one channel (or of the pixel), `(batch, …)`."""
        return output[:, 0, 0, number] if by_value else output[:, 0, 0]

    def draw(output: Tensor, number: int, noise: Tensor, pixel: Any) -> Tensor:
        given_here, known_here = pixel
        if by_value:
            given_here, known_here = given_here[:, number], known_here[:, number]
        return pick(model, channel(output, number), noise[number], options, given_here, known_here)

    def pixel(column: Tensor, last: Tensor, state: Any, arrays: Any, row: Any, noise: Any) -> Any:
        state = run.flush(column, state)
        here = (given[row.y, column], known[row.y, column])
        spots = noise[column]
        drawn: list[Tensor] = []
        if steps.plan.sees_present:
            # Channels in turn: each sees those drawn before it, and the last run sees them all.
            seen = []
            for number in range(per_pixel):
                output, _, _ = run.pixel(column, state, _so_far(drawn, channels, last), row)
                drawn.append(draw(output, number, spots, here))
                seen.append(output[:, 0, 0, number])
            _, collected, state = run.pixel(column, state, _so_far(drawn, channels, last), row)
            parameters_here = tf.stack(seen, 1)
        else:
            output, collected, state = run.pixel(column, state, last, row)
            drawn = [draw(output, number, spots, here) for number in range(per_pixel)]
            parameters_here = output[:, 0, 0]
        event = tf.stack(drawn, -1) if by_value else drawn[0]
        following = tf.reshape(tf.cast(event, x.dtype), tf.shape(last))
        values = [event, *collected, *([parameters_here] if record else [])]
        arrays = [array.write(column, value) for array, value in zip(arrays, values, strict=True)]
        return column + 1, following, state, arrays

    def draw_row(y: Tensor, rows: Any, results: Any) -> Any:
        row, rows = run.start_row(y, rows)
        first = y * width * per_pixel
        noise = noise_at(likelihood, draft, first + tf.range(width * per_pixel), parameters)
        noise = tf.reshape(noise, tf.concat([[width, per_pixel], tf.shape(noise)[1:]], 0))
        noise = tf.ensure_shape(
            noise, (None, per_pixel, static[0], likelihood.num_uniforms(parameters))
        )
        last = tf.zeros(tf.stack([batch, 1, 1, channels]), x.dtype)
        state = run.start_pixels()
        for column in range(run.first_column, 0):
            state = run.flush(tf.constant(column), state)
            _, _, state = run.pixel(tf.constant(column), state, last, row)
        shapes = [(dtype, static), *run.collected_shapes(rows)]
        shapes += [out] if record else []
        arrays = [tf.TensorArray(d, width, element_shape=s) for d, s in shapes]
        *_, arrays = while_loop(
            lambda column, *_: column < width,
            lambda c, last, state, arrays: pixel(c, last, state, arrays, row, noise),
            (tf.constant(0), last, state, arrays),
        )
        drawn, *collected = [array.stack() for array in arrays]
        result = collected.pop() if record else drawn
        rows = run.finish_row(y, rows, tf.cast(drawn, x.dtype), collected)
        return y + 1, rows, results.write(y, result)

    rows = run.initial()
    for y in range(run.first_row, 0):
        _, rows = run.start_row(tf.constant(y), rows)
    *_, results = while_loop(lambda y, *_: y < height, draw_row, (tf.constant(0), rows, results))
    stacked = results.stack()
    stacked = tf.transpose(stacked, (2, 0, 1, *range(3, stacked.shape.rank)))
    if not record:
        return tf.reshape(stacked, tf.shape(draft.values))
    tail = made if not by_value else made[1:]
    return tf.reshape(stacked, tf.concat([tf.shape(draft.values)[:2], tail], 0))


def _so_far(drawn: list[Tensor], channels: int, like: Tensor) -> Tensor:
    """A pixel of which some channels are drawn, zeros for the others."""
    missing = [tf.zeros_like(like[:, 0, 0, 0])] * (channels - len(drawn))
    return tf.stack([*(tf.cast(d, like.dtype) for d in drawn), *missing], -1)[:, None, None]
