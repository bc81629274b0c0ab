"""The cached sampler of a model: built once, checked once, compiled when that pays."""

import os
import time
from typing import Any

import tensorflow as tf

from kerasar.causality.proof import TRIED_LENGTHS, prove
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options
from kerasar.sampling.partial_batch import PartialBatch
from kerasar.sampling.progress import Progress
from kerasar.sampling.sampler import Sampler, SamplingRequest
from kerasar.sampling.step_check import Program, check_steps, run_steps
from kerasar.stepwise import NotSteppable, make_stepper
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: For how many lengths steps are kept, where they differ by length.
_MOST_LENGTHS = 8


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
        #: Whether the steps are the same at any length; else attention has made masks of one.
        self.is_for_any_length = not model.analysis.lacks_length
        self._of_length: dict[int, Program] = {}
        self.program = self._steps(None if self.is_for_any_length else TRIED_LENGTHS[-1])
        #: Seconds that compiling is expected to cost, that uncompiled loops have taken by size,
        #: and that they take for a position; None before that is known.
        self.patience = 2.0 + 0.15 * len(self.program.graph.nodes)
        self.spent: dict[Any, float] = {}
        self.pace: float | None = None
        self.compiles = True
        #: Whether a loop for long sequences draws shorter ones: no condition has their length.
        self.shares_lengths = (
            self.is_for_any_length
            and isinstance(self.program, SequenceProgram)
            and model.data_shape[0] is None
            and not any(None in shape for shape in model.conditions.shapes.values())
        )
        self._compiled: set[Any] = set()

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        sizes = tf.unstack(data_shape, num=len(self.model.data_shape))
        shape = [own or size for own, size in zip(self.model.data_shape, sizes, strict=True)]
        return self.fill_in(batch, options, shape, compiled=False)

    def fill_in(
        self,
        batch: PartialBatch,
        options: Options,
        shape: Any,
        compiled: bool,
        length: Tensor | None = None,
    ) -> Tensor:
        """The loop over all positions, or the first `length` steps; all as graph operations."""
        program = self.program_for(shape)
        return run_steps(self.model, program, batch, options, shape, compiled, length)

    def _steps(self, length: int | None) -> Program:
        """The checked steps of the network, for one length if that is given."""
        analysis = self.model.analysis
        if length is not None:
            analysis = analysis.at_length(length)
        if length is not None and not analysis.unknown:
            prove(analysis, self.model.data_levels, allow_training_leak=True)
        program = make_stepper(analysis)
        check_steps(self.model, program, length)
        return program

    def program_for(self, shape: Any) -> Program:
        """The checked steps for data of that shape.

        Raises:
            NotSteppable: if the steps are those of one length, and it is open.
        """
        if self.is_for_any_length:
            return self.program
        if not isinstance(shape[0], int):
            raise NotSteppable("its layers make masks of one length, and the length is open here")
        if shape[0] not in self._of_length:
            with tf.init_scope():
                made = self._steps(shape[0])
            latest = list(self._of_length.items())[1 - _MOST_LENGTHS :]
            self._of_length = {**dict(latest), shape[0]: made}
        return self._of_length[shape[0]]

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
        graph: Any = self._uncompiled(request.shape)
        traced, started = graph.experimental_get_tracing_count(), time.monotonic()
        values = graph(batch, request.options, tf.constant(request.shape, tf.int32))
        seconds = time.monotonic() - started
        # The first call for a while is tracing, which says little about the next.
        if graph.experimental_get_tracing_count() == traced or seconds > self.patience:
            self.pace = seconds / batch.values.shape[1]
        bucket = self._kind(request), _round_up(batch.values.shape[0])
        self.spent[bucket] = self.spent.get(bucket, 0.0) + seconds
        return values

    def _uncompiled(self, shape: tuple[int, ...]) -> Any:
        """The uncompiled loop: one graph for all sizes, where the steps are for any length."""
        if self.is_for_any_length:
            return self.model.function_cache.traced("cached loop", self.complete)
        return self.model.function_cache.traced(
            (CachedSampler, shape),
            lambda batch, options, _: self.fill_in(batch, options, shape, compiled=False),
        )

    def _kind(self, request: SamplingRequest) -> Any:
        """What a compiled loop is for, besides the number of examples."""
        shape = request.shape
        if self.shares_lengths:
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
            (CachedSampler, kind, size), lambda: self._compile(kind[0], size), is_fresh=True
        )
        self._compiled.add((kind, size))
        padded = tf.nest.map_structure(lambda part: _pad(part, size - count), batch)
        length = None
        if self.shares_lengths:
            steps = request.shape[0]
            length, missing = tf.constant(steps), (kind[0][0] - steps) * (positions // steps)
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
            return self.fill_in(batch, options, shape, compiled=True, length=length)

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
