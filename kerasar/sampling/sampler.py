"""What all samplers of networks share: requests, chunks, progress."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.checks import check_choice, check_count, check_memory, check_seed
from kerasar.function_cache import check_eager
from kerasar.noise import fold_in
from kerasar.sampling.models import SampledModel
from kerasar.sampling.options import Options, check_options
from kerasar.sampling.partial_batch import PartialBatch
from kerasar.sampling.progress import VERBOSE, Progress
from kerasar.typing import Tensor


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class SamplingRequest:
    """What is to be completed, and how.

    Attributes:
        values: `(examples, *data shape)`, zeros where unknown.
        known: Boolean, shape of `values`.
        seed: the noise is a function of it, the example's index, its version and the position.
        options: temperature, top-k and top-p.
        condition: arrays by input name, one row for each example, or None.
        num_completions: versions of each example.
        chunk_size: how many are completed at once.
        jit_compile: whether the cached loop is compiled by XLA; None: when that pays.
        verbose: as for `Progress`.
    """

    values: np.ndarray
    known: np.ndarray
    seed: int
    options: Options
    condition: dict[str, np.ndarray] | None
    num_completions: int
    chunk_size: int
    jit_compile: bool | None
    verbose: bool | int | str

    @classmethod
    def checked(
        cls,
        model: SampledModel,
        values: np.ndarray,
        known: np.ndarray,
        *,
        seed: int,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        condition: Any,
        chunk_size: int,
        verbose: bool | int | str,
        num_completions: int = 1,
        jit_compile: bool | None = None,
    ) -> "SamplingRequest":
        """The request for values that fit a model already, with a user's other arguments.

        Raises:
            ValueError, TypeError: for arguments out of range, or a condition that does not fit.
        """
        check_count(num_completions, "num_completions")
        shape = (num_completions, *values.shape)
        check_memory("num_completions", num_completions, shape)
        check_count(chunk_size, "chunk_size", most=None)
        check_choice(verbose, "verbose", VERBOSE)
        return cls(
            values,
            known,
            check_seed(seed),
            check_options(model, temperature, top_k, top_p),
            model.conditions.check(condition, len(values), values.shape[1:]),
            num_completions,
            chunk_size,
            jit_compile,
            verbose,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.values.shape[1:]


class Sampler:
    """Completes partial batches of a model. A subclass defines `complete`.

    Args:
        model: the model to sample from.
    """

    #: Whether it can be exported for data of open length.
    is_for_any_length = True

    def __init__(self, model: SampledModel) -> None:
        self.model = model

    @property
    def key(self) -> Any:
        """What distinguishes this sampler from others of the same model."""
        return type(self)

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        """Fills in all unknown values; all as graph operations.

        Args:
            batch: the batch to be completed.
            options: temperature, top-k and top-p.
            data_shape: int32 vector, the shape of one example.

        Returns:
            The values, shape of `batch.values`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define complete()")

    def run(self, request: SamplingRequest) -> np.ndarray:
        """Completes each example of a request.

        Returns:
            `(examples, num_completions, *data shape)`.
        """
        check_eager("This method")
        examples, versions = len(request.values), request.num_completions
        event = request.shape[len(request.shape) - self.model.likelihood.event_rank :]
        positions = int(np.prod(request.shape[: len(request.shape) - len(event)]))
        rows = np.repeat(np.arange(examples), versions)
        version_of = np.tile(np.arange(versions), examples)
        finished = np.zeros((len(rows), *request.shape), request.values.dtype)
        what = f"Sampling {len(rows)} examples of {positions} positions"
        with Progress(what, len(rows) * positions, request.verbose) as progress:
            for start in range(0, len(rows), request.chunk_size):
                chunk = slice(start, start + request.chunk_size)
                batch = _partial_batch(request, rows[chunk], version_of[chunk], (positions, *event))
                values = self.run_chunk(batch, request, progress)
                finished[chunk] = values.numpy().reshape(finished[chunk].shape)
        return finished.reshape(examples, versions, *request.shape)

    def run_chunk(
        self, batch: PartialBatch, request: SamplingRequest, progress: Progress
    ) -> Tensor:
        """Completes a part of a request, and reports finished positions."""
        graph = self.model.function_cache.traced_open(self.key, self.complete)
        values = graph(batch, request.options, tf.constant(request.shape, tf.int32))
        progress.advance(batch.values.shape[0] * batch.values.shape[1])
        return values


class PositionSampler(Sampler):
    """A sampler that takes a pass of the network for each position; defines `complete_range`."""

    def complete_range(
        self, batch: PartialBatch, options: Options, data_shape: Tensor, start: Tensor, stop: Tensor
    ) -> Tensor:
        """Takes the passes `start` … `stop - 1`, scalars; else as `complete`."""
        raise NotImplementedError(f"{type(self).__name__} must define complete_range()")

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        positions = tf.shape(batch.values)[1]
        return self.complete_range(batch, options, data_shape, tf.constant(0), positions)

    def run_chunk(
        self, batch: PartialBatch, request: SamplingRequest, progress: Progress
    ) -> Tensor:
        """In pieces, so that the progress line moves; the first is short, for an early estimate."""
        examples, positions = batch.values.shape[:2]
        graph = self.model.function_cache.traced_open(self.key, self.complete_range)
        data_shape = tf.constant(request.shape, tf.int32)
        pieces = np.linspace(0, positions, 21).astype(int).tolist()
        bounds = sorted({0, min(2, positions), *pieces})
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
            values = graph(
                batch, request.options, data_shape, tf.constant(start), tf.constant(stop)
            )
            batch = batch._replace(values=values)
            progress.advance(examples * (stop - start))
        return batch.values


def _partial_batch(
    request: SamplingRequest, rows: np.ndarray, versions: np.ndarray, shape: tuple[int, ...]
) -> PartialBatch:
    """Some rows of a request, an example flattened to `shape`, `(positions, *event)`."""
    flat = (len(rows), *shape)
    condition = request.condition
    return PartialBatch(
        values=tf.constant(request.values[rows].reshape(flat)),
        known=tf.constant(request.known[rows].reshape(flat)),
        seeds=_seeds(request.seed, versions),
        examples=tf.constant(rows, tf.int32),
        condition=condition and {n: tf.constant(part[rows]) for n, part in condition.items()},
    )


def _seeds(seed: int, versions: np.ndarray) -> Tensor:
    """The noise key of each row; the first version of an example has the seed itself."""
    if not versions.any():
        return tf.fill((len(versions),), tf.constant(seed, tf.uint32))
    return fold_in(tf.constant(seed), tf.constant(versions, tf.int32))
