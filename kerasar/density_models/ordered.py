"""`OrderedModel`: an autoregressive model that draws the values of a vector in a given order.

Networks read a sequence from its beginning to its end, and all proofs and samplers rest on that.
So data are put into the order on their way in, and back on their way out; nothing in between
knows.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.checks import check_given
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.density_models.masked_input_density import check_order
from kerasar.distributions.likelihoods import Likelihood
from kerasar.sampling.generate import check_method
from kerasar.serving.archive import Endpoint, write_archive
from kerasar.serving.export import Signatures
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class OrderedModel(AutoregressiveModel):
    """An `AutoregressiveModel` over vectors whose values are drawn in a given order.

    Its network is an ordinary one over sequences: place k of it is value `order[k]` of a vector.
    Data, `log_prob_map` and samples have the order of the vectors.

    Args:
        network: as for `AutoregressiveModel`, over sequences of a known length.
        likelihood: as for `AutoregressiveModel`.
        order: permutation of the places: `order[0]` is the index of the value that is drawn
            first.
        **kwargs: as for `AutoregressiveModel`.

    Raises:
        TypeError: if `order` holds something else than integers.
        ValueError: if `order` is no permutation, or the length is open.
    """

    def __init__(
        self,
        network: keras.Model,
        likelihood: Likelihood | None = None,
        *,
        order: Sequence[int],
        **kwargs: Any,
    ) -> None:
        super().__init__(network, likelihood, **kwargs)
        places = self.data_shape[: len(self.data_shape) - self.likelihood.event_rank]
        if len(places) != 1 or places[0] is None:
            raise ValueError(
                "OrderedModel puts the values of a sequence of known length into an order, but "
                f"network '{network.name}' takes data of shape {('batch', *self.data_shape)}. "
                "Give its input a length."
            )
        checked = check_order(order, places[0])
        if isinstance(checked, str):
            raise ValueError(
                "OrderedModel has one fixed order, a permutation of the places, but got "
                f"order={order!r}. numpy.random.permutation draws one; MaskedInputModel is for "
                "models of all orders."
            )
        self.order = checked
        self._places_of = np.argsort(checked)

    def to_model_order(self, x: Tensor) -> Tensor:
        return tf.gather(x, self.order, axis=1)

    def to_data_order(self, x: Tensor) -> Tensor:
        """What belongs to the places of the network, in the order of the data."""
        return tf.gather(x, self._places_of, axis=1)

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        batch = unpack(inputs)
        x = self.to_model_order(batch.x)
        return self.to_data_order(self.compute_parameters(x, batch.condition, training=training))

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        self._check_length(batch.length, batch.x)  # of data that stream in
        batch = batch._replace(x=self.to_model_order(batch.x))
        return self.to_data_order(super().compute_log_prob_map(batch, training))

    def sample(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Draws examples from the model; as for `AutoregressiveModel`, without `prompt`."""
        return np.take(super().sample(*args, **kwargs), self._places_of, axis=1)

    def inpaint(self, x: Any, known: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Fills in what is not known; as for `AutoregressiveModel`, in the model's order."""
        values, known = check_given(x, known, self.data_shape, self.data_levels, "x")
        values, known = (np.take(part, self.order, axis=1) for part in (values, known))
        drawn = super().inpaint(values, known, *args, **kwargs)
        several = drawn.ndim > values.ndim
        return np.take(drawn, self._places_of, axis=2 if several else 1)

    def export(self, filepath: str, **kwargs: Any) -> None:
        """Writes a SavedModel with the signatures `log_prob`, `sample` and `inpaint`.

        Arguments as for `AutoregressiveModel`.
        """
        check_method(self, None)  # builds and checks the sampler, which a graph could not
        write_archive(_OrderedSignatures(self).all, filepath, **kwargs)

    def locate_non_finite(self, batch: Batch) -> str:
        return super().locate_non_finite(batch._replace(x=self.to_model_order(batch.x)))

    def _check_prompt(self, prompt: Any, shape: tuple[int, ...]) -> np.ndarray:
        raise ValueError(
            f"Model '{self.name}' draws values in an order of its own, so the beginning of a "
            "vector need not be drawn first. Use inpaint() to give some of the values."
        )

    def _check_length(self, length: Any, x: np.ndarray) -> np.ndarray | None:
        if length is not None:
            raise ValueError(
                f"Model '{self.name}' draws values in an order of its own, in which they have no "
                "end to be cut off, but got a length. Leave it out."
            )
        return None

    def get_config(self) -> Config:
        return {**super().get_config(), "order": list(self.order)}


class _OrderedSignatures(Signatures):
    """Everything but a continuation, which needs the order of the data."""

    def all(self) -> dict[str, Endpoint]:
        found = super().all()
        found.pop("continuation")
        return found

    def _complete(self, values: Tensor, known: Tensor, *arguments: Tensor) -> dict[str, Tensor]:
        model = self.model
        made = super()._complete(
            model.to_model_order(values), model.to_model_order(known), *arguments
        )
        return {"samples": model.to_data_order(made["samples"])}
