"""The signatures of streams: the state comes in and goes out, so a server keeps no sessions.

The state is a set of named tensors whose first axis holds the batch. A client hands what one answer
gave to the next request. Rows of a request are streams of their own, each at its own step, so rows
of many states can be joined for one request, and its answer taken apart.
"""

from typing import Any, Protocol

import tensorflow as tf

from kerasar.noise import fold_in
from kerasar.sampling.options import Options
from kerasar.sampling.stream_file import fingerprint
from kerasar.sampling.stream_steps import Memory
from kerasar.sampling.streams import find_stream_steps
from kerasar.serving.archive import Endpoint
from kerasar.serving.bounds import Bounds
from kerasar.serving.models import ServedAutoregressive
from kerasar.stepwise.own_steps import OwnSteps
from kerasar.typing import Tensor

#: Where the memory begins in a state: behind the model's mark, the step and the example.
_FIRST = 3


class StreamChecks(Protocol):
    """What streams share with the other signatures, `kerasar.serving.export.Signatures`."""

    bounds: Bounds
    dtype: Any
    options: list[tf.TensorSpec]
    conditions: list[tf.TensorSpec]

    @property
    def truncates(self) -> bool: ...
    def value_assertions(self, x: Tensor, name: str) -> list[Any]: ...
    def option_checks(
        self, seed: Tensor, temperature: Tensor, top_k: Tensor, top_p: Tensor
    ) -> list[Any]: ...


class StreamSignatures:
    """`begin`, `score_step`, `draw_step` and, for coders, `tables`, on tensors named as there.

    Args:
        model: the model to export.
        checks: its other signatures.

    Raises:
        ValueError: if the model has no streams, needs a length for them, or has a state without a
            batch axis.
    """

    def __init__(self, model: ServedAutoregressive, checks: StreamChecks) -> None:
        self.model, self.checks = model, checks
        self.steps = find_stream_steps(model)
        #: What a state carries on to tell that it is of this model; 31 bits of a fingerprint.
        self.mark = int(fingerprint(model)[:8], 16) >> 1
        self.state = [
            tf.TensorSpec((None,), tf.int32, name="state_model"),
            tf.TensorSpec((None,), tf.int32, name="state_step"),
            tf.TensorSpec((None,), tf.int32, name="state_example"),
        ]
        for name, tensor in self.steps.memory.by_name().items():
            if not tensor.shape.rank or tensor.shape[0] is not None:
                raise ValueError(
                    f"Model '{model.name}' cannot be exported with streaming=True: its state "
                    f"'{name}', of shape {tuple(tensor.shape)}, has no batch axis. Leave it out; "
                    "model.stream() takes any state."
                )
            self.state.append(tf.TensorSpec(tensor.shape, tensor.dtype, name=f"state_{name}"))

    def all(self) -> dict[str, Endpoint]:
        """The endpoints by name."""
        count = tf.TensorSpec((), tf.int32, name="num_samples")
        x = tf.TensorSpec((None, *self.model.data_shape[1:]), self.checks.dtype, name="x_t")
        conditions = self.checks.conditions
        tables = {"tables": (self.tables, [x, *self.state, *conditions])}
        return {
            "begin": (self.begin, [count, *conditions]),
            "score_step": (self.score_step, [x, *self.state, *conditions]),
            "draw_step": (self.draw_step, [*self.checks.options, *self.state, *conditions]),
            **(tables if self.model.likelihood.lists_values else {}),
        }

    def begin(self, num_samples: Tensor, *conditions: Tensor) -> dict[str, Tensor]:
        with tf.control_dependencies(self._count_checks(num_samples, "num_samples")):
            examples = tf.range(num_samples)
        condition = self._condition(num_samples, conditions)
        _, memory = self.steps.compute_begin((examples, condition))
        return self._named(tf.zeros_like(examples), examples, memory)

    def score_step(self, x_t: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        with tf.control_dependencies(self.checks.value_assertions(x_t, "x_t")):
            x_t = tf.identity(x_t)
        step, examples, execution, memory = self._resumed(tf.shape(x_t)[0], "x_t", arguments)
        terms, memory = self.steps.score_with(execution, memory, x_t, step)
        return {"log_prob": terms, **self._named(step + 1, examples, memory)}

    def tables(self, x_t: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        with tf.control_dependencies(self.checks.value_assertions(x_t, "x_t")):
            x_t = tf.identity(x_t)
        step, _, execution, memory = self._resumed(tf.shape(x_t)[0], "x_t", arguments)
        return {"tables": self.steps.tables_with(execution, memory, x_t, step)}

    def draw_step(
        self,
        seed: Tensor,
        temperature: Tensor,
        top_k: Tensor,
        top_p: Tensor,
        *arguments: Tensor,
    ) -> dict[str, Tensor]:
        with tf.control_dependencies(self.checks.option_checks(seed, temperature, top_k, top_p)):
            seed = tf.identity(seed)
        rows = tf.shape(arguments[0])[0]
        step, examples, execution, memory = self._resumed(rows, "state_model", arguments)
        addresses = fold_in(seed, tf.zeros_like(examples)), examples

        def run(options: Options) -> tuple[Tensor, Memory]:
            return self.steps.draw_with(execution, memory, addresses, step, options)

        if not self.checks.truncates:
            values, memory = run(Options(temperature))
        else:
            values, memory = tf.cond(
                (top_k > 0) | (top_p < 1),
                lambda: run(Options(temperature, top_k, top_p)),
                lambda: run(Options(temperature)),
            )
        return {"samples": values, **self._named(step + 1, examples, memory)}

    def _resumed(
        self, rows: Tensor, owner: str, arguments: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, OwnSteps, Memory]:
        """Step and examples, `(batch,)`, what runs the steps, and the memory."""
        state, conditions = arguments[: len(self.state)], arguments[len(self.state) :]
        with tf.control_dependencies(self._state_checks(rows, owner, state)):
            _, step, examples, *tensors = map(tf.identity, state)
        memory = tf.nest.pack_sequence_as(self.steps.memory, tensors)
        return step, examples, self.steps.own_steps(self._condition(rows, conditions)), memory

    def _condition(self, rows: Tensor, conditions: tuple[Tensor, ...]) -> Any:
        sizes = tf.constant([self.steps.length, *self.model.data_shape[1:]])
        return self.model.conditions.from_signature(conditions, rows, sizes)

    def _count_checks(self, count: Tensor, counted: str) -> list[Any]:
        return self.checks.bounds.assertions(count, {}, (self.steps.size,), counted)

    def _state_checks(self, rows: Tensor, owner: str, state: tuple[Tensor, ...]) -> list[Any]:
        """Graph assertions that fail where a state does not fit the request."""
        checks = self._count_checks(rows, f"the rows of {owner}")
        for spec, tensor in zip(self.state, state, strict=True):
            wanted, own = (
                rows * self.steps.folds.get(spec.name.removeprefix("state_"), 1),
                tf.shape(tensor)[0],
            )
            words = f"{spec.name} must have as many rows as {owner} asks for, but these are"
            checks.append(tf.debugging.Assert(tf.equal(own, wanted), [words, own, wanted]))
        words = f"state_model must be {self.mark}: the state is of another model, whose mark is"
        own = tf.reduce_all(tf.equal(state[0], self.mark))
        checks.append(tf.debugging.Assert(own, [words, state[0]]))
        step, length = state[1], self.steps.length
        words = f"state_step must lie in [0, {length}), as long as the stream is, but is"
        inside = tf.reduce_all((step >= 0) & (step < length))
        checks.append(tf.debugging.Assert(inside, [words, step]))
        words = "state_example must not be negative, but is"
        inside = tf.reduce_all(state[2] >= 0)
        checks.append(tf.debugging.Assert(inside, [words, state[2]]))
        return [*checks, *self._memory_checks(state[_FIRST:])]

    def _memory_checks(self, tensors: tuple[Tensor, ...]) -> list[Any]:
        """Graph assertions that fail where a memory holds what no step can have left in it."""
        checks = []
        for spec, tensor in zip(self.state[_FIRST:], tensors, strict=True):
            if spec.name == "state_last_0":
                checks += self.checks.value_assertions(tensor, spec.name)
            elif tensor.dtype.is_floating and not self.model.takes_missing:
                # Infinite it may be: paddings are, and running maxima before the first step.
                holds = ~tf.reduce_any(tf.math.is_nan(tensor))
                words = f"{spec.name} must be what a step has given, but holds NaN"
                checks.append(tf.debugging.Assert(holds, [words]))
        return checks

    def _named(self, step: Tensor, examples: Tensor, memory: Memory) -> dict[str, Tensor]:
        """The state by the names of its tensors."""
        marks = tf.fill(tf.shape(step), self.mark)
        tensors = [marks, step, examples, *tf.nest.flatten(memory)]
        return {spec.name: tensor for spec, tensor in zip(self.state, tensors, strict=True)}
