"""`OrderedModel`: an autoregressive model that draws the values of a vector in a given order.

Networks read a sequence from its beginning to its end, and all proofs and samplers rest on that.
So data are put into the model's order on their way in, and samples into that of the data on their
way out; nothing in between depends on it.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.checks import check_export_options, check_given
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.density_models.masked_input_density import check_order
from kerasar.distributions.likelihoods import Likelihood
from kerasar.distributions.surprise import Surprise
from kerasar.sampling import Stream
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.serving.ordered import ordered_endpoints
from kerasar.training.batches import Batch, unpack
from kerasar.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="kerasar")
class OrderedModel(AutoregressiveModel):
    """An `AutoregressiveModel` over vectors whose values are drawn in a given order.

    Its network is an ordinary one over sequences: step k of it is value `order[k]` of a vector.
    Data, `log_prob_map` and samples have the order of the vectors.

    Args:
        network: as for `AutoregressiveModel`, over sequences of a known length.
        likelihood: as for `AutoregressiveModel`.
        order: permutation of the values' indices: `order[0]` is the index of the value that is
            drawn first.
        **kwargs: as for `AutoregressiveModel`.

    Raises:
        TypeError: if `order` holds something else than integers.
        ValueError: if `order` is not a permutation, or the length is open.
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
        length, *others = self.data_shape[: len(self.data_shape) - self.likelihood.event_rank]
        if others or length is None:
            raise ValueError(
                "OrderedModel puts the values of a sequence of known length into an order, but "
                f"network '{network.name}' takes data of shape {('batch', *self.data_shape)}. "
                "Give its input a length."
            )
        checked = check_order(order, length)
        if isinstance(checked, str):
            raise ValueError(
                "OrderedModel has one fixed order, a permutation of the values, but got "
                f"order={order!r}. numpy.random.permutation draws one; MaskedInputModel is for "
                "models of all orders."
            )
        self.order = checked
        self._rank_of = np.argsort(checked)

    def to_model_order(self, x: Tensor) -> Tensor:
        return tf.gather(x, self.order, axis=1)

    def to_data_order(self, x: Tensor) -> Tensor:
        """What belongs to the steps of the network, in the order of the data."""
        return tf.gather(x, self._rank_of, axis=1)

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        batch = unpack(inputs)
        x = self.to_model_order(batch.x)
        return self.to_data_order(self.compute_parameters(x, batch.condition, training=training))

    def compute_log_prob_map(self, batch: Batch, training: bool = False) -> Tensor:
        batch = batch._replace(x=self.to_model_order(batch.x))
        return self.to_data_order(super().compute_log_prob_map(batch, training))

    def compute_surprise(self, batch: Batch) -> Surprise:
        found = super().compute_surprise(batch._replace(x=self.to_model_order(batch.x)))
        return Surprise(*(self.to_data_order(part) for part in found))

    def sample(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Draws examples from the model; as for `AutoregressiveModel`, without `prompt`."""
        return np.take(super().sample(*args, **kwargs), self._rank_of, axis=1)

    def inpaint(self, x: Any, known: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Fills in what is not known; as for `AutoregressiveModel`, in the model's order."""
        values, known = check_given(x, known, self.data_shape, self.data_levels, "x")
        values, known = (np.take(part, self.order, axis=1) for part in (values, known))
        drawn = super().inpaint(values, known, *args, **kwargs)
        several = drawn.ndim > values.ndim
        return np.take(drawn, self._rank_of, axis=2 if several else 1)

    def compress(self, x: Any, condition: Any = None, **kwargs: Any) -> bytes:
        """Examples as bytes; as for `AutoregressiveModel`."""
        batch = unpack(x)
        checked = self.check_batch(
            batch if condition is None else batch._replace(condition=condition)
        )
        values = np.take(checked.x, self.order, axis=1)
        ordered = {**x, "x": values} if isinstance(x, dict) else values
        return super().compress(ordered, condition, **kwargs)

    def decompress(self, *args: Any, **kwargs: Any) -> Any:
        """The examples in what `compress` made; as for `AutoregressiveModel`."""
        found = super().decompress(*args, **kwargs)
        if isinstance(found, dict):
            return {**found, "x": np.take(found["x"], self._rank_of, axis=1)}
        return np.take(found, self._rank_of, axis=1)

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        """Refused: the values of a vector do not come in the model's order.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"Model '{self.name}' draws values in an order of its own, so it has no stream. Use "
            "sample(), or inpaint() to give some of the values."
        )

    def export(self, filepath: str, **kwargs: Any) -> None:
        """Writes a SavedModel with the signatures `log_prob`, `sample` and `inpaint`.

        Arguments as for `AutoregressiveModel`.
        """
        options = check_export_options(kwargs)
        export_model(self, self.endpoints, filepath, **options)

    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
        """What `export` writes: functions on tensors by name."""
        return ordered_endpoints(self, bounds, **options)

    def locate_non_finite(self, batch: Batch) -> str:
        return super().locate_non_finite(batch._replace(x=self.to_model_order(batch.x)))

    def _check_prompt(self, prompt: Any, shape: tuple[int, ...]) -> np.ndarray:
        raise ValueError(
            f"Model '{self.name}' draws values in an order of its own, so the beginning of a "
            "vector need not be drawn first. Use inpaint() to give some of the values."
        )

    def _check_static_length(
        self, shape: tuple[int, ...], dtype: Any, examples: int, name: str = "length"
    ) -> None:
        raise ValueError(
            f"Model '{self.name}' draws values in an order of its own, in which they have no "
            f"beginning to be given and no end to be cut off, but got a {name}. Leave it out."
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "order": list(self.order)}
