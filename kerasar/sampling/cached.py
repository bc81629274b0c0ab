"""The cached sampler of a model: built once, checked once, compiled when that pays."""

import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import open_length
from kerasar.causality.randomize import DrawnWeights
from kerasar.layers.protocol import declares
from kerasar.sampling.cached_image import ImageLoop
from kerasar.sampling.cached_sequence import SequenceLoop
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options
from kerasar.sampling.partial_batch import PartialBatch, flat_parameters
from kerasar.sampling.progress import Progress
from kerasar.sampling.sampler import Sampler, SamplingRequest
from kerasar.stepwise import NotSteppable, make_stepper
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: How far the check of a new sampler goes, in positions, and up to how many the network runs whole.
_CHECKED, _WHOLE = 512, 2_048


class WrongSteps(NotSteppable):
    """The step form computes something else than the network."""


class CachedSampler(Sampler):
    """Samples from a model by its network's step form.

    The loop runs uncompiled at first, in one graph for all sizes, which starts in about a second.
    Sizes for which as much time has been spent on that, or will have been after this request, as
    compiling by XLA is expected to cost are compiled; where that fails, they stay as they are.
    A compiled loop is never freed by TensorFlow, so few are made: open lengths and numbers of
    examples are rounded up.

    Args:
        model: an `AutoregressiveDensity`.

    Raises:
        NotSteppable: naming the layer that cannot be run step by step.
        WrongSteps: if the step form differs from the network.
    """

    model: SampledAutoregressive

    def __init__(self, model: SampledAutoregressive) -> None:
        super().__init__(model)
        self.program = make_stepper(model.analysis)
        #: Seconds that compiling is expected to cost, that uncompiled loops have taken by size,
        #: and that they take for a position; None before that is known.
        self.patience = 2.0 + 0.15 * len(self.program.graph.nodes)
        self.spent: dict[Any, float] = {}
        self.pace: float | None = None
        self.compiles = True
        #: Whether a loop for long sequences draws shorter ones: no condition has their length.
        self._shares_lengths = (
            isinstance(self.program, SequenceProgram)
            and model.data_shape[0] is None
            and not any(None in shape for shape in model.conditions.shapes.values())
        )
        self._compiled: set[Any] = set()
        self._check()

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        sizes = tf.unstack(data_shape, num=len(self.model.data_shape))
        shape = [own or size for own, size in zip(self.model.data_shape, sizes, strict=True)]
        return self._fill_in(batch, options, shape, compiled=False)

    def _fill_in(
        self,
        batch: PartialBatch,
        options: Options,
        shape: Any,
        compiled: bool,
        length: Tensor | None = None,
        record: bool = False,
    ) -> Tensor:
        """The loop over all positions, or the first `length` of them; all as graph operations."""
        model, program = self.model, self.program
        if isinstance(program, RasterProgram):
            size = (shape[0], shape[1])
            return ImageLoop(model, program, batch, options, size, compiled, record).run()
        return SequenceLoop(model, program, batch, options, compiled, length, record).run()

    def run_chunk(
        self, batch: PartialBatch, request: SamplingRequest, progress: Progress
    ) -> Tensor:
        """`request.jit_compile` None decides by the time spent so far, and to be spent."""
        compiled = request.jit_compile
        if compiled is None:
            compiled = self.compiles and self._pays(batch, request)
        values = self._run_compiled(batch, request) if compiled else None
        if values is None:
            values = self._run_uncompiled(batch, request)
        progress.advance(batch.values.shape[0] * batch.values.shape[1])
        return values

    def _pays(self, batch: PartialBatch, request: SamplingRequest) -> bool:
        """Whether a compiled loop is there, or uncompiled ones have cost as much as one would."""
        kind, size = self._kind(request), batch.values.shape[0]
        if self._compiled_size(kind, size) is not None:
            return True
        expected = (self.pace or 0.0) * batch.values.shape[1]
        return self.spent.get((kind, _round_up(size)), 0.0) + expected > self.patience

    def _run_uncompiled(self, batch: PartialBatch, request: SamplingRequest) -> Tensor:
        graph: Any = self.model.function_cache.traced("cached loop", self.complete)
        traced, started = graph.experimental_get_tracing_count(), time.monotonic()
        values = graph(batch, request.options, tf.constant(request.shape, tf.int32))
        seconds = time.monotonic() - started
        # The first call for a while is tracing, which says little about the next.
        if graph.experimental_get_tracing_count() == traced or seconds > self.patience:
            self.pace = seconds / batch.values.shape[1]
        bucket = self._kind(request), _round_up(batch.values.shape[0])
        self.spent[bucket] = self.spent.get(bucket, 0.0) + seconds
        return values

    def _kind(self, request: SamplingRequest) -> Any:
        """What a compiled loop is for, besides the number of examples."""
        shape = request.shape
        if self._shares_lengths:
            shape = (1 << (shape[0] - 1).bit_length(), *shape[1:])
        return shape, tuple(option is None for option in request.options)

    def _compiled_size(self, kind: Any, count: int) -> int | None:
        """The least number of examples that a loop is compiled for and that serves `count`."""
        sizes = [
            size
            for k, size in self._compiled
            if k == kind and count <= size <= 2 * count
            if (CachedSampler, k, size) in self.model.function_cache
        ]
        return min(sizes, default=None)

    def _run_compiled(self, batch: PartialBatch, request: SamplingRequest) -> Tensor | None:
        """Pads the batch to a size that is compiled already, or that serves others too.

        None where XLA cannot compile the loop, unless the user insists on it.
        """
        count, positions = batch.values.shape[:2]
        kind = self._kind(request)
        size = self._compiled_size(kind, count) or _round_up(count)
        loop = self.model.function_cache.get(
            (CachedSampler, kind, size), lambda: self._compile(kind[0], size)
        )
        self._compiled.add((kind, size))
        padded = tf.nest.map_structure(lambda part: _pad(part, size - count), batch)
        length = None
        if self._shares_lengths:
            length, missing = tf.constant(positions), kind[0][0] - positions
            padded = padded._replace(
                values=_pad(padded.values, missing, axis=1),
                known=_pad(padded.known, missing, axis=1),
            )
        try:
            return loop(padded, request.options, length)[:count, :positions]
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            if request.jit_compile:
                raise
            self.compiles = False
            return None

    def _compile(self, shape: tuple[int, ...], size: int) -> Any:
        """The loop, compiled; examples are shared out, for a compiled loop runs on one core."""
        parts = _parts(size, self.model.network.count_params())

        @tf.function(jit_compile=True, autograph=False)
        def loop(batch: PartialBatch, options: Options, length: Tensor | None) -> Tensor:
            return self._fill_in(batch, options, shape, compiled=True, length=length)

        @tf.function(autograph=False)
        def loops(batch: PartialBatch, options: Options, length: Tensor | None) -> Tensor:
            share = size // parts
            done = []
            for start in range(0, size, share):
                part = tf.nest.map_structure(
                    lambda tensor, start=start: (
                        None if tensor is None else tensor[start : start + share]
                    ),
                    batch,
                )
                done.append(loop(part, options, length))
            return tf.concat(done, axis=0)

        return loop if parts == 1 else loops

    # The check of a new sampler.

    def _check(self) -> None:
        """Runs the step form on random data, teacher-forced, against the full network."""
        x, condition = self._random_data()
        event_rank = self.model.likelihood.event_rank
        # The step form needs no more than a beginning.
        per_row = 1 if x.ndim < 4 else x.shape[2]
        stop = min(-(-_CHECKED // per_row), x.shape[1])
        start = x[:, :stop]
        graph = tf.function(
            lambda batch: self._fill_in(
                batch, Options(), start.shape[1:], compiled=False, record=True
            ),
            autograph=False,
        )
        weights = DrawnWeights(node.operation for node in self.model.analysis.graph.nodes)
        with weights.scope():
            expected = self._expected(x, condition, stop, per_row)
        with weights.scope():
            found = graph(_known_batch(start, condition, event_rank))
        self._compare(found, expected[:, : found.shape[1]])

    def _expected(self, x: np.ndarray, condition: Any, stop: int, per_row: int) -> Tensor:
        """The whole network's output; of long data only what the beginning needs.

        Outputs near the end of a beginning may read tensors that look ahead, so it is longer.
        """
        if x.shape[1] * per_row > _WHOLE and condition is None:
            x = x[:, : stop + self.program.look_ahead]
            graph = self.model.analysis.graph
            names = [tensor.name for tensor in self.model.network.inputs]
            flat = self.model.network_inputs(tf.constant(x), condition)
            values = graph.inputs(dict(zip(names, flat, strict=True)))
            for _ in graph.run(values):
                pass
            found = values[graph.output]
            tail = found.shape[len(x.shape) - self.model.likelihood.event_rank :]
            return tf.reshape(found, (len(x), -1, *tail))
        known = _known_batch(x, condition, self.model.likelihood.event_rank)
        return flat_parameters(self.model, known, tf.constant(x.shape[1:], tf.int32))

    def _random_data(self) -> tuple[np.ndarray, Any]:
        """Two random examples of the model's data, and conditions."""
        model, likelihood = self.model, self.model.likelihood
        generator = np.random.default_rng(0)
        is_image = len(model.data_shape) == 3
        open_size = 24 if is_image else open_length(model.conditions.limits, 64)
        shape = tuple(size or open_size for size in model.data_shape)
        if model.data_levels is None:
            x = generator.normal(size=(2, *shape)) * likelihood.scale + likelihood.mean
            x = x.astype("float32")
        else:
            x = generator.integers(model.data_levels, size=(2, *shape)).astype("int32")
        return x, model.conditions.random(generator, 2, shape)

    def _compare(self, found: Tensor, expected: Tensor) -> None:
        """Raises NotSteppable unless each parameter is equal, relative to its own spread."""
        precise = expected.dtype in (tf.float32, tf.float64)
        one, other = (np.asarray(tf.cast(part, tf.float64)) for part in (found, expected))
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            gap = np.where(same, 0.0, np.abs(one - other))
        finite = np.where(np.isfinite(other), other, 0.0)
        axes = tuple(range(other.ndim - 1))
        spread = finite.std(axis=axes, where=np.isfinite(other)) if other.size else 0.0
        tolerance = (1e-3 if precise else 5e-2) * np.nan_to_num(spread)
        tolerance = tolerance + (1e-5 if precise else 1e-2) * np.abs(finite).max(axis=axes) + 1e-6
        if (gap <= tolerance).all():
            return
        raise WrongSteps(
            f"the step form of network '{self.model.network.name}' differs from the network itself "
            f"by {gap.max():.2g} with random weights: {self._first_difference()}"
        )

    def _first_difference(self) -> str:
        kinds = [
            f"'{node.name}' ({type(node.operation).__name__})"
            for node in self.model.analysis.graph.nodes
            if declares(node.operation)
        ]
        if kinds:
            return f"check what {', '.join(kinds[:4])} declare (taps, combine or step)"
        return "please report the network"


def _known_batch(x: np.ndarray, condition: Any, event_rank: int) -> PartialBatch:
    """A batch of which everything is known."""
    event = x.shape[x.ndim - event_rank :]
    flat = tf.constant(x.reshape(len(x), -1, *event))
    return PartialBatch(
        values=flat,
        known=tf.ones(flat.shape, tf.bool),
        seeds=tf.zeros((len(x),), tf.uint32),
        examples=tf.range(len(x)),
        condition=condition,
    )


def _round_up(count: int) -> int:
    """The next power of two, or above 16 the next multiple of 16."""
    return 1 << (count - 1).bit_length() if count <= 16 else -(-count // 16) * 16


def _parts(size: int, weights: int) -> int:
    """Into how many loops a batch is shared out: one for each core, if each has enough to do."""
    # Measured: below about a million products a step, starting two loops costs what they save.
    most = min(os.cpu_count() or 1, size // 4, size * weights // 1_000_000)
    return max(parts for parts in range(1, max(most, 1) + 1) if size % parts == 0)


def _pad(part: Tensor, missing: int, axis: int = 0) -> Tensor:
    """Repeats the last example, or the last along another axis."""
    if part is None or not missing:
        return part
    last = tf.gather(part, [part.shape[axis] - 1], axis=axis)
    return tf.concat([part, tf.repeat(last, missing, axis=axis)], axis=axis)
