"""Samples of a flow: noise, base distribution, and the inverse of the bijections.

Unlike autoregressive samplers this is one pass for all dimensions at once, unless a bijection
loops inside.
"""

import math
import os
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasar.function_cache import check_eager
from kerasar.noise import uniforms
from kerasar.sampling.models import SampledFlow
from kerasar.sampling.progress import Progress
from kerasar.sampling.shares import in_shares
from kerasar.typing import Tensor

#: How many elements are drawn at once by default: about 16 MB an activation.
_CHUNK_ELEMENTS = 2**18
#: Fewer examples than this are not worth a core of their own.
_LEAST_SHARE = 256
#: A compiled loop draws a multiple of this many.
_LEAST_UNIT = 16


class FlowSampler:
    """Draws in chunks. Runs uncompiled at first; compiled by XLA once that is likely to pay.

    Args:
        model: a `FlowDensity`.
    """

    def __init__(self, model: SampledFlow) -> None:
        self.model = model
        #: Seconds that compiling is expected to cost, and that uncompiled draws have taken.
        self.patience = 1.0 + 0.05 * len(model.weights)
        self.spent = 0.0
        self.cores = os.cpu_count() or 1
        self._loop = tf.function(self._draw, jit_compile=True, autograph=False)

    def run(
        self,
        num_samples: int,
        *,
        seed: int,
        temperature: float,
        condition: np.ndarray | None,
        chunk_size: int | None,
        jit_compile: bool | None,
        verbose: bool | int | str,
    ) -> np.ndarray:
        """Samples, `(num_samples, *event)`; checked arguments only."""
        check_eager("sample()")
        if chunk_size is None:
            chunk_size = max(_CHUNK_ELEMENTS // self.model.dim, 1)
        finished = []
        with Progress(f"Sampling {num_samples} examples", num_samples, verbose) as progress:
            for start in range(0, num_samples, chunk_size):
                size = min(chunk_size, num_samples - start)
                rows = None if condition is None else condition[start : start + size]
                where = (start, size, seed)
                finished.append(self._chunk(where, temperature, rows, jit_compile))
                progress.advance(size)
        return finished[0] if len(finished) == 1 else np.concatenate(finished)

    def _chunk(
        self,
        where: tuple[int, int, int],
        temperature: float,
        condition: np.ndarray | None,
        jit_compile: bool | None,
    ) -> np.ndarray:
        """Examples from the first of `where` on, as many as the second, with the third as seed."""
        compiled = self.spent > self.patience if jit_compile is None else jit_compile
        size = where[1]
        if compiled:
            shares = _shares(size, self.cores)
            draw = self._on_cores(shares)
            if condition is not None:
                condition = np.resize(condition, (math.prod(shares), *condition.shape[1:]))
        else:
            draw = self.model.function_cache.traced("samples", self._draw_any_number)
        started = time.monotonic()
        drawn = draw(
            tf.constant(where, tf.int32),
            tf.constant(temperature, self.model.bijection.flow_dtype),
            None if condition is None else tf.constant(condition),
        ).numpy()
        if not compiled:
            self.spent += time.monotonic() - started
        return drawn[:size]

    def _draw_any_number(
        self, where: Tensor, temperature: Tensor, condition: Tensor | None
    ) -> Tensor:
        start, size, seed = tf.unstack(where)
        return self._draw(tf.range(start, start + size), seed, temperature, condition)

    def _draw(
        self, examples: Tensor, seed: Tensor, temperature: Tensor, condition: Tensor | None
    ) -> Tensor:
        return compute_samples(self.model, examples, seed, temperature, condition)

    def _on_cores(self, shares: tuple[int, int]) -> Callable[..., Tensor]:
        """Compiled for that many cores and examples on each: a compiled loop runs on one core."""
        return self.model.function_cache.get((FlowSampler, shares), lambda: self._compile(*shares))

    def _compile(self, cores: int, share: int) -> Callable[..., Tensor]:
        """Traced once, and then called as it is.

        Looking a function up takes a tenth of the time that a small flow needs for thousands of
        samples.
        """

        def draw(where: Tensor, temperature: Tensor, condition: Tensor | None) -> Tensor:
            start, _, seed = tf.unstack(where)
            examples = tf.split(start + tf.range(cores * share), cores)
            given = [None] * cores if condition is None else tf.split(condition, cores)
            return tf.concat(
                [
                    self._loop(part, seed, temperature, its_condition)
                    for part, its_condition in zip(examples, given, strict=True)
                ],
                axis=0,
            )

        dtype, shape = self.model.bijection.flow_dtype, self.model.condition_shape
        return tf.function(draw, autograph=False).get_concrete_function(
            tf.TensorSpec(3, tf.int32),
            tf.TensorSpec((), dtype),
            None if shape is None else tf.TensorSpec((cores * share, *shape), dtype),
        )


def _shares(count: int, cores: int) -> tuple[int, int]:
    """How many of the cores draw, and how many examples each.

    Each draws up to an eighth more than its share, or up to 16: so few sizes are ever compiled.
    """
    cores = max(min(cores, count // _LEAST_SHARE), 1)
    share = -(-count // cores)
    unit = max(1 << max((share - 1).bit_length() - 4, 0), _LEAST_UNIT)
    return cores, -(-share // unit) * unit


def compiled_draw(model: SampledFlow) -> Callable[..., Tensor]:
    """`compute_samples` of a model, compiled by XLA where it runs, for few sizes."""

    @tf.function(jit_compile=True, autograph=False)
    def draw(rows: tuple[Tensor, Tensor | None], seed: Tensor, temperature: Tensor) -> Tensor:
        examples, condition = rows
        return compute_samples(model, examples, seed, temperature, condition)

    dtype = model.bijection.flow_dtype if model.dequantization is None else tf.int32
    spec = tf.TensorSpec((None, *model.data_shape), dtype)
    most = max(_CHUNK_ELEMENTS // model.dim, 1)

    def shared(
        examples: Tensor, seed: Tensor, temperature: Tensor, condition: Tensor | None
    ) -> Tensor:
        rows = examples, condition
        return in_shares(
            lambda share: draw(share, seed, temperature), spec, rows, _LEAST_SHARE, most
        )

    return shared


def compute_samples(
    model: SampledFlow,
    examples: Tensor,
    seed: Tensor,
    temperature: Tensor,
    condition: Tensor | None,
) -> Tensor:
    """The samples of a seed with these indices, as graph operations; `(examples, *event)`."""
    noise = uniforms(seed, examples, tf.constant(0), model.dim)
    noise = tf.ensure_shape(noise, (examples.shape[0], model.dim))
    z = model.base.sample(tf.cast(noise, temperature.dtype), temperature)
    return compute_data(model, z, condition)


def compute_data(model: SampledFlow, z: Tensor, condition: Tensor | None) -> Tensor:
    """The data that flat latents are mapped to: integers for a model of integers."""
    y, _ = model.bijection.inverse(tf.reshape(z, (-1, *model.latent_shape)), condition=condition)
    return y if model.dequantization is None else model.dequantization.integers(y)
