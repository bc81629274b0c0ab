"""What models of a network and a likelihood share: conditions, log-probabilities, checks."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.causality.graph import Graph
from kerasar.checks import as_array, check_count, check_data, check_shape
from kerasar.density_models.conditions import Conditions
from kerasar.distributions.likelihoods import Likelihood
from kerasar.distributions.surprise import Surprise
from kerasar.keras_internals import functional_graph
from kerasar.training.batches import Batch, unpack
from kerasar.training.density_model import DensityModel
from kerasar.training.finite_guard import first_non_finite
from kerasar.typing import Shape, Tensor


class NetworkDensity(DensityModel):
    """A functional network whose output holds the parameters of a likelihood.

    A subclass sets `conditions`, `data_shape`, `data_levels` and `graph`, and defines
    `network_inputs`, `compute_parameters` and `compute_log_prob_map`.

    Args:
        network: functional Keras model.
        likelihood: a `kerasar.distributions.Likelihood`.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is not a Keras model.
        ValueError: if the network has no graph.
    """

    #: What the network is conditioned on.
    conditions: Conditions
    #: Shape of one example; None where a size is open.
    data_shape: Shape
    #: Whether the first steps of sequences can be given, so that only those after are judged.
    takes_start = False
    #: Number of values that discrete data can take; None for real values.
    data_levels: int | None
    #: The network as a graph of its operations.
    graph: Graph

    @checks_arguments
    def __init__(self, network: keras.Model, likelihood: Likelihood, **kwargs: Any) -> None:
        self.discrete = likelihood.discrete
        self.takes_missing = likelihood.takes_missing
        super().__init__(**kwargs)
        if not isinstance(network, keras.Model):
            raise TypeError(f"network must be a keras.Model, but got {type(network).__name__}.")
        if functional_graph(network) is None or not network.inputs:
            raise ValueError(
                f"Network '{network.name}' has no graph to read: it is a "
                f"{type(network).__name__}. Build it with the functional API, "
                "keras.Model(inputs, outputs), or as a keras.Sequential with an Input."
            )
        self.network = network
        self.likelihood = likelihood

    @property
    def data_dtype(self) -> str:
        taken = {tensor.name: tensor.dtype for tensor in self.network.inputs}
        dtype = taken.get("x", self.network.inputs[0].dtype)
        return str(dtype) if dtype == "float64" else "float32"

    def to_model_order(self, x: Tensor) -> Tensor:
        """Data in the order in which their values are drawn: as they are, unless overridden."""
        return x

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]:
        """What the network takes, as a list in its order, on tensors and without checks."""
        raise NotImplementedError(f"{type(self).__name__} must define network_inputs()")

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor:
        """The parameters of each event, on tensors, with conditions by name (or the only one)."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_parameters()")

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        """`log_prob_map` on tensors, without checks."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_log_prob_map()")

    def compute_surprise(self, batch: Batch) -> Surprise:
        """The nats of each event, with their mean and variance under the model, on tensors.

        Padding behind the end of a sequence has zeros.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute_surprise()")

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        """The network's output: parameters of each event. `inputs` is what `fit` takes."""
        batch = unpack(inputs)
        return self.compute_parameters(batch.x, batch.condition, training=training)

    def num_dims(self, batch: Batch) -> Tensor:
        shape, judged = tf.shape(batch.x), judged_steps(batch)
        if self.takes_missing:
            return self._num_observed(batch)
        if judged is None:
            return tf.fill(shape[:1], tf.reduce_prod(shape[1:]))
        steps = tf.reduce_sum(tf.cast(judged, tf.int32), axis=1)
        return steps * tf.reduce_prod(shape[2:])

    def _num_observed(self, batch: Batch) -> Tensor:
        """The number of values of each example that are not missing."""
        observed, judged = ~tf.math.is_nan(batch.x), judged_steps(batch)
        if judged is not None:
            behind = [1] * (batch.x.shape.rank - 2)
            observed &= tf.reshape(judged, tf.concat([tf.shape(judged), behind], 0))
        return tf.reduce_sum(tf.cast(observed, tf.int32), axis=list(range(1, batch.x.shape.rank)))

    @checks_arguments
    def log_prob_map(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """Natural-log probability of each event given those before it; sums to `log_prob`.

        Args:
            x: `(batch, *data shape)`; for sequences a dict too: of unequal length, `{"x": …,
                "length": …}`, and `{"x": …, "start": …}` where the steps before the start,
                `(batch,)`, are given: they add nothing, and what follows is judged given them.
            condition: a tensor, or a dict by input name, for conditional networks.
            batch_size: how many examples go through the network at once.

        Returns:
            float32, `(batch, *position_shape)`: one for each value, pixel or step.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        check_count(batch_size, "batch_size", most=None)
        batch = unpack(x)
        if condition is not None:
            batch = batch._replace(condition=condition)
        batch = self.check_batch(batch)
        graph = self.function_cache.traced_open("log_prob_map", self.compute_log_prob_map)
        return np.concatenate(
            [
                graph(batch.rows(start, start + batch_size)).numpy()
                for start in range(0, len(batch.x), batch_size)
            ]
        )

    @checks_arguments
    def log_prob(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """Natural-log probability of each example, float32 `(batch,)`; as for `log_prob_map`."""
        terms = self.log_prob_map(x, condition, batch_size)
        return terms.sum(axis=tuple(range(1, terms.ndim)), dtype="float64").astype("float32")

    # Checks.

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        x = check_data(
            batch.x, self.data_shape, self.data_levels, name, self.data_dtype, self.takes_missing
        )
        self.likelihood.check_values(x, name)
        condition = self.conditions.check(batch.condition, len(x), x.shape[1:])
        length = self._check_length(batch.length, x)
        return Batch(x, condition, length, self._check_start(batch.start, x))

    def check_static_shape(self, batch: Batch, name: str = "x") -> None:
        shape = tuple(batch.x.shape)
        check_shape(shape, self.data_shape, name)
        self.conditions.check_static_shape(batch.condition, shape[0], shape[1:])
        if batch.length is not None:
            length = tuple(batch.length.shape)
            self._check_static_length(length, batch.length.dtype.as_numpy_dtype, shape[0])
        if batch.start is not None:
            start = tuple(batch.start.shape)
            self._check_static_length(start, batch.start.dtype.as_numpy_dtype, shape[0], "start")

    def batch_assertions(self, batch: Batch) -> list[Any]:
        sizes = tf.shape(batch.x)
        return self.conditions.assertions(batch.condition, sizes) + _length_assertions(batch)

    def _check_static_length(
        self, shape: tuple[int, ...], dtype: Any, examples: int, name: str = "length"
    ) -> None:
        """Raises a ValueError if lengths of that shape and dtype do not fit the data."""
        if len(self.data_shape) - self.likelihood.event_rank != 1:
            raise ValueError(f"{name} is for sequences, but this model's data are images.")
        if name == "start" and not self.takes_start:
            raise ValueError(
                f"start is for models that judge steps in their order, but model '{self.name}' is "
                f"a {type(self).__name__}. Leave it out."
            )
        rows = [size for size in (*shape, examples) if size is not None]
        if len(shape) != 1 or len(set(rows)) > 1 or not np.issubdtype(dtype, np.integer):
            raise ValueError(
                f"{name} must hold one integer for each of the {examples} sequences, but has dtype "
                f"{np.dtype(dtype)} and shape {shape}."
            )

    def _check_length(self, length: Any, x: np.ndarray) -> np.ndarray | None:
        if length is None:
            return None
        length = as_array(length, "length")
        self._check_static_length(length.shape, length.dtype, len(x))
        if length.min() < 1 or length.max() > x.shape[1]:
            raise ValueError(
                f"length must lie in [1, {x.shape[1]}], the padded length, but holds "
                f"{length.min()} … {length.max()}."
            )
        return length.astype("int32")

    def _check_start(self, start: Any, x: np.ndarray) -> np.ndarray | None:
        if start is None:
            return None
        start = as_array(start, "start")
        self._check_static_length(start.shape, start.dtype, len(x), "start")
        if start.min() < 0 or start.max() >= x.shape[1]:
            raise ValueError(
                f"start must lie in [0, {x.shape[1]}), the steps that there are, but holds "
                f"{start.min()} … {start.max()}."
            )
        return start.astype("int32")

    def locate_non_finite(self, batch: Batch) -> str:
        for name, variable in ((w.path, w) for w in self.weights):
            if first_non_finite([name], [variable.value]):
                return f"Weight '{name}' is not finite."
        names = [tensor.name for tensor in self.network.inputs]
        flat = self.network_inputs(batch.x, batch.condition)
        values = self.graph.inputs(dict(zip(names, flat, strict=True)))
        before = self.network.get_weights()
        try:
            for node, made in self.graph.run(values, training=True):
                if first_non_finite([node.name] * len(made), list(made)):
                    name = node.name
                    return f"Layer '{name}' is the first whose output on that batch is not finite."
        finally:
            self.network.set_weights(before)  # moving statistics have moved
        return "Every layer's output is finite on that batch: it arose in the gradient."


def judged_steps(batch: Batch) -> Tensor | None:
    """Which steps of sequences are judged, Boolean `(batch, time)`; None: all."""
    if batch.length is None and batch.start is None:
        return None
    steps = tf.shape(batch.x)[1]
    judged = tf.fill(tf.shape(batch.x)[:2], True)
    if batch.length is not None:
        judged = tf.sequence_mask(batch.length, steps)
    if batch.start is not None:
        judged &= ~tf.sequence_mask(batch.start, steps)
    return judged


def _length_assertions(batch: Batch) -> list[Any]:
    """Graph assertions that fail where a length is not one of the padded sequence."""
    if batch.length is None:
        return []
    rows, padded = tf.shape(batch.x)[0], tf.cast(tf.shape(batch.x)[1], batch.length.dtype)
    words = "length must hold one integer for each sequence, but lengths and sequences are"
    fits = tf.equal(tf.shape(batch.length)[0], rows)
    found = [tf.debugging.Assert(fits, [words, tf.shape(batch.length)[0], rows])]
    words = "length must lie in [1, the padded length], but the padded length and the lengths are"
    inside = tf.reduce_all((batch.length >= 1) & (batch.length <= padded))
    return [*found, tf.debugging.Assert(inside, [words, padded, batch.length], summarize=8)]
