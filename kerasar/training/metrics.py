"""Metrics of a likelihood: bits per dimension and perplexity."""

import math

import keras
from keras import ops

from kerasar.typing import Tensor


class NatsPerDimension(keras.metrics.Metric):
    """Total nats over total dimensions; what `BitsPerDim` and `Perplexity` are functions of.

    A dimension is one element of the data: a value of a sequence, a channel of a pixel.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.nats = self.add_variable((), "zeros", name="nats")
        self.dimensions = self.add_variable((), "zeros", name="dimensions")

    def update_state(self, nats: Tensor, dimensions: Tensor) -> None:
        """Adds a batch: the nats `(batch,)` and the number of dimensions `(batch,)` of each."""
        self.nats.assign_add(ops.sum(ops.cast(nats, self.dtype)))
        self.dimensions.assign_add(ops.sum(ops.cast(dimensions, self.dtype)))

    def result(self) -> Tensor:
        return self.nats / ops.maximum(self.dimensions, 1.0)


@keras.saving.register_keras_serializable(package="kerasar")
class BitsPerDim(NatsPerDimension):
    """Bits per dimension: nats per dimension / ln 2."""

    def result(self) -> Tensor:
        return super().result() / math.log(2.0)


@keras.saving.register_keras_serializable(package="kerasar")
class Perplexity(NatsPerDimension):
    """exp(nats per dimension): the effective number of equally likely values."""

    def result(self) -> Tensor:
        return ops.exp(super().result())
