"""The cached sampler of a model: built once, checked once, compiled when that pays."""

import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import open_length
from kerasar.sampling.cached_image import cached_image
from kerasar.sampling.cached_sequence import cached_sequence
from kerasar.sampling.draft import Options, PartialBatch, flat_parameters
from kerasar.stepwise import NotSteppable, make_stepper
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.typing import Shape, Tensor

#: How far the check of a new sampler goes, in positions.
_CHECKED = 512


def cached(
    model: Any,
    steps: Any,
    draft: PartialBatch,
    options: Options,
    shape: Any,
    compiled: bool,
    **kwargs: Any,
) -> Tensor:
    """Fills in the unknown values with the network's step form; all as graph operations."""
    if isinstance(steps, RasterProgram):
        size = (shape[0], shape[1])
        return cached_image(model, steps, draft, options, size, compiled, **kwargs)
    return cached_sequence(model, steps, draft, options, compiled, **kwargs)


class CachedSampler:
    """Samples from a model by its network's step form.

    The loop runs uncompiled at first, which starts in about a second. Once as much time has been
    spent on that as compiling by XLA is expected to cost, it is compiled, for good; where that
    fails, it stays as it is.

    Args:
        model: an `AutoregressiveDensity`.

    Raises:
        NotSteppable: naming the layer that cannot be run step by step.
        RuntimeError: if the step form differs from the network, which is an error in a layer's
            declaration.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.steps = make_stepper(model.analysis)
        self.patience = 2.0 + 0.15 * len(self.steps.graph.nodes)
        self.spent = 0.0
        self.compiles = True
        self._plain: dict[Shape, Any] = {}
        self._compiled: dict[Any, Any] = {}
        self._check()

    def run(
        self,
        draft: PartialBatch,
        options: Options,
        shape: tuple[int, ...],
        jit_compile: bool | None = None,
    ) -> Tensor:
        """Completes a draft; `jit_compile` None decides by the time spent so far."""
        compiled = jit_compile
        if compiled is None:
            compiled = self.compiles and self.spent > self.patience
        if compiled:
            try:
                return self._run_compiled(draft, options, shape)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                if jit_compile:
                    raise
                self.compiles = False
        started = time.monotonic()
        values = self._graph(shape)(draft, options)
        self.spent += time.monotonic() - started
        return values

    def _graph(self, shape: tuple[int, ...]) -> Any:
        if shape not in self._plain:
            self._plain[shape] = tf.function(
                lambda draft, options: cached(
                    self.model, self.steps, draft, options, shape, compiled=False
                ),
                reduce_retracing=True,
                autograph=False,
            )
        return self._plain[shape]

    def _run_compiled(
        self, draft: PartialBatch, options: Options, shape: tuple[int, ...]
    ) -> Tensor:
        """Pads the batch to a size that is compiled already, or that serves others too."""
        count = int(draft.values.shape[0])
        kind = (shape, tuple(option is None for option in options))
        sizes = [size for k, size in self._compiled if k == kind and count <= size <= 2 * count]
        size = min(sizes, default=_round_up(count))
        if (kind, size) not in self._compiled:
            parts = _parts(size, self.model.network.count_params())
            self._compiled[kind, size] = self._compile(shape, parts)
        if size == count:
            return self._compiled[kind, size](draft, options)
        padded = tf.nest.map_structure(lambda part: _pad(part, size - count), draft)
        return self._compiled[kind, size](padded, options)[:count]

    def _compile(self, shape: tuple[int, ...], parts: int) -> Any:
        """The loop, compiled; examples are shared out, for a compiled loop runs on one core."""

        @tf.function(jit_compile=True, autograph=False)
        def loop(draft: PartialBatch, options: Options) -> Tensor:
            return cached(self.model, self.steps, draft, options, shape, compiled=True)

        @tf.function(autograph=False)
        def loops(draft: PartialBatch, options: Options) -> Tensor:
            share = draft.values.shape[0] // parts
            done = []
            for number in range(parts):
                rows = slice(number * share, (number + 1) * share)
                part = tf.nest.map_structure(
                    lambda tensor, rows=rows: None if tensor is None else tensor[rows], draft
                )
                done.append(loop(part, options))
            return tf.concat(done, axis=0)

        return loop if parts == 1 else loops

    def _check(self) -> None:
        """Runs the step form on random data, teacher-forced, against the full network."""
        model = self.model
        rng = np.random.default_rng(0)
        image = len(model.data_shape) == 3
        hops = {name: limits.hop or 1 for name, limits in model.condition_limits.items()}
        open_size = 24 if image else open_length(model.condition_limits, 64)
        shape = tuple(size or open_size for size in model.data_shape)
        levels = model.data_levels
        if levels is None:
            x = rng.normal(size=(2, *shape)) * model.likelihood.scale + model.likelihood.mean
            x = x.astype("float32")
        else:
            x = rng.integers(levels, size=(2, *shape)).astype("int32")
        conditions = {
            name: rng.normal(size=(2, *(size or shape[0] // hops.get(name, 1) for size in sizes)))
            for name, sizes in model.condition_shapes.items()
        }
        for name, value in conditions.items():
            dtype = model.condition_dtype(name)
            # Class 0 is the one that every embedding has.
            conditions[name] = value.astype(dtype) if "float" in dtype else 0 * value.astype(dtype)
        condition = {n: tf.constant(value) for n, value in conditions.items()} or None
        expected = flat_parameters(
            model, _draft(x, condition, model.likelihood.event_rank), tf.constant(shape, tf.int32)
        )
        # The step form needs no more than a beginning; the network gets what it is built for.
        stop = min(_CHECKED, shape[0]) if not image else -(-_CHECKED // shape[1])
        start = x[:, :stop]
        draft = _draft(start, condition, model.likelihood.event_rank)
        graph = tf.function(
            lambda draft: cached(
                model, self.steps, draft, Options(), start.shape[1:], compiled=False, record=True
            ),
            autograph=False,
        )
        found = graph(draft)
        expected = expected[:, : found.shape[1]]
        gap = float(tf.reduce_max(tf.abs(tf.cast(found - expected, tf.float32))))
        scale = 1.0 + float(tf.reduce_max(tf.abs(tf.cast(expected, tf.float32))))
        tolerance = 1e-4 if expected.dtype in (tf.float32, tf.float64) else 5e-2
        if not gap <= tolerance * scale:
            raise RuntimeError(
                f"The step form of network '{model.network.name}' differs from the network itself "
                f"by {gap:.2g}, so cached sampling would be wrong and is refused. A layer's "
                "declaration (taps, combine or step) does not say what its call does; "
                'method="parallel" does not use declarations.'
            )


def _draft(x: np.ndarray, condition: Any, event_rank: int) -> PartialBatch:
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


def _pad(part: Tensor, missing: int) -> Tensor:
    """Repeats the last example."""
    if part is None or not missing:
        return part
    return tf.concat([part, tf.repeat(part[-1:], missing, axis=0)], axis=0)


__all__ = ["CachedSampler", "NotSteppable", "cached"]
