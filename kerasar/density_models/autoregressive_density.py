"""The likelihood of a strictly causal network: log p(x) = Σᵢ log p(xᵢ | x before i).

The chain rule makes it exact; one forward pass gives all terms at once.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.condition_limits import ConditionLimits, condition_limits
from kerasar.causality.graph import read_graph
from kerasar.checks import (
    check_count,
    check_data,
    check_kind,
    check_numbers,
    check_shape,
    check_whole,
)
from kerasar.distributions.likelihoods import Categorical, Likelihood
from kerasar.keras_internals import functional_graph, nested_layers
from kerasar.training.batches import Batch, unpack
from kerasar.training.density_model import DensityModel, finite_condition
from kerasar.training.finite_guard import first_non_finite
from kerasar.typing import Config, Shape, Tensor


class AutoregressiveDensity(DensityModel):
    """A functional network and a likelihood; everything but sampling and export.

    Args:
        network: functional Keras model. Its input named `x` (else its first) is the data; all
            other inputs are conditions. Its output holds the parameters of each event.
        likelihood: a `kerasar.distributions.Likelihood`; `Categorical()` if None.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is no Keras model.
        ValueError: if the network has no graph, several outputs, or an output that does not fit
            the data and the likelihood.
    """

    def __init__(
        self, network: keras.Model, likelihood: Likelihood | None = None, **kwargs: Any
    ) -> None:
        likelihood = Categorical() if likelihood is None else likelihood
        self.discrete = likelihood.discrete
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
        self._find_inputs()
        self._fit_output()
        self.graph = read_graph(network, likelihood.event_rank)
        self.built = True
        self._log_prob_map_graph: Any = None

    def _find_inputs(self) -> None:
        names = [tensor.name for tensor in self.network.inputs]
        self._x_index = names.index("x") if "x" in names else 0
        #: Shapes of the conditions by input name, without the batch axis.
        self.condition_shapes: dict[str, Shape] = {
            tensor.name: tuple(tensor.shape[1:])
            for i, tensor in enumerate(self.network.inputs)
            if i != self._x_index
        }
        self._condition_dtypes = {
            t.name: t.dtype for i, t in enumerate(self.network.inputs) if i != self._x_index
        }
        #: What conditions must be like beyond their shapes, by input name.
        self.condition_limits = condition_limits(self.network, self._x_index)
        #: Shape of one example; None where a size is open.
        self.data_shape: Shape = tuple(self.network.inputs[self._x_index].shape[1:])

    def _fit_output(self) -> None:
        if len(self.network.outputs) != 1:
            raise ValueError(
                f"Network '{self.network.name}' must have one output, the parameters of each "
                f"event, but it has {len(self.network.outputs)}."
            )
        output = tuple(self.network.outputs[0].shape[1:])
        places = self.data_shape[: len(self.data_shape) - self.likelihood.event_rank]
        if len(output) != len(places) + 1 or output[-1] is None or not _same(output[:-1], places):
            wanted = ("batch", *places, "parameters")
            raise ValueError(
                f"Network '{self.network.name}' takes data of shape {('batch', *self.data_shape)} "
                f"and must put out {wanted} for {type(self.likelihood).__name__}, but its output "
                f"has shape {('batch', *output)}. kerasar.layers.SplitChannels gives each value "
                "its own axis of parameters."
            )
        size = self.likelihood.event_size
        if size is not None and self.data_shape[-1] != size:
            raise ValueError(
                f"{type(self.likelihood).__name__} draws events of {size} variables, but network "
                f"'{self.network.name}' takes data of shape {('batch', *self.data_shape)}, whose "
                f"last axis is {self.data_shape[-1]}. Give both the same number of variables."
            )
        #: Number of values that discrete data can take; None for real numbers.
        self.data_levels = self.likelihood.num_levels(output[-1])

    def condition_dtype(self, name: str) -> str:
        """The dtype of the condition of that name."""
        return self._condition_dtypes[name]

    def to_model_order(self, x: Tensor) -> Tensor:
        """Data in the order in which their values are drawn: as they are, unless overridden."""
        return x

    # Log-probability.

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        """The network's output: parameters of each event. `inputs` is what `fit` takes."""
        batch = unpack(inputs)
        return self.compute_parameters(batch.x, batch.condition, training=training)

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor:
        """The network's output on tensors, with conditions by name (or the one condition)."""
        flat = self.network_inputs(x, condition)
        return self.network(flat if len(flat) > 1 else flat[0], training=training)

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]:
        """Data and conditions as a list in the network's order."""
        flat = self.condition_tensors(condition)
        flat.insert(self._x_index, tf.cast(x, self.network.inputs[self._x_index].dtype))
        return flat

    def condition_tensors(self, condition: Any) -> list[Tensor]:
        """The conditions as a list in the network's order."""
        if not self.condition_shapes:
            return []
        by_name = condition if isinstance(condition, dict) else {self._only_condition(): condition}
        return [
            tf.cast(by_name[name], self._condition_dtypes[name]) for name in self.condition_shapes
        ]

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        """`log_prob_map` on tensors, without checks: what training and serving build on."""
        parameters = self.compute_parameters(batch.x, batch.condition, training=training)
        terms = self.likelihood.log_prob(parameters, batch.x)
        if batch.length is not None:
            real = tf.sequence_mask(batch.length, tf.shape(terms)[1])
            terms = tf.where(real, terms, tf.zeros_like(terms))
        return terms

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        terms = self.compute_log_prob_map(batch, training)
        return -tf.reduce_sum(terms, axis=list(range(1, len(terms.shape))))

    def num_dims(self, batch: Batch) -> Tensor:
        shape = tf.shape(batch.x)
        if batch.length is None:
            return tf.fill(shape[:1], tf.reduce_prod(shape[1:]))
        return tf.cast(batch.length, tf.int32) * tf.reduce_prod(shape[2:])

    def log_prob_map(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """Natural-log probability of each event given those before it; sums to `log_prob`.

        Args:
            x: `(batch, *data shape)`, or `{"x": …, "length": …}` for sequences of unequal length.
            condition: a tensor, or a dict by input name, for conditional networks.
            batch_size: how many examples go through the network at once.

        Returns:
            float32, `(batch, *places)`: a number for each value, pixel or step.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        check_count(batch_size, "batch_size")
        batch = unpack(x)
        if condition is not None:
            batch = batch._replace(condition=condition)
        batch = self.check_batch(batch)
        if self._log_prob_map_graph is None:
            self._log_prob_map_graph = tf.function(self.compute_log_prob_map, reduce_retracing=True)
        parts = batch.present()
        return np.concatenate(
            [
                self._log_prob_map_graph(Batch(**_slice(parts, start, start + batch_size))).numpy()
                for start in range(0, len(batch.x), batch_size)
            ]
        )

    def log_prob(self, x: Any, condition: Any = None, batch_size: int = 128) -> np.ndarray:
        """Natural-log probability of each example, float32 `(batch,)`; as for `log_prob_map`."""
        terms = self.log_prob_map(x, condition, batch_size)
        return terms.sum(axis=tuple(range(1, terms.ndim)), dtype="float64").astype("float32")

    # Checks.

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        x = check_data(batch.x, self.data_shape, self.data_levels, name)
        condition = self.check_condition(batch.condition, len(x), x.shape[1:])
        return Batch(x, condition, self._check_length(batch.length, x))

    def check_static_shape(self, batch: Batch, name: str = "x") -> None:
        check_shape(tuple(batch.x.shape), self.data_shape, name)
        self.check_condition(batch.condition, int(batch.x.shape[0]), tuple(batch.x.shape[1:]))

    def batch_assertions(self, batch: Batch) -> list[Any]:
        if batch.condition is None:
            return []
        sizes = tf.shape(batch.x)[1:]
        parts = self.condition_tensors(batch.condition)
        return [
            assertion
            for name, part in zip(self.condition_shapes, parts, strict=True)
            if name in self.condition_limits
            for assertion in self.condition_limits[name].assertions(part, sizes, name)
        ] + [finite_condition(part) for part in parts if part.dtype.is_floating]

    def check_condition(self, condition: Any, examples: int, sizes: Shape | None = None) -> Any:
        """The condition by name, as arrays with one row for each example.

        Args:
            condition: what a user passes.
            examples: how many the data hold.
            sizes: shape of one example of the data, where it matters.

        Raises:
            ValueError: if it is missing, superfluous, misnamed, of another shape or size, or
                a class that the network does not know.
        """
        if not self.condition_shapes:
            if condition is not None:
                raise ValueError(
                    f"Model '{self.name}' has no condition, but got one. Leave condition out, or "
                    "give the network a second input."
                )
            return None
        if condition is None:
            raise ValueError(
                f"Model '{self.name}' needs the condition "
                f"{self.condition_shapes}. Pass condition=…, or train on "
                '{"x": x, "condition": …}.'
            )
        if not isinstance(condition, dict):
            condition = {self._only_condition(): condition}
        if set(condition) != set(self.condition_shapes):
            raise ValueError(
                f"Model '{self.name}' takes the conditions {sorted(self.condition_shapes)}, but "
                f"got {sorted(condition)}."
            )
        checked = {}
        for name, shape in self.condition_shapes.items():
            array = check_kind(condition[name], f"condition '{name}'")
            limits = self.condition_limits.get(name, ConditionLimits())
            limits.check_sizes(array.shape, sizes, name)
            array = check_numbers(array, shape, f"condition '{name}'")
            if keras.backend.is_int_dtype(self._condition_dtypes[name]):
                check_whole(array, f"condition '{name}'")
                limits.check_classes(array, name)
            if len(array) != examples:
                raise ValueError(
                    f"condition '{name}' must have one row for each of the {examples} examples, "
                    f"but has {len(array)}."
                )
            checked[name] = array.astype(self._condition_dtypes[name])
        return checked

    def _only_condition(self) -> str:
        if len(self.condition_shapes) != 1:
            raise ValueError(
                f"Model '{self.name}' has the conditions {list(self.condition_shapes)}: pass a "
                "dict with these names."
            )
        return next(iter(self.condition_shapes))

    def _check_length(self, length: Any, x: np.ndarray) -> np.ndarray | None:
        if length is None:
            return None
        length = np.asarray(length)
        if len(self.data_shape) - self.likelihood.event_rank != 1:
            raise ValueError("length is for sequences, but this model's data are images.")
        if length.shape != (len(x),) or not np.issubdtype(length.dtype, np.integer):
            raise ValueError(
                f"length must hold one integer for each of the {len(x)} sequences, but has dtype "
                f"{length.dtype} and shape {length.shape}."
            )
        if length.min() < 1 or length.max() > x.shape[1]:
            raise ValueError(
                f"length must lie in [1, {x.shape[1]}], the padded length, but holds "
                f"{length.min()} … {length.max()}."
            )
        return length.astype("int32")

    # Training.

    def default_compilation(self) -> Config:
        # Measured (benchmarks/NOTEBOOK.md): XLA pays for sequences and for LSTMs over images.
        # Convolutions of images train as fast or faster without, and start sooner. Random numbers
        # of dropout and the like cost XLA more on a CPU than all it saves.
        layers = nested_layers(self.network, include_self=False)
        random = any(getattr(layer, "seed_generator", None) is not None for layer in layers)
        sequential = len(self.data_shape) < 3 or any(hasattr(x, "initial_rows") for x in layers)
        return {"jit_compile": sequential and not random, "steps_per_execution": 20}

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

    # Saving.

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "network": keras.saving.serialize_keras_object(self.network),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "AutoregressiveDensity":
        parts = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("network", "likelihood")
        }
        return cls(**{**config, **parts})


def _same(a: Shape, b: Shape) -> bool:
    return all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))


def _slice(parts: Config, start: int, stop: int) -> Config:
    return keras.tree.map_structure(lambda part: tf.constant(part[start:stop]), parts)
