"""What autoencoders share: an encoder, and an autoregressive model of data given a latent."""

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count, check_data, check_export_options, check_numbers, check_shape
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.surprise import Surprise
from kerasar.keras_internals import functional_graph
from kerasar.serving.archive import Endpoint, export_model
from kerasar.serving.bounds import Bounds
from kerasar.serving.export_encoded import encoded_endpoints
from kerasar.training.batches import Batch, unpack
from kerasar.training.density_model import DensityModel
from kerasar.training.finite_guard import first_non_finite
from kerasar.typing import Config, Shape, Tensor


class EncodedModel(DensityModel):
    """An encoder network and a decoder: everything but the likelihood and the prior of the latents.

    Args:
        encoder: functional Keras model from data to the parameters of a latent.
        decoder: `AutoregressiveModel` of the data whose only condition is the latent. Causality
            is proven of it; the encoder sees whole examples.
        **kwargs: `name` and `trainable`, as for `keras.Model`.

    Raises:
        TypeError: if one of them is something else.
        ValueError: if they do not fit each other.
    """

    exact = False
    saved_parts = ("encoder", "decoder")
    #: How many elements of the encoder's output describe one element of a latent.
    params_per_element = 1

    @checks_arguments
    def __init__(self, encoder: keras.Model, decoder: AutoregressiveModel, **kwargs: Any) -> None:
        if not isinstance(decoder, AutoregressiveModel):
            raise TypeError(
                f"decoder must be a kerasar.AutoregressiveModel, but got {type(decoder).__name__}."
            )
        if not isinstance(encoder, keras.Model) or functional_graph(encoder) is None:
            raise TypeError(
                f"encoder must be a functional keras.Model, but got {type(encoder).__name__}."
            )
        self.discrete = decoder.discrete
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        #: Shape of one example, and how many levels its values have (None for real values).
        self.data_shape, self.data_levels = decoder.data_shape, decoder.data_levels
        if len(decoder.conditions.shapes) != 1:
            raise ValueError(
                "The decoder must have one condition, the latent, but has "
                f"{sorted(decoder.conditions.shapes) or 'none'}."
            )
        ((self._latent_name, shape),) = decoder.conditions.shapes.items()
        #: Shape of one latent.
        self.latent_shape = tuple(size or 0 for size in shape)  # none is open: see below
        self._check_fit(shape)
        self.built = True

    def _check_fit(self, latent_shape: Shape) -> None:
        if None in latent_shape or None in self.data_shape:
            raise ValueError(
                f"Data and latents must have known sizes, but have {self.data_shape} and "
                f"{latent_shape}."
            )
        wanted = (*self.latent_shape[:-1], self.params_per_element * self.latent_shape[-1])
        taken = [tuple(tensor.shape[1:]) for tensor in self.encoder.inputs]
        given = [tuple(tensor.shape[1:]) for tensor in self.encoder.outputs]
        if taken != [self.data_shape] or given != [wanted]:
            raise ValueError(
                f"The encoder must lead from data of shape {('batch', *self.data_shape)} to "
                f"{('batch', *wanted)} for latents of shape {self.latent_shape}, but leads from "
                f"{taken} to {given} (without the batch)."
            )

    @property
    def data_dtype(self) -> str:
        return self.decoder.data_dtype

    # On tensors, without checks: what training and serving build on.

    def call(self, x: Any, training: bool | None = None) -> Tensor:
        """The encoder's output. `x` is what `fit` takes."""
        return self.compute_code(unpack(x).x, training)

    def compute_code(self, x: Tensor, training: bool | None = None) -> Tensor:
        """The encoder's output, at least float32."""
        code = self.encoder(tf.cast(x, self.encoder.inputs[0].dtype), training=training)
        return tf.cast(code, "float32") if code.dtype.size < 4 else code

    def compute_latent(self, x: Tensor) -> Tensor:
        """`encode` on tensors."""
        return self.compute_code(x, training=False)

    def decoded_log_prob_map(self, x: Tensor, latent: Tensor, training: bool = False) -> Tensor:
        """log p(event | events before it, latent)."""
        return self.decoder.compute_log_prob_map(Batch(x, {self._latent_name: latent}), training)

    def decoded_log_prob(self, x: Tensor, latent: Tensor, training: bool = False) -> Tensor:
        """log p(x | latent), `(batch,)`."""
        terms = self.decoded_log_prob_map(x, latent, training)
        return tf.reduce_sum(terms, axis=list(range(1, len(terms.shape))))

    def compute_surprise(self, batch: Batch) -> Surprise:
        """The nats of each event given the latent that the encoder makes of the example."""
        latent = {self._latent_name: self.compute_latent(batch.x)}
        return self.decoder.compute_surprise(Batch(batch.x, latent))

    def num_dims(self, batch: Batch) -> Tensor:
        return self.decoder.num_dims(batch)

    # What a user calls.

    @checks_arguments
    def encode(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """The latents of data.

        Args:
            x: `(batch, *data shape)`.
            batch_size: how many examples go through the encoder at once.

        Returns:
            float32, `(batch, *latent_shape)`.

        Raises:
            ValueError, TypeError: if the data do not fit the model.
        """
        check_count(batch_size, "batch_size", most=None)
        x = self.check_batch(unpack(x)).x
        graph = self.function_cache.traced_open("encode", self.compute_latent)
        parts = [graph(tf.constant(x[i : i + batch_size])) for i in range(0, len(x), batch_size)]
        return np.concatenate([part.numpy() for part in parts])

    @checks_arguments
    def decode(self, latent: Any, seed: int = 0, **options: Any) -> np.ndarray:
        """Draws one example given each latent.

        Args:
            latent: `(batch, *latent_shape)`, as `encode` gives them.
            seed: integer from 0 to 2³¹ - 1.
            **options: `temperature`, `top_k`, `top_p`, `method`, `chunk_size`, `jit_compile`,
                `verbose`, as for `AutoregressiveModel.sample`.

        Returns:
            `(batch, *data shape)`, int32 for discrete data.

        Raises:
            ValueError, TypeError: for arguments that do not fit, before any work is done.
        """
        latent = check_numbers(latent, self.latent_shape, "latent")
        return self.decoder.sample(len(latent), seed=seed, condition=latent, **options)

    @checks_arguments
    def reconstruct(self, x: Any, seed: int = 0, **options: Any) -> np.ndarray:
        """Draws an example given the latent of each; arguments as for `decode`."""
        return self.decode(self.encode(x), seed, **options)

    def export(self, filepath: str | os.PathLike[str], **kwargs: Any) -> None:
        """Writes a SavedModel that TensorFlow Serving runs.

        Signatures: `serving_default` = `log_prob`, `encode`, `decode`, `reconstruct` and, for a
        model that has a distribution of latents, `sample`. See docs/serving.md.

        Args:
            filepath: a folder that does not exist yet, for example `exported/1`.
            **kwargs: `verbose`, as for `keras.Model.export`; `max_samples` (4096) and
                `max_positions` (2**22, or one example if that has more values), what a request may
                ask for at most; `jit_compile` (False), whether XLA compiles the decoder's sampling
                loop on the server, as for `AutoregressiveModel`.

        Raises:
            FileExistsError: if something is there already.
        """
        options = check_export_options(kwargs)
        export_model(self, self.endpoints, filepath, **options)

    def endpoints(self, bounds: Bounds, **options: Any) -> dict[str, Endpoint]:
        """What `export` writes: functions on tensors by name."""
        return encoded_endpoints(self, bounds, **options)

    # Checks.

    def check_batch(self, batch: Batch, name: str = "x") -> Batch:
        self._refuse_conditions(batch)
        x = check_data(batch.x, self.data_shape, self.data_levels, name, self.data_dtype)
        return Batch(x)

    def check_static_shape(self, batch: Batch, name: str = "x") -> None:
        self._refuse_conditions(batch)
        check_shape(tuple(batch.x.shape), self.data_shape, name)

    def _refuse_conditions(self, batch: Batch) -> None:
        for name in batch.present():
            if name != "x":
                raise ValueError(
                    f"Model '{self.name}' makes its own condition, the latent, from x alone, but "
                    f"got {name}. Leave it out."
                )

    # Training.

    def default_compilation(self) -> Config:
        return self.decoder.default_compilation()

    def locate_non_finite(self, batch: Batch) -> str:
        for weight in self.encoder.weights:
            if first_non_finite([weight.path], [weight.value]):
                return f"Weight '{weight.path}' is not finite."
        latent = self.compute_latent(batch.x)
        if first_non_finite(["latent"], [latent]):
            return f"The latent that encoder '{self.encoder.name}' gives is not finite."
        return self.decoder.locate_non_finite(Batch(batch.x, {self._latent_name: latent}))

    # Saving.

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        parts = {"encoder": serialize(self.encoder), "decoder": serialize(self.decoder)}
        return {**super().get_config(), **parts}
