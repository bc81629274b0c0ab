"""Samples of a flow: noise, base distribution, and the bijections backwards.

Unlike autoregressive samplers this is one pass for all dimensions at once, unless a bijection
loops inside.
"""

import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.sampling.noise import uniforms
from kerasar.sampling.progress import Progress
from kerasar.typing import Tensor

#: How many numbers are drawn at once where the user does not say: about 16 MB an activation.
_CHUNK_NUMBERS = 2**18
#: Fewer examples than this are not worth a core of their own.
_LEAST_SHARE = 256
#: A compiled loop draws a multiple of this many.
_LEAST_UNIT = 16


class FlowSampler:
    """Draws in chunks. Runs uncompiled at first; compiled by XLA once that is likely to pay.

    Args:
        model: a `FlowDensity`.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.patience = 1.0 + 0.05 * len(model.weights)
        self.spent = 0.0
        self._plain = tf.function(self._draw, reduce_retracing=True, autograph=False)
        self._loop = tf.function(self._draw, jit_compile=True, autograph=False)
        self._loops = tf.function(self._on_cores, autograph=False)

    def run(
        self,
        count: int,
        seed: int,
        temperature: float,
        condition: np.ndarray | None,
        chunk_size: int | None,
        jit_compile: bool | None,
        verbose: bool | str,
    ) -> np.ndarray:
        """`count` samples; checked arguments only."""
        if chunk_size is None:
            chunk_size = max(_CHUNK_NUMBERS // self.model.dim, 1)
        finished = []
        with Progress(f"Sampling {count} examples", count, verbose) as progress:
            for start in range(0, count, chunk_size):
                size = min(chunk_size, count - start)
                examples = np.arange(start, start + size, dtype="int32")
                rows = None if condition is None else condition[examples]
                finished.append(self._chunk(examples, seed, temperature, rows, jit_compile))
                progress.advance(size)
        return finished[0] if len(finished) == 1 else np.concatenate(finished)

    def _chunk(
        self,
        examples: np.ndarray,
        seed: int,
        temperature: float,
        condition: np.ndarray | None,
        jit_compile: bool | None,
    ) -> np.ndarray:
        compiled = self.spent > self.patience if jit_compile is None else jit_compile
        size = len(examples)
        if compiled:
            shares = _shares(size)
            room = shares[0] * shares[1]
            examples = np.arange(examples[0], examples[0] + room, dtype="int32").reshape(shares)
            if condition is not None:
                condition = np.resize(condition, (*shares, *condition.shape[1:]))
        started = time.monotonic()
        drawn = (self._loops if compiled else self._plain)(
            tf.constant(examples),
            tf.constant(seed, tf.int32),
            tf.constant(temperature, self.model.bijection.flow_dtype),
            None if condition is None else tf.constant(condition),
        ).numpy()
        if not compiled:
            self.spent += time.monotonic() - started
        return drawn[:size]

    def _draw(
        self, examples: Tensor, seed: Tensor, temperature: Tensor, condition: Tensor | None
    ) -> Tensor:
        return samples_of(self.model, examples, seed, temperature, condition)

    def _on_cores(
        self, examples: Tensor, seed: Tensor, temperature: Tensor, condition: Tensor | None
    ) -> Tensor:
        """Compiled, a row of the examples on each core: a compiled loop runs on one."""
        drawn = [
            self._loop(row, seed, temperature, None if condition is None else condition[i])
            for i, row in enumerate(tf.unstack(examples))
        ]
        return tf.concat(drawn, axis=0)


def _shares(count: int) -> tuple[int, int]:
    """How many cores draw, and how many examples each.

    Each draws up to an eighth more than its share, or up to 16: so few sizes are ever compiled.
    """
    cores = max(min(os.cpu_count() or 1, count // _LEAST_SHARE), 1)
    share = -(-count // cores)
    unit = max(1 << max((share - 1).bit_length() - 4, 0), _LEAST_UNIT)
    return cores, -(-share // unit) * unit


def samples_of(
    model: Any, examples: Tensor, seed: Tensor, temperature: Tensor, condition: Tensor | None
) -> Tensor:
    """The samples of a seed with these numbers, as graph operations; `(examples, *event)`."""
    noise = uniforms(seed, examples, tf.constant(0), model.dim)
    noise = tf.ensure_shape(noise, (examples.shape[0], model.dim))
    z = model.base.sample(tf.cast(noise, temperature.dtype), temperature)
    return data_of(model, z, condition)


def data_of(model: Any, z: Tensor, condition: Tensor | None) -> Tensor:
    """The data that flat latents stand for: integers for a model of integers."""
    y, _ = model.bijection.inverse(tf.reshape(z, (-1, *model.latent_shape)), condition=condition)
    return y if model.dequantization is None else model.dequantization.integers(y)
