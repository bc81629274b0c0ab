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

from kerasar.causality.graph import read_graph
from kerasar.checks import check_kind
from kerasar.density_models.conditions import Conditions
from kerasar.density_models.network_density import NetworkDensity
from kerasar.distributions.likelihoods import Categorical
from kerasar.distributions.surprise import Surprise
from kerasar.keras_internals import call_with
from kerasar.replicas import draw_rows
from kerasar.training.batches import Batch
from kerasar.typing import Config, Shape, Tensor


class MaskedInputDensity(NetworkDensity):
    """A network that is given which values are known; everything but sampling and export.

    Args:
        network: functional Keras model with the inputs `x`, integers, and `known`, Boolean and of
            the same shape, and one output, `(batch, levels)`: the logits of the next value. An
            input `position`, integers `(batch,)`, is the index of the value to predict, in raster
            order; networks of a fixed order can do without. All other inputs are conditions.
        order: in which values become known: "raster" (the order in memory), "random" (another
            order for each example in each step), or a permutation of the indices, a sequence of
            the integers below the number of values.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is not a Keras model, or `order` holds something else than integers.
        ValueError: if the network has no graph or not these inputs and output, if `order` is not a
            permutation, or random for a network without `position`.
    """

    saved_parts = ("network",)
    #: Shape of one example; none of its sizes is open.
    data_shape: tuple[int, ...]

    def __init__(
        self, network: keras.Model, order: str | Sequence[int] = "raster", **kwargs: Any
    ) -> None:
        super().__init__(network, Categorical(), **kwargs)
        self._inputs = [tensor.name for tensor in network.inputs]
        self._check_inputs({tensor.name: tuple(tensor.shape[1:]) for tensor in network.inputs})
        x_index = self._inputs.index("x")
        self.data_shape = tuple(network.inputs[x_index].shape[1:])
        if None in self.data_shape or not self.data_shape:
            raise ValueError(
                "A masked-input network needs to know its size, but the input 'x' of network "
                f"'{network.name}' has the shape {('batch', *self.data_shape)}."
            )
        #: Number of values of an example.
        self.num_values = math.prod(self.data_shape)
        self.data_levels = self._num_levels()
        self.graph = read_graph(network, self.likelihood.event_rank)
        self.conditions = Conditions.of_graph(self.graph, self.name, ("known", "position"))
        #: "raster", "random" or a tuple of indices.
        self.order = check_order(order, self.num_values)
        if self.order == "random" and "position" not in self._inputs:
            raise ValueError(
                "With random orders the mask does not say which value comes next, but network "
                f"'{network.name}' has no input named 'position': its inputs are {self._inputs}. "
                "Add keras.Input((), dtype='int32', name='position'), as mask_and_values takes it."
            )
        self._draws = keras.random.SeedGenerator()
        self.built = True

    def _check_inputs(self, shapes: dict[str, Shape]) -> None:
        if not {"x", "known"} <= set(shapes) or shapes["known"] != shapes["x"]:
            raise ValueError(
                f"Network '{self.network.name}' must have inputs named 'x' and 'known' of the same "
                f"shape, but its inputs are {shapes}. Name them: keras.Input(shape, name='known')."
            )
        if shapes.get("position", ()) != ():
            raise ValueError(
                "The input 'position' holds one integer for each example, shape (batch,), but "
                f"that of network '{self.network.name}' is {('batch', *shapes['position'])}. Write "
                "keras.Input((), dtype='int32', name='position')."
            )

    def _num_levels(self) -> int | None:
        outputs = [tuple(output.shape[1:]) for output in self.network.outputs]
        if len(outputs) != 1 or len(outputs[0]) != 1 or outputs[0][0] is None:
            raise ValueError(
                f"Network '{self.network.name}' must have one output, (batch, levels), the logits "
                f"of the next value, but it has {[('batch', *shape) for shape in outputs]}. End "
                "it with Flatten and Dense(levels)."
            )
        return self.likelihood.num_levels(outputs[0][0])

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
            x: `(batch, num_values)`, flattened; unknown values do not reach the network.
            known: Boolean, `(batch, num_values)`.
            position: int32 `(batch,)`, the index of the value to predict.
            condition: tensors by input name (or the one condition).
            training: as for any Keras model.

        Returns:
            float32, `(batch, levels)`.
        """
        flat = self._network_inputs(x, known, position, condition)
        return tf.cast(call_with(self.network, flat, training), tf.float32)

    def _network_inputs(
        self, x: Tensor, known: Tensor, position: Tensor, condition: Any
    ) -> list[Tensor]:
        shape = (-1, *self.data_shape)
        given = {
            "x": tf.reshape(tf.where(known, x, tf.zeros_like(x)), shape),
            "known": tf.reshape(known, shape),
            "position": position,
            **dict(zip(self.conditions.shapes, self.conditions.tensors(condition), strict=True)),
        }
        return [tf.cast(given[tensor.name], tensor.dtype) for tensor in self.network.inputs]

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]:
        """The network's inputs for one step of training, at newly drawn positions."""
        x = self._flat(x)
        known, position = self._draw(self._uniforms(tf.range(tf.shape(x)[0]), training=True))
        return self._network_inputs(x, known, position, condition)

    def _flat(self, x: Tensor) -> Tensor:
        return tf.reshape(tf.convert_to_tensor(x), (-1, self.num_values))

    # All of them, in T passes.

    def chain_order(self) -> np.ndarray:
        """The indices of the values in the order of the chain rule; raster for random orders."""
        if isinstance(self.order, tuple):
            return np.array(self.order, "int32")
        return np.arange(self.num_values, dtype="int32")

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

    def compute_surprise(self, batch: Batch) -> Surprise:
        def each(parameters: Tensor, x: Tensor) -> Tensor:
            return tf.stack(self.likelihood.surprise(parameters, x), axis=-1)

        found = self._chain(batch.x, batch.condition, False, each)
        if batch.length is not None:
            found = tf.where(self._real(batch)[..., None], found, tf.zeros_like(found))
        found = tf.reshape(found, (-1, *self.data_shape, len(Surprise._fields)))
        return Surprise(*tf.unstack(found, axis=-1))

    def _chain(
        self,
        x: Tensor,
        condition: Any,
        training: bool | None,
        each: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """`each` of the logits and the value at every index, `(batch, num_values, …)`."""
        x = self._flat(x)
        order = tf.constant(self.chain_order())
        rank_of = tf.constant(np.argsort(self.chain_order()), tf.int32)

        def body(rank: Tensor, found: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            index = order[rank]
            known = tf.broadcast_to(rank_of < rank, tf.shape(x))
            position = tf.fill(tf.shape(x)[:1], index)
            logits = self.compute_conditional(x, known, position, condition, training)
            return rank + 1, found.write(index, each(logits, x[:, index]))

        _, found = tf.while_loop(
            lambda rank, _: rank < self.num_values,
            body,
            (0, tf.TensorArray(tf.float32, self.num_values)),
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
        nats = -self.num_values * self.likelihood.log_prob(logits, value)
        if batch.length is not None:
            is_real = tf.gather(real, position, axis=1, batch_dims=1)
            nats = tf.where(is_real, nats, tf.zeros_like(nats))
        return nats

    def _uniforms(self, examples: Tensor, training: bool) -> Tensor:
        """Random values of the examples with these indices: for its rank, and for its order."""
        count = 1 + self.num_values if self.order == "random" else 1
        if not training:
            return _weyl_sequence(examples, count)
        # Without autocast: bfloat16 has only 128 values between ½ and 1.
        return draw_rows(
            tf.size(examples),
            lambda n: keras.random.uniform((n, count), dtype="float32", seed=self._draws),
        )

    def _draw(self, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """What is known of each example, `(examples, num_values)`, and which value is predicted."""
        rank = tf.cast(uniforms[:, 0] * self.num_values, tf.int32)
        rank = tf.minimum(rank, self.num_values - 1)[:, None]
        if self.order == "random":
            order = tf.argsort(uniforms[:, 1:], axis=1, stable=True)
            rank_of = tf.argsort(order, axis=1)
        else:
            order = tf.broadcast_to(self.chain_order(), (tf.shape(uniforms)[0], self.num_values))
            rank_of = tf.constant(np.argsort(self.chain_order())[None], tf.int32)
        position = tf.gather(order, rank, axis=1, batch_dims=1)[:, 0]
        return rank_of < rank, position

    def _real(self, batch: Batch) -> Tensor:
        """Which values are within the length of each sequence, Boolean `(batch, num_values)`."""
        return tf.sequence_mask(batch.length, self.num_values)

    def _check_static_length(
        self, shape: tuple[int, ...], dtype: Any, examples: int, name: str = "length"
    ) -> None:
        if name == "length" and isinstance(self.order, tuple):
            raise ValueError(
                "Sequences of unequal length need order='raster' or 'random', but this model's "
                "order is a permutation, in which padding may come before real values. Leave "
                "length out."
            )
        super()._check_static_length(shape, dtype, examples, name)

    def default_compilation(self) -> Config:
        # Measured: XLA takes 1.3 to 1.9 times as long for images, and gains little for sequences.
        return {"jit_compile": False, "steps_per_execution": 20}

    # Saving.

    def get_config(self) -> Config:
        order = list(self.order) if isinstance(self.order, tuple) else self.order
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "order": order}


def _weyl_sequence(examples: Tensor, count: int) -> Tensor:
    """Values in [0, 1) of the examples with these indices, float32 `(examples, count)`.

    Value j of example k is the fraction of (k · a[j] + b[j]) / 2³²: a Weyl sequence, which fills
    (0, 1) evenly, needs no generator and does not depend on how examples are batched.
    """
    random = np.random.default_rng(0).integers(2**32, size=(2, count), dtype="uint32")
    words = tf.cast(examples, tf.uint32)[:, None] * (random[0] | 1) + random[1]
    return tf.cast(tf.bitwise.right_shift(words, tf.constant(8, tf.uint32)), tf.float32) / 2**24


def check_order(order: Any, num_values: int) -> str | tuple[int, ...]:
    """The order as "raster", "random" or a tuple of indices.

    Raises:
        TypeError: if it is neither a name nor a sequence of integers.
        ValueError: if it is another name, or not a permutation of the indices.
    """
    if isinstance(order, str):
        if order not in ("raster", "random"):
            raise ValueError(
                "order must be 'raster', 'random' or a permutation of the values' indices, but "
                f"got '{order}'."
            )
        return order
    array = check_kind(order, "order")
    if not np.issubdtype(array.dtype, np.integer) and array.size:
        raise TypeError(
            "order must be 'raster', 'random' or a sequence of integers, but holds "
            f"{array.dtype} values. Give each value's index in raster order, once."
        )
    if array.shape != (num_values,) or not np.array_equal(np.sort(array), np.arange(num_values)):
        raise ValueError(
            f"order must hold each of the integers 0 … {num_values - 1} once, a permutation of the "
            f"{num_values} values, but {_fault(array, num_values)}."
        )
    return tuple(int(index) for index in array)


def _fault(array: np.ndarray, num_values: int) -> str:
    if array.shape != (num_values,):
        return f"its shape is {array.shape}"
    outside = array[(array < 0) | (array >= num_values)]
    if outside.size:
        return f"holds {outside[0]}"
    values, counts = np.unique(array, return_counts=True)
    return f"holds {values[counts > 1][0]} more than once"
