"""`Stream`: a model of sequences, step by step, as the data come."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_data, check_kind, check_seed
from kerasar.function_cache import check_eager
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.options import Options, check_options
from kerasar.sampling.stream_file import Origin, read_state, write_state
from kerasar.sampling.stream_steps import Memory, StreamSteps
from kerasar.typing import Tensor


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays gives no single truth
class StreamState:
    """All that a stream knows of its past. It does not change: a step makes another one.

    Attributes:
        step: how many steps are over.
        origin: the model, batch size, length and condition that it belongs to.
        memory: tensors, whose first axis holds the batch.
    """

    step: int
    origin: Origin
    memory: Memory


class Stream:
    """Scores and continues sequences step by step; `model.stream(…)` makes one.

    Each step is computed once, from what the steps before it have left: `score` takes the next
    step's data, `draw` draws it, and both move on by one step. The memory does not grow: it is what
    the network looks back on, or, for attention, the stream's length.

    Args:
        model: an `AutoregressiveDensity`.
        steps: its steps as graphs.
        condition: checked arrays by name, with one row for each sequence, or None.
        batch_size: number of sequences.

    Example:
        >>> import keras, numpy as np, kerasar
        >>> x = keras.Input((None,), dtype="int32", name="x")
        >>> h = kerasar.layers.CausalShift()(keras.layers.Embedding(4, 16)(x))
        >>> h = keras.layers.LSTM(8, return_sequences=True)(h)
        >>> model = kerasar.AutoregressiveModel(keras.Model(x, keras.layers.Dense(4)(h)))
        >>> stream = model.stream(batch_size=2)
        >>> nats = [stream.score(symbols) for symbols in ([0, 3], [1, 1], [2, 0])]
        >>> offline = model.log_prob_map([[0, 1, 2], [3, 1, 0]])
        >>> bool(np.allclose(np.stack(nats, axis=1), offline, atol=1e-4))
        True
        >>> stream.draw(seed=0).shape
        (2,)
    """

    def __init__(
        self,
        model: SampledAutoregressive,
        steps: StreamSteps,
        condition: dict[str, np.ndarray] | None,
        batch_size: int,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self._steps, self._analysis = steps, model.analysis
        self._examples = tf.range(batch_size)
        tensors = condition and {name: tf.constant(part) for name, part in condition.items()}
        self._known, memory = steps.begin((self._examples, tensors))
        origin = Origin.of(model, batch_size, steps.length, condition)
        self._state = StreamState(0, origin, memory)

    @property
    def state(self) -> StreamState:
        """What the stream knows of its past. Set it to go back, or to go on from another's.

        Raises:
            TypeError: when set to something other than a `StreamState`.
            ValueError: when set to one of another model, batch size, length or condition.
        """
        return self._state

    @state.setter
    def state(self, state: StreamState) -> None:
        if not isinstance(state, StreamState):
            raise TypeError(
                f"state must be the state of a stream, but got {type(state).__name__}. Take it "
                "from stream.state; load() reads one from a file."
            )
        self._state.origin.check(state.origin)
        self._state = state

    @property
    def step(self) -> int:
        """How many steps are over."""
        return self._state.step

    def copy(self) -> "Stream":
        """A second stream with the same past, which goes on by itself."""
        other = object.__new__(Stream)
        other.__dict__.update(self.__dict__)
        return other

    def score(self, x_t: Any) -> np.ndarray:
        """Log-probability of the next step given all before it, and moves on by that step.

        Args:
            x_t: the data of the step, `(batch_size, …)`: what `log_prob_map` takes of one step.

        Returns:
            float32 `(batch_size,)`, natural logarithms: what `log_prob_map` has at that step, the
            sum over its values where it has several.

        Raises:
            ValueError, TypeError: if `x_t` does not fit the model, or the stream is over.
        """
        self._check_step("score")
        x = self._checked(x_t)
        nats, memory = self._steps.score((self._known, self._state.memory, x), self._t())
        self._move_on(memory)
        return nats.numpy()

    @checks_arguments
    def draw(
        self,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> np.ndarray:
        """Draws the next step given all before it, and moves on by that step.

        Steps drawn one after the other with one seed are those of `model.sample(batch_size, seed)`,
        and after some steps given to `score` those of `sample(…, prompt=…)`.

        Args:
            seed, temperature, top_k, top_p: as for `sample`.

        Returns:
            `(batch_size, …)`, one step of the data; int32 for discrete data.

        Raises:
            ValueError, TypeError: for arguments out of range, or if the stream is over.
        """
        self._check_step("draw")
        seeds = tf.fill((self.batch_size,), tf.constant(check_seed(seed), tf.uint32))
        options: Options = check_options(self.model, temperature, top_k, top_p)
        batch = (self._known, self._state.memory, seeds, self._examples)
        values, memory = self._steps.draw(batch, self._t(), options)
        self._move_on(memory)
        return values.numpy()

    def parameters(self, x_t: Any = None) -> np.ndarray:
        """The parameters of the next step's distribution; the stream stays where it is.

        Args:
            x_t: the data of the step, for models that draw the values of a step one after the
                other: the parameters of a value then depend on the values before it. Other models
                need none.

        Returns:
            `(batch_size, parameters)`, or `(batch_size, values, parameters)` where each value of a
            step has its own: what the network puts out at that step.

        Raises:
            ValueError, TypeError: if `x_t` is missing or does not fit, or the stream is over.
        """
        self._check_step("parameters")
        if x_t is None:
            if self._steps.step.in_turn:
                raise ValueError(
                    f"parameters() needs x_t: model '{self.model.name}' draws the values of a step "
                    "one after the other, so the parameters of one depend on those before it. Pass "
                    "the values of the step, with anything for those that are not known."
                )
            shape = (self.batch_size, *self.model.data_shape[1:])
            x = tf.zeros(shape, self._steps.value_dtype)
        else:
            x = self._checked(x_t)
        found = self._steps.parameters((self._known, self._state.memory, x), self._t())
        return found.numpy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state to an .npz file, with fingerprints of what it belongs to.

        Raises:
            ValueError, TypeError, OSError: if `path` is not that of an .npz file to be written.
        """
        write_state(path, self._state.step, self._state.origin, self._state.memory)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Goes on from a state that `save` has written.

        Raises:
            ValueError: if the file holds no such state, or one of another model, batch size, length
                or condition.
            TypeError, OSError: if `path` is not that of a file.
        """
        origin = self._state.origin
        step, memory = read_state(path, origin, self._state.memory)
        self._state = StreamState(step, origin, memory)

    def _t(self) -> Tensor:
        return tf.constant(self._state.step, tf.int32)

    def _move_on(self, memory: Memory) -> None:
        self._state = StreamState(self._state.step + 1, self._state.origin, memory)

    def _check_step(self, method: str) -> None:
        """Raises a ValueError if there is no next step."""
        check_eager(f"{method}()")
        self.model.function_cache.refresh()
        if self.model.analysis is not self._analysis:
            raise ValueError(
                f"Model '{self.model.name}' has changed since this stream began. Begin another: "
                "stream = model.stream(…)."
            )
        if self._state.step >= self._steps.length:
            raise ValueError(
                f"The stream is over: its length is {self._steps.length} steps. Begin another, "
                f"with a larger length=… where model '{self.model.name}' leaves it open."
            )

    def _checked(self, x_t: Any) -> Tensor:
        """The data of a step as a tensor."""
        model = self.model
        array = check_kind(x_t, "x_t")
        shape = (self.batch_size, *model.data_shape[1:])
        if array.shape != shape:
            raise ValueError(
                f"x_t must hold one step of {self.batch_size} sequences (batch_size), shape "
                f"{shape}, but its shape is {array.shape}."
            )
        dtype = self._steps.value_dtype
        if model.data_levels is None:
            dtype = model.data_dtype
            with np.errstate(over="ignore"):
                array = array.astype(dtype)
        array = check_data(
            array, shape[1:], model.data_levels, "x_t", model.data_dtype, model.takes_missing
        )
        model.likelihood.check_values(array, "x_t")
        return tf.constant(array, dtype)
