"""The cached sampler: the network's step form in one loop; nothing is computed twice."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasar.causality.raster_steps import RasterSteps
from kerasar.causality.rings import ArrayRing, TensorRing
from kerasar.causality.sequence_steps import SequenceSteps
from kerasar.sampling.draft import Draft, Options, bend, noise_at
from kerasar.typing import Tensor

#: Noise is made for so many positions at once: long enough to be cheap, short enough to be small.
_BLOCK = 64


def cached_sequence(
    model: Any, steps: SequenceSteps, draft: Draft, options: Options, compiled: bool
) -> Tensor:
    """Fills in the unknown values of sequences; all as graph operations.

    Args:
        model: an `AutoregressiveDensity`.
        steps: the step form of its network.
        draft: the batch to be completed.
        options: temperature and the like.
        compiled: whether the loop is going to be compiled by XLA; shapes are then static.

    Returns:
        The values, shape of `draft.values`.
    """
    likelihood = model.likelihood
    shape = tf.shape(draft.values)
    batch = draft.values.shape[0] if compiled else shape[0]
    length = draft.values.shape[1] if compiled else shape[1]
    event = draft.values.shape[2:]
    x = steps.graph.x
    run = steps.begin(
        batch,
        length,
        model.condition_tensors(draft.condition),
        TensorRing if compiled else ArrayRing,
    )
    given, known = by_place(draft.values), by_place(draft.known)
    parameters = model.network.output_shape[-1]
    state = run.initial()
    last = tf.zeros(tf.stack([batch, 1, *event]), x.dtype)
    results = tf.TensorArray(
        draft.values.dtype, length, element_shape=draft.values[:, 0].shape, name="samples"
    )

    def step(t: Tensor, last: Tensor, state: Any, results: Any, noise: Tensor) -> Any:
        output, state = run.step(t, state, last)
        picked = pick(model, output[:, 0], noise[t % _BLOCK], options, given[t], known[t])
        following = tf.reshape(tf.cast(picked, x.dtype), tf.shape(last))
        return t + 1, following, state, results.write(t, picked)

    def block(t: Tensor, last: Tensor, state: Any, results: Any) -> Any:
        noise = noise_at(likelihood, draft, t + tf.range(_BLOCK), parameters)
        noise = by_place(noise)
        stop = tf.minimum(t + _BLOCK, length)
        return while_loop(
            lambda t, *_: t < stop,
            lambda t, last, state, results: step(t, last, state, results, noise),
            (t, last, state, results),
        )

    *_, results = while_loop(lambda t, *_: t < length, block, (tf.constant(0), last, state, results))
    return tf.reshape(by_place(results.stack()), shape)


def cached_image(
    model: Any, steps: RasterSteps, draft: Draft, options: Options, size: Any, compiled: bool
) -> Tensor:
    """The same for images of `size` (height, width): a loop over rows, in it one over pixels."""
    likelihood = model.likelihood
    batch = draft.values.shape[0] if compiled else tf.shape(draft.values)[0]
    height, width = size
    x = steps.graph.x
    channels = x.shape[3]
    by_value = likelihood.event_rank == 0
    # Values are events of their own; all channels of a pixel stand at consecutive places.
    per_pixel = channels if by_value else 1
    run = steps.begin(
        batch,
        (height, width),
        model.condition_tensors(draft.condition),
        TensorRing if compiled else ArrayRing,
    )
    pixel_shape = (height, width, -1, channels)
    given = tf.reshape(by_place(draft.values), pixel_shape)
    known = tf.reshape(by_place(draft.known), pixel_shape)
    if by_value:
        # (places, batch) holds the channels among the places: put them behind the batch.
        split = (height, width, channels, -1)
        given = tf.transpose(tf.reshape(by_place(draft.values), split), (0, 1, 3, 2))
        known = tf.transpose(tf.reshape(by_place(draft.known), split), (0, 1, 3, 2))
    static = (draft.values.shape[0], channels)
    given = tf.ensure_shape(given, (given.shape[0], given.shape[1], *static))
    parameters = model.network.output_shape[-1]
    dtype = draft.values.dtype
    results = tf.TensorArray(dtype, height, element_shape=(given.shape[1], *static))

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
        if not steps.plan.present:
            output, collected, state = run.pixel(column, state, last, row)
            drawn = [draw(output, number, spots, here) for number in range(per_pixel)]
        else:
            drawn = []
            for number in range(per_pixel):
                now = _so_far(drawn, channels, last)
                output, _, _ = run.pixel(column, state, now, row)
                drawn.append(draw(output, number, spots, here))
            _, collected, state = run.pixel(column, state, _so_far(drawn, channels, last), row)
        event = tf.stack(drawn, -1) if by_value else drawn[0]
        following = tf.reshape(tf.cast(event, x.dtype), tf.shape(last))
        arrays = [
            array.write(column, value)
            for array, value in zip(arrays, [event, *collected], strict=True)
        ]
        return column + 1, following, state, arrays

    def draw_row(y: Tensor, rows: Any, results: Any) -> Any:
        row, rows = run.start_row(y, rows)
        first = y * width * per_pixel
        noise = noise_at(likelihood, draft, first + tf.range(width * per_pixel), parameters)
        noise = by_place(noise)
        noise = tf.reshape(noise, tf.concat([[width, per_pixel], tf.shape(noise)[1:]], 0))
        noise = tf.ensure_shape(noise, (None, per_pixel, static[0], likelihood.draws(parameters)))
        last = tf.zeros(tf.stack([batch, 1, 1, channels]), x.dtype)
        state = run.start_pixels()
        for column in range(steps.plan.line.start, 0):
            state = run.flush(tf.constant(column), state)
            _, _, state = run.pixel(tf.constant(column), state, last, row)
        shapes = [(dtype, static)]
        shapes += [(edge.dtype, (static[0], *edge.shape[3:])) for edge in steps.plan.collected]
        arrays = [tf.TensorArray(d, width, element_shape=s) for d, s in shapes]
        *_, arrays = while_loop(
            lambda column, *_: column < width,
            lambda *now: pixel(*now, row, noise),
            (tf.constant(0), last, state, arrays),
        )
        drawn, *collected = [array.stack() for array in arrays]
        rows = run.finish_row(y, rows, tf.cast(drawn, x.dtype), collected)
        return y + 1, rows, results.write(y, drawn)

    rows = run.initial()
    for y in range(run.first_row, 0):
        _, rows = run.start_row(tf.constant(y), rows)
    *_, results = while_loop(lambda y, *_: y < height, draw_row, (tf.constant(0), rows, results))
    drawn = tf.transpose(results.stack(), (2, 0, 1, 3))
    return tf.reshape(drawn, tf.shape(draft.values))


def _so_far(drawn: list[Tensor], channels: int, like: Tensor) -> Tensor:
    """A pixel of which some channels are drawn, zeros for the others."""
    missing = [tf.zeros_like(like[:, 0, 0, 0])] * (channels - len(drawn))
    return tf.stack([*(tf.cast(d, like.dtype) for d in drawn), *missing], -1)[:, None, None]


def pick(
    model: Any, parameters: Tensor, noise: Tensor, options: Options, given: Tensor, known: Tensor
) -> Tensor:
    """The event at one position: what is known, else a draw. All `(batch, *event)`."""
    parameters = bend(model.likelihood, parameters, options)
    drawn = model.likelihood.sample(parameters, noise)
    return tf.where(known, given, tf.cast(drawn, given.dtype))


def by_place(tensor: Tensor) -> Tensor:
    """Swaps batch and places, so that a place is one contiguous slice."""
    rank = tensor.shape.rank
    return tf.transpose(tensor, (1, 0, *range(2, rank)))


def while_loop(cond: Callable[..., Tensor], body: Callable[..., Any], start: Any) -> Any:
    """`tf.while_loop` over any structure, whose static shapes stay those of the start."""
    flat = tf.nest.flatten(start, expand_composites=False)

    def fixed(*now: Any) -> Any:
        after = tf.nest.flatten(body(*tf.nest.pack_sequence_as(start, now)))
        return [
            tf.ensure_shape(new, old.shape) if isinstance(old, tf.Tensor) else new
            for new, old in zip(after, flat, strict=True)
        ]

    done = tf.while_loop(lambda *now: cond(*tf.nest.pack_sequence_as(start, now)), fixed, flat)
    return tf.nest.pack_sequence_as(start, done)
