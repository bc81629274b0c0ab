"""Holds the steps of a network to the network itself, before anything is sampled by them."""

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import open_length
from kerasar.causality.randomize import DrawnWeights
from kerasar.function_cache import OpenBatchFunction
from kerasar.keras_internals import graphs_as_they_are
from kerasar.layers.protocol import declares
from kerasar.sampling.cached_image import ImageLoop
from kerasar.sampling.cached_sequence import SequenceLoop
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Choose, Options
from kerasar.sampling.partial_batch import PartialBatch, flat_parameters
from kerasar.stepwise import NotSteppable
from kerasar.stepwise.raster_steps import RasterProgram
from kerasar.stepwise.sequence_steps import SequenceProgram
from kerasar.typing import Tensor

#: How far the check goes, in positions, and up to how many the network runs whole.
_CHECKED, _WHOLE = 512, 2_048
#: Which part of the random data is missing, for models that know of such.
_MISSING = 0.1

Program = SequenceProgram | RasterProgram


class WrongSteps(NotSteppable):
    """The step form computes something else than the network."""


def run_steps(
    model: SampledAutoregressive,
    program: Program,
    batch: PartialBatch,
    options: Options,
    shape: Any,
    compiled: bool,
    length: Tensor | None = None,
    record: bool = False,
    choose: Choose | None = None,
) -> Tensor:
    """The loop over all positions, or the first `length` steps; all as graph operations."""
    if isinstance(program, RasterProgram):
        size = (shape[0], shape[1])
        return ImageLoop(model, program, batch, options, size, compiled, record, choose).run()
    return SequenceLoop(model, program, batch, options, compiled, length, record, choose).run()


def check_steps(model: SampledAutoregressive, program: Program, length: int | None = None) -> None:
    """Compares the steps of a network with the network itself, with weights drawn at random.

    Args:
        model: an `AutoregressiveDensity`.
        program: the steps.
        length: for which they are; None: for any, or that of the network.

    Raises:
        WrongSteps: if they differ.
    """
    _StepCheck(model, program, length).run()


class _StepCheck:
    def __init__(self, model: SampledAutoregressive, program: Program, length: int | None) -> None:
        self.model, self.program, self.length = model, program, length

    def run(self) -> None:
        """Runs the step form on random data, teacher-forced, against the full network."""
        x, condition = self._random_data()
        event_rank = self.model.likelihood.event_rank
        # The step form needs no more than a beginning.
        per_row = 1 if x.ndim < 4 else x.shape[2]
        stop = min(-(-_CHECKED // per_row), x.shape[1])
        start = x[:, :stop]
        graph = OpenBatchFunction(
            lambda batch: run_steps(
                self.model, self.program, batch, Options(), start.shape[1:], False, record=True
            )
        )
        weights = DrawnWeights(node.operation for node in self.program.analysis.graph.nodes)
        with weights.scope(), graphs_as_they_are():
            expected = self._expected(x, condition, stop, per_row)
        try:
            with weights.scope(), graphs_as_they_are():
                found = graph(_known_batch(start, condition, event_rank))
        except Exception as error:
            name, text = self.model.network.name, " ".join(str(error).split())[:300]
            raise WrongSteps(
                f"the step form of network '{name}' cannot be run ({type(error).__name__}: "
                f"{text}): {self._first_difference()}"
            ) from error
        self._compare(found, expected[:, : found.shape[1]])

    def _expected(self, x: np.ndarray, condition: Any, stop: int, per_row: int) -> Tensor:
        """The whole network's output; of long data only what the beginning needs.

        Outputs near the end of a beginning may read tensors that look ahead, so it is longer.
        """
        whole_only = self.program.has_caches
        if x.shape[1] * per_row > _WHOLE and condition is None and not whole_only:
            # A layer that knows the sizes of images, as of positions, takes no part of one.
            with contextlib.suppress(ValueError, TypeError, tf.errors.InvalidArgumentError):
                return self._beginning(x[:, : stop + self.program.look_ahead])
        known = _known_batch(x, condition, self.model.likelihood.event_rank)
        shape = tf.constant(x.shape[1:], tf.int32)
        if condition is None:
            return flat_parameters(self.model, known, shape)
        return OpenBatchFunction(lambda batch: flat_parameters(self.model, batch, shape))(known)

    def _beginning(self, x: np.ndarray) -> Tensor:
        """The network's output for a part of the data that is smaller than its own."""
        graph = self.program.analysis.graph
        names = [tensor.name for tensor in self.model.network.inputs]
        flat = self.model.network_inputs(tf.constant(x), None)
        values = graph.inputs(dict(zip(names, flat, strict=True)))
        for _ in graph.run(values):
            pass
        found = values[graph.output]
        tail = found.shape[len(x.shape) - self.model.likelihood.event_rank :]
        return tf.reshape(found, (len(x), -1, *tail))

    def _random_data(self) -> tuple[np.ndarray, Any]:
        """Two random examples of the model's data, and conditions."""
        model, likelihood = self.model, self.model.likelihood
        generator = np.random.default_rng(0)
        is_image = len(model.data_shape) == 3
        open_size = 24 if is_image else open_length(model.conditions.limits, 64)
        open_size = self.length or open_size
        shape = tuple(size or open_size for size in model.data_shape)
        if model.data_levels is None:
            x = generator.normal(size=(2, *shape)) * likelihood.scale + likelihood.mean
            if likelihood.takes_missing:
                x[generator.random(x.shape) < _MISSING] = np.nan
            x = x.astype("float32")
        else:
            x = generator.integers(model.data_levels, size=(2, *shape)).astype("int32")
        return x, model.conditions.random(generator, 2, shape)

    def _compare(self, found: Tensor, expected: Tensor) -> None:
        """Raises NotSteppable unless each parameter is equal, relative to its own spread."""
        precise = not self.program.analysis.graph.has_half_precision
        one, other = (np.asarray(tf.cast(part, tf.float64)) for part in (found, expected))
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            gap = np.where(same, 0.0, np.abs(one - other))
        axes, is_finite = tuple(range(other.ndim - 1)), np.isfinite(other)
        finite = np.where(is_finite, other, 0.0)
        count = np.maximum(is_finite.sum(axis=axes), 1)
        center = finite.sum(axis=axes) / count
        spread = np.sqrt((np.where(is_finite, other - center, 0.0) ** 2).sum(axis=axes) / count)
        tolerance = (1e-3 if precise else 5e-2) * spread
        tolerance = tolerance + (1e-5 if precise else 1e-2) * np.abs(finite).max(axis=axes) + 1e-6
        if precise:
            fits = gap <= tolerance
        else:  # rounding is now large, now small; what is wrong is off by the spread
            fits = (np.sqrt((gap**2).mean(axis=axes)) <= tolerance) & (gap <= 6 * tolerance)
        if fits.all():
            return
        raise WrongSteps(
            f"the step form of network '{self.model.network.name}' differs from the network itself "
            f"by {gap.max():.2g} with random weights: {self._first_difference()}"
        )

    def _first_difference(self) -> str:
        kinds = [
            f"'{node.name}' ({type(node.operation).__name__})"
            for node in self.program.analysis.graph.nodes
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
