"""The likelihood of a network that predicts one value from those that are known.

Such a network gives one conditional in a pass. The chain rule, log p(x) = Σᵢ log p(xᵢ | x before
i), then takes T passes for T values; training takes one, at a random position: T times its
cross-entropy is an unbiased estimate of the sum.

References:
    Fleuret. Deep Learning course (EPFL / UNIGE), lecture 10.1, Auto-regression.
    https://fleuret.org/dlc/
    Uria, Murray & Larochelle. A Deep and Tractable Density Estimator. ICML 2014, section 3 (random
    orders). https://arxiv.org/abs/1310.1757
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.checks import check_kind
from kerasar.density_models.autoregressive_density import AutoregressiveDensity
from kerasar.training.batches import Batch
from kerasar.typing import Config, Tensor


class MaskedInputDensity(AutoregressiveDensity):
    """A network that is told which values are known; everything but sampling and export.

    Args:
        network: functional Keras model with the inputs `x`, integers, and `known`, Boolean and of
            the same shape, and one output, `(batch, levels)`: the logits of the next value. An
            input `position`, integers `(batch,)`, tells it which value is asked for, by its
            place in raster order; a fixed order can do without. All other inputs are conditions.
        order: in which values become known: "raster" (the order in memory), "random" (another
            order for each example in each step), or a permutation of the places, a sequence of
            the integers below their number.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is no Keras model, or `order` holds something else than integers.
        ValueError: if the network has no graph or not these inputs and output, if `order` is no
            permutation, or random for a network without `position`.
    """

    def __init__(
        self, network: keras.Model, order: str | Sequence[int] = "raster", **kwargs: Any
    ) -> None:
        super().__init__(network, **kwargs)
        #: The shape of an example; none of its sizes is open.
        self.sizes: tuple[int, ...] = tuple(size for size in self.data_shape if size is not None)
        #: Number of values of an example.
        self.places = math.prod(self.sizes)
        #: "raster", "random" or a tuple of places.
        self.order = check_order(order, self.places)
        if self.order == "random" and "position" not in self._inputs:
            raise ValueError(
                "With random orders the mask does not say which value comes next, but network "
                f"'{network.name}' has no input named 'position': its inputs are {self._inputs}. "
                "Add keras.Input((), dtype='int32', name='position'), as mask_and_values takes it."
            )
        self._draws = keras.random.SeedGenerator()

    def _find_inputs(self) -> None:
        super()._find_inputs()
        self._inputs = [tensor.name for tensor in self.network.inputs]
        shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in self.network.inputs}
        if not {"x", "known"} <= set(shapes) or shapes["known"] != shapes["x"]:
            raise ValueError(
                f"Network '{self.network.name}' must have inputs named 'x' and 'known' of the same "
                f"shape, but its inputs are {shapes}. Name them: keras.Input(shape, name='known')."
            )
        if None in self.data_shape or not self.data_shape:
            raise ValueError(
                "A masked-input network needs to know its size, but the input 'x' of network "
                f"'{self.network.name}' has the shape {('batch', *self.data_shape)}."
            )
        if shapes.get("position", ()) != ():
            raise ValueError(
                "The input 'position' holds one integer for each example, shape (batch,), but "
                f"that of network '{self.network.name}' is {('batch', *shapes['position'])}. Write "
                "keras.Input((), dtype='int32', name='position')."
            )
        for name in ("known", "position"):
            self.condition_shapes.pop(name, None)

    def _fit_output(self) -> None:
        outputs = [tuple(output.shape[1:]) for output in self.network.outputs]
        if len(outputs) != 1 or len(outputs[0]) != 1 or outputs[0][0] is None:
            raise ValueError(
                f"Network '{self.network.name}' must have one output, (batch, levels), the logits "
                f"of the next value, but it has {[('batch', *shape) for shape in outputs]}. End "
                "it with Flatten and Dense(levels)."
            )
        self.data_levels = self.likelihood.num_levels(outputs[0][0])

    # One conditional in a pass.

    def compute_conditional(
        self,
        x: Tensor,
        known: Tensor,
        position: Tensor,
        condition: Any = None,
        training: bool | None = None,
    ) -> Tensor:
        """The network's logits of one value of each example, on tensors and without checks.

        Args:
            x: `(batch, places)`, flattened; what is not known does not reach the network.
            known: Boolean, `(batch, places)`.
            position: int32 `(batch,)`, which value is asked for.
            condition: tensors by input name (or the one condition).
            training: as for any Keras model.

        Returns:
            float32, `(batch, levels)`.
        """
        flat = self._network_inputs(x, known, position, condition)
        return tf.cast(self.network(flat, training=training), tf.float32)

    def _network_inputs(
        self, x: Tensor, known: Tensor, position: Tensor, condition: Any
    ) -> list[Tensor]:
        conditions = dict(
            zip(self.condition_shapes, self.condition_tensors(condition), strict=True)
        )
        shape = (-1, *self.data_shape)
        given = {
            "x": tf.reshape(tf.where(known, x, tf.zeros_like(x)), shape),
            "known": tf.reshape(known, shape),
            "position": position,
            **conditions,
        }
        return [tf.cast(given[tensor.name], tensor.dtype) for tensor in self.network.inputs]

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]:
        """The network's inputs for one step of training, at positions drawn anew."""
        x = self._flat(x)
        known, position = self._draw(self._uniforms(tf.range(tf.shape(x)[0]), training=True))
        return self._network_inputs(x, known, position, condition)

    def _flat(self, x: Tensor) -> Tensor:
        return tf.reshape(tf.convert_to_tensor(x), (-1, self.places))

    # All of them, in T passes.

    def visits(self) -> np.ndarray:
        """The places in the order of the chain rule, int32; raster for random orders."""
        if isinstance(self.order, tuple):
            return np.array(self.order, "int32")
        return np.arange(self.places, dtype="int32")

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor:
        """The logits of all values, each given those before it: `(*x.shape, levels)`, T passes."""
        logits = self._chain(x, condition, training, lambda parameters, _: parameters)
        return tf.reshape(logits, (-1, *self.data_shape, self.data_levels))

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        terms = self._chain(batch.x, batch.condition, training, self.likelihood.log_prob)
        if batch.length is not None:
            terms = tf.where(self._real(batch), terms, tf.zeros_like(terms))
        return tf.reshape(terms, (-1, *self.data_shape))

    def _chain(
        self,
        x: Tensor,
        condition: Any,
        training: bool | None,
        each: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """What `each` makes of logits and value at all places, `(batch, places, …)`."""
        x = self._flat(x)
        visits = tf.constant(self.visits())
        turns = tf.constant(np.argsort(self.visits()), tf.int32)

        def body(turn: Tensor, found: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            place = visits[turn]
            known = tf.broadcast_to(turns < turn, tf.shape(x))
            position = tf.fill(tf.shape(x)[:1], place)
            logits = self.compute_conditional(x, known, position, condition, training)
            return turn + 1, found.write(place, each(logits, x[:, place]))

        _, found = tf.while_loop(
            lambda turn, _: turn < self.places,
            body,
            (0, tf.TensorArray(tf.float32, self.places)),
        )
        stacked = found.stack()
        return tf.transpose(stacked, (1, 0, *range(2, stacked.shape.rank or 2)))

    # Training: one position of each example.

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        """An unbiased estimate of nats: T times the cross-entropy at one position.

        Training draws the position (and, where orders are random, what is known). Evaluation
        takes for the k-th example always the same, whatever the size of the batches.
        """
        x = self._flat(batch.x)
        known, position = self._draw(self._uniforms(self.example_indices(batch), training))
        if batch.length is not None:
            real = self._real(batch)
            known &= real
        logits = self.compute_conditional(x, known, position, batch.condition, training)
        value = tf.gather(x, position, axis=1, batch_dims=1)
        nats = -self.places * self.likelihood.log_prob(logits, value)
        if batch.length is not None:
            asked = tf.gather(real, position, axis=1, batch_dims=1)
            nats = tf.where(asked, nats, tf.zeros_like(nats))
        return nats

    def _uniforms(self, examples: Tensor, training: bool) -> Tensor:
        """Random numbers for the examples with these numbers: for its turn, and for its order."""
        numbers = 1 + self.places if self.order == "random" else 1
        if not training:
            return _spread(examples, numbers)
        # Without autocast: bfloat16 has only 128 numbers between ½ and 1.
        return keras.random.uniform((tf.size(examples), numbers), dtype="float32", seed=self._draws)

    def _draw(self, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """What is known of each example, `(examples, places)`, and which value is asked for."""
        turn = tf.cast(uniforms[:, 0] * self.places, tf.int32)
        turn = tf.minimum(turn, self.places - 1)[:, None]
        if self.order == "random":
            visits = tf.argsort(uniforms[:, 1:], axis=1, stable=True)
            turns = tf.argsort(visits, axis=1)
        else:
            visits = tf.broadcast_to(self.visits(), (tf.shape(uniforms)[0], self.places))
            turns = tf.constant(np.argsort(self.visits())[None], tf.int32)
        position = tf.gather(visits, turn, axis=1, batch_dims=1)[:, 0]
        return turns < turn, position

    def _real(self, batch: Batch) -> Tensor:
        """Which places lie within the length of each sequence, Boolean `(batch, places)`."""
        return tf.sequence_mask(batch.length, self.places)

    def _check_length(self, length: Any, x: np.ndarray) -> np.ndarray | None:
        if length is not None and isinstance(self.order, tuple):
            raise ValueError(
                "Sequences of unequal length need order='raster' or 'random', but this model's "
                "order is a permutation, in which padding may come before real values. Leave "
                "length out."
            )
        return super()._check_length(length, x)

    def default_compilation(self) -> Config:
        # Measured: XLA takes 1.3 to 1.9 times as long for images, and gains little for sequences.
        return {"jit_compile": False, "steps_per_execution": 20}

    # Saving.

    def get_config(self) -> Config:
        order = list(self.order) if isinstance(self.order, tuple) else self.order
        network = keras.saving.serialize_keras_object(self.network)
        return {"name": self.name, "network": network, "order": order}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "MaskedInputDensity":
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(**{**config, "network": network})


def _spread(examples: Tensor, numbers: int) -> Tensor:
    """Numbers in [0, 1) of the examples with these numbers, float32 `(examples, numbers)`.

    Number j of example k is the fraction of (k · a[j] + b[j]) / 2³²: a Weyl sequence, which fills
    (0, 1) evenly, needs no generator and does not depend on how examples are batched.
    """
    random = np.random.default_rng(0).integers(2**32, size=(2, numbers), dtype="uint32")
    words = tf.cast(examples, tf.uint32)[:, None] * (random[0] | 1) + random[1]
    return tf.cast(tf.bitwise.right_shift(words, tf.constant(8, tf.uint32)), tf.float32) / 2**24


def check_order(order: Any, places: int) -> str | tuple[int, ...]:
    """The order as "raster", "random" or a tuple.

    Raises:
        TypeError: if it is neither a name nor a sequence of integers.
        ValueError: if it is another name, or no permutation of the places.
    """
    if isinstance(order, str):
        if order not in ("raster", "random"):
            raise ValueError(
                "order must be 'raster', 'random' or a permutation of the places, but got "
                f"'{order}'."
            )
        return order
    array = check_kind(order, "order")
    if not np.issubdtype(array.dtype, np.integer) and array.size:
        raise TypeError(
            "order must be 'raster', 'random' or a sequence of integers, but holds "
            f"{array.dtype} numbers. Give each place's index in raster order, once."
        )
    if array.shape != (places,) or not np.array_equal(np.sort(array), np.arange(places)):
        raise ValueError(
            f"order must hold each of the integers 0 … {places - 1} once, a permutation of the "
            f"{places} places, but {_fault(array, places)}."
        )
    return tuple(int(place) for place in array)


def _fault(array: np.ndarray, places: int) -> str:
    if array.shape != (places,):
        return f"its shape is {array.shape}"
    outside = array[(array < 0) | (array >= places)]
    if outside.size:
        return f"holds {outside[0]}"
    values, counts = np.unique(array, return_counts=True)
    return f"holds {values[counts > 1][0]} more than once"
