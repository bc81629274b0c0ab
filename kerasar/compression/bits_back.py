"""Coding by a latent z, of which p(x) = ∫ p(z) p(x | z) dz cannot be computed: bits back.

To write x, a z is needed, and any z of the posterior q(z | x) will do. Which one is chosen can
itself hold information: z is *read* from what was written before. x and z are then written on top.

    write x:   z <- pop by q(z | x);   push x by p(x | z);   push z by p(z)
    read x:    z <- pop by p(z);       x <- pop by p(x | z);  push z by q(z | x)

Reading runs through all examples from the last to the first, and each time puts the bits back that
writing took. An example takes -log p(z) - log p(x | z) + log q(z | x), whose mean is the bound that
the model is trained by. The first one finds nothing to read z from, and takes random bits.

References:
    Hinton & van Camp. Keeping neural networks simple by minimizing the description length of the
    weights. COLT 1993.
    Townsend, Bird & Barber. Practical Lossless Compression with Latent Variables using Bits Back
    Coding. ICLR 2019. https://arxiv.org/abs/1901.04866
"""

import hashlib
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from kerasar.compression.coders import Recorder
from kerasar.compression.coding_loop import CodingLoop
from kerasar.compression.content import Content, padded, values_of_step
from kerasar.compression.file_format import Header, NotReadable, best_batch_power
from kerasar.compression.fingerprint import Fingerprints, model_digest
from kerasar.compression.latent_bins import BINS, bin_tables, latent_of_bin
from kerasar.compression.stack import Stack, StackReader, StackWriter
from kerasar.distributions.frequency_table import PRECISION
from kerasar.function_cache import FunctionCache, OpenBatchFunction
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.progress import Progress
from kerasar.typing import Tensor

#: Bytes that the tables of a batch may take.
_MOST_BYTES = 1 << 26
#: How many bits a latent value is expected to take from the stack, at most.
_EXPECTED_BITS = BINS.bit_length() + 1


class LatentModel(Protocol):
    """A `VAEModel`: a decoder, N(0, I) of its condition, and a normal posterior of that."""

    name: str
    decoder: Any
    latent_shape: tuple[int, ...]
    data_levels: int | None
    function_cache: FunctionCache
    weights: list[Any]

    def compute_posterior(self, x: Tensor, training: bool = False) -> tuple[Tensor, Tensor]: ...


class BitsBack:
    """Codes the data of a `VAEModel`.

    Args:
        model: of discrete data.
    """

    def __init__(self, model: LatentModel) -> None:
        self.model = model
        self.decoder: SampledAutoregressive = model.decoder
        self.discrete = self.decoder.likelihood.discrete
        self._latents = int(np.prod(model.latent_shape))

    def batch_power(self, count: int, shape: tuple[int, ...]) -> int:
        """How many examples are coded at once, as a power of two, so that tables find room."""
        values = int(np.prod(shape)) * (self.model.data_levels or 1)
        room = _MOST_BYTES // (8 * max(values, self._latents * BINS))
        return min(best_batch_power(count), max(room, 1).bit_length() - 1)

    def fingerprint(self) -> bytes:
        """Of the model."""
        likelihood = self.decoder.likelihood
        return model_digest(self.model.weights, likelihood, self.model.data_levels, "bits back")

    def machine(self, header: Header, condition: Any) -> bytes:
        """Of the tables that this machine computes, for a header of a file."""
        size, loop = header.batch_size, self._loop(header.shape)

        def run() -> bytes:
            recorder, values = Recorder(), loop.some_values(size)
            bins = np.random.default_rng(0).integers(BINS, size=(size, self._latents))
            loop.run(values, self._condition(bins, size), recorder)
            posterior = self._posterior(values)
            return hashlib.blake2b(recorder.digest.digest() + posterior.tobytes()).digest()

        found = self.model.function_cache.get((Fingerprints, header.shape), Fingerprints)
        return found.get((header.model, size), run)

    def write(self, content: Content, size: int, progress: Progress) -> bytes:
        """The stream of some examples, at most `size` at once."""
        stack, values, start = self._stack(size), content.values, 0
        while start < len(values):
            # As many as the stack holds bits for: what is missing would be random bits.
            enough = stack.bits // (self._latents * _EXPECTED_BITS)
            examples = min(max(enough, 1), size, len(values) - start)
            batch = padded(values[start : start + examples], 0, size)
            tables = self._posterior(batch)[:examples].reshape(-1, BINS)
            bins = stack.pop(tables)
            writer = StackWriter()
            self._run(batch, bins, examples, writer)
            writer.push_all(stack)
            stack.push_integers(bins, BINS)
            stack.push_integers(np.array([examples - 1]), size)
            start += examples
            progress.advance(examples)
        return stack.stream()

    def read(self, stream: bytes, header: Header, condition: Any, progress: Progress) -> Content:
        """The examples of a stream, from the last to the first."""
        size, stop = header.batch_size, header.count
        stack, values = self._stack(size, stream), np.zeros((stop, *header.shape), "int32")
        while stop > 0:
            examples = int(stack.pop_integers(1, size)[0]) + 1
            if examples > stop:
                raise NotReadable("The stream holds more examples than its header: it is damaged.")
            bins = stack.pop_integers(examples * self._latents, BINS)
            blank = np.zeros((size, *header.shape), "int32")
            found = self._run(blank, bins, examples, StackReader(stack))
            batch = padded(found[:examples], 0, size)
            stack.push(bins, self._posterior(batch)[:examples].reshape(-1, BINS))
            values[stop - examples : stop] = batch[:examples]
            stop -= examples
            progress.advance(examples)
        if not stack.is_new:
            raise NotReadable("Something is left of the stream: this model or machine did not fit.")
        return Content(values)

    def _run(self, batch: np.ndarray, bins: np.ndarray, examples: int, coder: Any) -> np.ndarray:
        """A batch through the decoder, given the latents of some bins."""
        shape = batch.shape[1:]
        coder.begin(examples, None, values_of_step(shape))
        return self._loop(shape).run(batch, self._condition(bins, len(batch)), coder)

    def _condition(self, bins: np.ndarray, size: int) -> dict[str, np.ndarray]:
        """The latents of a batch as the condition of the decoder."""
        latents = padded(latent_of_bin(bins.reshape(-1, self._latents)), 0, size)
        (name,) = self.decoder.conditions.shapes
        dtype = self.decoder.conditions.dtypes[name]
        return {name: latents.reshape(size, *self.model.latent_shape).astype(dtype)}

    def _stack(self, size: int, stream: bytes | None = None) -> Stack:
        """A stack with random words for as many latents as are read at once, at worst."""
        return Stack(size * self._latents * PRECISION // 32 + 2, stream)

    def _posterior(self, values: np.ndarray) -> np.ndarray:
        """Frequencies of the bins of each latent, `(batch, latents, BINS)`."""
        graph = self.model.function_cache.get(
            BitsBack, lambda: OpenBatchFunction(self._posterior_tables)
        )
        return graph(tf.constant(values)).numpy()

    def _posterior_tables(self, x: Tensor) -> Tensor:
        mean, scale = self.model.compute_posterior(x)
        flat = (-1, self._latents)
        return bin_tables(tf.reshape(mean, flat), tf.reshape(scale, flat))

    def _loop(self, shape: tuple[int, ...]) -> CodingLoop:
        """The decoder's loop, traced once."""
        return self.decoder.function_cache.get(
            (CodingLoop, shape), lambda: CodingLoop(self.decoder, shape)
        )
