"""Writes a model as one SavedModel whose signatures hold everything, the sampling loop included.

The archive is written without `track()`: a tracked or `tf.Module`-held Keras model loads in Python
but not in the C++ loader that TensorFlow Serving uses. Loops are explicit `tf.while_loop`s, for
nothing here goes through autograph. Signatures are not XLA-compiled as a whole: assertions vanish
under it. Their sampling loops are where `jit_compile` asks for it; servers start with XLA off.
"""

from typing import Any

import tensorflow as tf

from kerasar.noise import fold_in
from kerasar.sampling.compiled import CompiledSampler
from kerasar.sampling.options import Options
from kerasar.sampling.partial_batch import PartialBatch
from kerasar.sampling.prompt import split_prompt
from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.export_forecast import ForecastSignature
from kerasar.serving.export_stream import StreamSignatures
from kerasar.serving.models import ServedAutoregressive, ServedNetwork
from kerasar.training.batches import Batch
from kerasar.training.dataset_checks import value_assertions
from kerasar.typing import Tensor

#: Scalars of every sampling signature, with their dtypes.
_OPTIONS = {"seed": "int32", "temperature": "float32", "top_k": "int32", "top_p": "float32"}


def autoregressive_endpoints(
    model: ServedAutoregressive, bounds: Bounds, streaming: bool = False, jit_compile: bool = False
) -> dict[str, Endpoint]:
    """The endpoints of an autoregressive model, the default one first."""
    signatures = Signatures(model, bounds, jit_compile)
    found = signatures.all()
    if ForecastSignature.suits(model):
        found |= ForecastSignature(model, signatures).all()
    return {**found, **StreamSignatures(model, signatures).all()} if streaming else found


def masked_input_endpoints(
    model: ServedNetwork, bounds: Bounds, jit_compile: bool = False
) -> dict[str, Endpoint]:
    """The endpoints of a model with masked inputs, the default one first."""
    # A prompt is an `inpaint` whose beginning is known: the size is fixed anyway.
    return Signatures(model, bounds, jit_compile, continuation=False).all()


class Signatures:
    """The functions that are exported, on tensors named as in the signature.

    Args:
        model: the model to export.
        bounds: what a request may ask for.
        jit_compile: whether the sampling loop is compiled by XLA, on the server.
        continuation: whether models of sequences have a signature that continues a prompt.
    """

    def __init__(
        self,
        model: ServedNetwork,
        bounds: Bounds,
        jit_compile: bool = False,
        continuation: bool = True,
    ) -> None:
        self.model, self.bounds = model, bounds
        sampler = model.sampler()  # built and checked here, for inside a graph it cannot be
        if not sampler.is_for_any_length and None in model.data_shape:
            sampler = model.sampler("parallel")
        completing = CompiledSampler(sampler) if jit_compile else sampler
        # A function of its own, which all signatures share: it is traced and written once.
        self.complete = tf.function(completing.complete, autograph=False)
        self.dtype = tf.int32 if model.discrete else tf.float32
        shape = model.data_shape
        self.event_rank = model.likelihood.event_rank
        self.x = tf.TensorSpec((None, *shape), self.dtype, name="x")
        self.conditions = model.conditions.specs()
        self.options = [tf.TensorSpec((), dtype, name=name) for name, dtype in _OPTIONS.items()]
        is_sequence = len(shape) < 3
        self.continues = continuation and is_sequence
        # Where the network leaves a size open, the request gives it.
        names = ("length",) if is_sequence else ("height", "width")
        self.sizes = [
            tf.TensorSpec((), tf.int32, name=name)
            for name, size in zip(names, shape, strict=False)
            if size is None
        ]

    def all(self) -> dict[str, Endpoint]:
        """The endpoints by name, the default one first."""
        count = tf.TensorSpec((), tf.int32, name="num_samples")
        known = tf.TensorSpec(self.x.shape, tf.bool, name="known")
        found: dict[str, Endpoint] = {"log_prob": (self.log_prob, [self.x, *self.conditions])}
        sampled = [count, *self.sizes, *self.options, *self.conditions]
        found["sample"] = (self.sample, sampled)
        found["inpaint"] = (self.inpaint, [self.x, known, *self.options, *self.conditions])
        if self.continues:
            length = tf.TensorSpec((), tf.int32, name="length")
            shape = (None, None, *self.model.data_shape[1:])
            prompt = tf.TensorSpec(shape, self.dtype, name="prompt")
            given = [prompt, length, *self.options, *self.conditions]
            found["continuation"] = (self.continuation, given)
        return found

    def log_prob(self, x: Tensor, *conditions: Tensor) -> dict[str, Tensor]:
        with tf.control_dependencies(self.value_assertions(x)):
            x = tf.identity(x)
        shape = tf.shape(x)
        batch = Batch(x, self.model.conditions.from_signature(conditions, shape[0], shape[1:]))
        terms = self.model.compute_log_prob_map(batch)
        total = tf.reduce_sum(terms, axis=list(range(1, len(terms.shape))))
        return {"log_prob": total, "log_prob_map": terms}

    def sample(self, num_samples: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        sizes, arguments = arguments[: len(self.sizes)], arguments[len(self.sizes) :]
        named = {spec.name: size for spec, size in zip(self.sizes, sizes, strict=True)}
        checks = self.bounds.assertions(num_samples, named, self.model.data_shape)
        given = iter(sizes)
        with tf.control_dependencies(checks):
            shape = tf.stack(
                [num_samples, *(next(given) if s is None else s for s in self.model.data_shape)]
            )
        values = tf.zeros(shape, self.dtype)
        return self.run_sampler(values, tf.zeros(shape, tf.bool), *arguments)

    def continuation(self, prompt: Tensor, length: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        given = tf.shape(prompt)[1]
        most = self.model.data_shape[0]
        fits = length >= given if most is None else (length >= given) & tf.equal(length, most)
        wanted = (
            "at least that of the prompt" if most is None else f"{most}, as the model was built"
        )
        checks = [
            tf.debugging.Assert(
                fits, [f"length must be {wanted}, but length and prompt are", length, given]
            ),
            *self.value_assertions(prompt, "prompt"),
            *self._continued(tf.shape(prompt)[0], length),
        ]
        with tf.control_dependencies(checks):
            rest = [[0, 0]] * (prompt.shape.rank - 2)
            behind = [[0, 0], [0, length - given], *rest]
        values, known = (tf.pad(part, behind) for part in split_prompt(prompt))
        return self.run_sampler(values, known, *arguments)

    def _continued(self, count: Tensor, length: Tensor) -> list[Any]:
        shape = (None, *self.model.data_shape[1:])
        return self.bounds.assertions(count, {"length": length}, shape, "the rows of prompt")

    def inpaint(self, x: Tensor, known: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        same = tf.reduce_all(tf.equal(tf.shape(x), tf.shape(known)))
        checks = [
            tf.debugging.Assert(
                same,
                ["known must have the shape of x, but is", tf.shape(known), "for", tf.shape(x)],
                summarize=9,
            )
        ]
        with tf.control_dependencies(checks):
            values = tf.where(known, x, tf.zeros_like(x))
        with tf.control_dependencies(self.value_assertions(values)):
            values = tf.identity(values)
        return self.run_sampler(values, known, *arguments)

    def run_sampler(
        self,
        values: Tensor,
        known: Tensor,
        seed: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        *conditions: Tensor,
    ) -> dict[str, Tensor]:
        with tf.control_dependencies(self.option_checks(seed, temperature, top_k, top_p)):
            batch = self._partial_batch(values, known, seed, conditions)
        shape = tf.shape(values)

        def run(options: Options) -> Tensor:
            return self.complete(batch, options, shape[1:])

        if not self.truncates:
            completed = run(Options(temperature))
        else:
            # Sorting the levels at each position is costly: leave it out where no option needs it.
            completed = tf.cond(
                (top_k > 0) | (top_p < 1),
                lambda: run(Options(temperature, top_k, top_p)),
                lambda: run(Options(temperature)),
            )
        return {"samples": tf.reshape(completed, shape)}

    def value_assertions(self, x: Tensor, name: str = "x") -> list[Any]:
        """Graph assertions that fail for values that the model cannot have, with their name."""
        missing = self.model.likelihood.takes_missing
        return value_assertions(x, self.model.data_levels, missing, name)

    @property
    def truncates(self) -> bool:
        """Whether top-k and top-p mean something."""
        return self.model.data_levels is not None and self.model.likelihood.truncates

    def option_checks(
        self, seed: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor
    ) -> list[Any]:
        """Graph assertions that fail for options out of range."""
        most = self.model.data_levels if self.truncates else 0
        checks = [
            tf.debugging.Assert(seed >= 0, ["seed must not be negative, but is", seed]),
            tf.debugging.Assert(
                (temperature > 0) & (temperature < float("inf")),
                ["temperature must be above 0 and finite, but is", temperature],
            ),
            tf.debugging.Assert(
                (top_p > 0) & (top_p <= 1), ["top_p must lie in (0, 1], but is", top_p]
            ),
            tf.debugging.Assert(
                (top_k >= 0) & (top_k <= most), [f"top_k must lie in [0, {most}], but is", top_k]
            ),
        ]
        if not self.truncates:
            words = "top_p must be 1, for the likelihood lists no single likeliest values, but is"
            checks.append(tf.debugging.Assert(tf.equal(top_p, 1.0), [words, top_p]))
        return checks

    def _partial_batch(
        self, values: Tensor, known: Tensor, seed: Tensor, conditions: tuple[Tensor, ...]
    ) -> PartialBatch:
        shape = tf.shape(values)
        event = shape[tf.size(shape) - self.event_rank :]
        flat = tf.concat([shape[:1], [-1], event], 0)
        data_shape = self.model.data_shape
        static = (None, None, *data_shape[len(data_shape) - self.event_rank :])
        examples = tf.range(shape[0])
        return PartialBatch(
            values=tf.ensure_shape(tf.reshape(values, flat), static),
            known=tf.ensure_shape(tf.reshape(known, flat), static),
            seeds=fold_in(seed, tf.zeros_like(examples)),
            examples=examples,
            condition=self.model.conditions.from_signature(conditions, shape[0], shape[1:]),
        )
