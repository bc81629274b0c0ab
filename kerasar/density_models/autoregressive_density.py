"""The likelihood of a strictly causal network: log p(x) = Σᵢ log p(xᵢ | x before i).

The chain rule makes it exact; one forward pass gives all terms at once.
"""

from typing import Any, cast

import keras
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.causality.analysis import analyze
from kerasar.causality.scan_operations import SCANS
from kerasar.density_models.conditions import Conditions
from kerasar.density_models.network_density import NetworkDensity, judged_steps
from kerasar.distributions.likelihoods import Categorical, Likelihood
from kerasar.distributions.surprise import Surprise
from kerasar.keras_internals import call_with, nested_layers
from kerasar.layers import LevelAndScale, LinearRecurrence
from kerasar.training.batches import Batch, unpack
from kerasar.training.dataset_checks import dataset_spec
from kerasar.typing import Config, Shape, Tensor


class AutoregressiveDensity(NetworkDensity):
    """A functional network and a likelihood; everything but sampling and export.

    Args:
        network: functional Keras model. Its input named `x` (else its first) is the data; all
            other inputs are conditions. Its output holds the parameters of each event.
        likelihood: a `kerasar.distributions.Likelihood`; `Categorical()` if None.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if `network` is not a Keras model.
        ValueError: if the network has no graph, several outputs, or an output that does not fit
            the data and the likelihood.
    """

    saved_parts = ("network", "likelihood")
    takes_start = True
    #: The steps of the longest sequences that `fit` has seen, where the network leaves its length
    #: open; None before.
    trained_length: int | None = None

    @checks_arguments
    def __init__(
        self, network: keras.Model, likelihood: Likelihood | None = None, **kwargs: Any
    ) -> None:
        likelihood = Categorical() if likelihood is None else likelihood
        super().__init__(network, likelihood, **kwargs)
        names = [tensor.name for tensor in network.inputs]
        self._x_index = names.index("x") if "x" in names else 0
        self.data_shape = tuple(network.inputs[self._x_index].shape[1:])
        self._fit_output()
        self._analyze()
        self.conditions = Conditions.of_graph(self.graph, self.name)
        self.built = True

    def _analyze(self) -> None:
        #: The one reading of the network: proof, samplers and training share it.
        self.analysis = analyze(self.network, self.likelihood.event_rank)
        self.graph = self.analysis.graph

    def network_changed(self) -> None:
        super().network_changed()
        self._analyze()

    def _fit_output(self) -> None:
        if len(self.network.outputs) != 1:
            raise ValueError(
                f"Network '{self.network.name}' must have one output, the parameters of each "
                f"event, but it has {len(self.network.outputs)}."
            )
        output = tuple(self.network.outputs[0].shape[1:])
        position_shape = self.data_shape[: len(self.data_shape) - self.likelihood.event_rank]
        if (
            len(output) != len(position_shape) + 1
            or output[-1] is None
            or not _same(output[:-1], position_shape)
        ):
            wanted = ("batch", *position_shape, "parameters")
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
        self.data_levels = self.likelihood.num_levels(output[-1])

    # Log-probability.

    def compute_parameters(
        self, x: Tensor, condition: Any = None, training: bool | None = None
    ) -> Tensor:
        """The network's output on tensors, with conditions by name (or the one condition)."""
        return call_with(self.network, self.network_inputs(x, condition), training)

    def network_inputs(self, x: Tensor, condition: Any = None) -> list[Tensor]:
        """Data and conditions as a list in the network's order."""
        flat = self.conditions.tensors(condition)
        flat.insert(self._x_index, tf.cast(x, self.network.inputs[self._x_index].dtype))
        return flat

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        """`log_prob_map` on tensors, without checks: what training and serving build on."""
        parameters = self.compute_parameters(batch.x, batch.condition, training=training)
        terms = self.likelihood.log_prob(parameters, batch.x)
        judged = judged_steps(batch)
        return terms if judged is None else tf.where(judged, terms, tf.zeros_like(terms))

    def compute_surprise(self, batch: Batch) -> Surprise:
        parameters = self.compute_parameters(batch.x, batch.condition, training=False)
        found = self.likelihood.surprise(parameters, batch.x)
        if batch.length is None:
            return found
        real = tf.sequence_mask(batch.length, tf.shape(found.nats)[1])
        return Surprise(*(tf.where(real, part, tf.zeros_like(part)) for part in found))

    def negative_log_likelihood(self, batch: Batch, training: bool) -> Tensor:
        terms = self.compute_log_prob_map(batch, training)
        return -tf.reduce_sum(terms, axis=list(range(1, len(terms.shape))))

    # Training.

    def adapt_to_data(self, x: Any) -> None:
        super().adapt_to_data(x)
        if len(self.data_shape) == 3 or self.data_shape[0] is not None:
            return
        data = dataset_spec(x, "x") if isinstance(x, tf.data.Dataset) else unpack(x)
        steps = data.x.shape[1]
        if steps is not None:
            self.trained_length = max(int(steps), self.trained_length or 0)

    def default_compilation(self) -> Config:
        # Measured (benchmarks/NOTEBOOK.md): XLA pays for sequences and for LSTMs over images.
        # Convolutions of images train as fast or faster without, and start sooner. Random numbers
        # of dropout and the like cost XLA more on a CPU than all it saves. XLA cannot differentiate
        # keras.ops.scan, which unknown layers may hold too.
        layers = nested_layers(self.network, include_self=False)
        random = any(getattr(layer, "seed_generator", None) is not None for layer in layers)
        # The many small arrays of a linear recurrence run slower compiled.
        scans = any(type(node.operation) in SCANS for node in self.graph.nodes)
        scans = scans or any(isinstance(x, (LevelAndScale, LinearRecurrence)) for x in layers)
        sequential = len(self.data_shape) < 3 or any(hasattr(x, "initial_rows") for x in layers)
        return {
            "jit_compile": sequential and not random and not scans and not self.analysis.unknown,
            "steps_per_execution": 20,
        }

    # Saving.

    def get_config(self) -> Config:
        trained = {} if self.trained_length is None else {"trained_length": self.trained_length}
        return {
            **super().get_config(),
            **trained,
            "network": keras.saving.serialize_keras_object(self.network),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "AutoregressiveDensity":
        others = dict(config)
        trained_length = others.pop("trained_length", None)
        model: Any = super().from_config(others, custom_objects)
        model.trained_length = trained_length
        return cast(AutoregressiveDensity, model)


def _same(a: Shape, b: Shape) -> bool:
    return all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))
