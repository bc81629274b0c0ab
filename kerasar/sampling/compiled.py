"""The cached sampler of an export whose loop XLA compiles, on the server.

Shapes are open while it is traced and known when it is compiled. Examples fall into shares, and
open lengths are rounded up to a power of two, so that few sizes are compiled (`in_shares`).
"""

import math

import tensorflow as tf

from kerasar.sampling.cached import CachedSampler
from kerasar.sampling.options import Options
from kerasar.sampling.partial_batch import PartialBatch
from kerasar.sampling.sampler import Sampler
from kerasar.sampling.shares import in_shares, next_power
from kerasar.typing import Tensor

#: So many products are worth a core of their own: starting it costs what fewer would save.
_PRODUCTS = 1_000_000
#: Examples of a share, at most; and the fewest that are worth a core, however large the network.
_MOST_SHARED, _LEAST_SHARED = 256, 4


class CompiledSampler:
    """The cached sampler of a model, to be compiled where it is served.

    Args:
        sampler: of the model.

    Raises:
        ValueError: if there is nothing to compile, or if each size would be compiled for itself.
    """

    def __init__(self, sampler: Sampler) -> None:
        name = sampler.model.name
        if not isinstance(sampler, CachedSampler):
            raise ValueError(
                f"Model '{name}' cannot be exported with jit_compile=True: it has no cached "
                "sampler, which is what is compiled. Leave it out."
            )
        self.sampler = sampler
        self.is_open = None in sampler.model.data_shape
        if self.is_open and not sampler.shares_lengths:
            raise ValueError(
                f"Model '{name}' cannot be exported with jit_compile=True: its size is open, and "
                "XLA would compile it again for each size that is asked for. Build it for one "
                "size, or leave jit_compile out."
            )
        self.loop = tf.function(self._fill_in, jit_compile=True, autograph=False)

    def complete(self, batch: PartialBatch, options: Options, data_shape: Tensor) -> Tensor:
        """As `Sampler.complete`."""
        positions = tf.shape(batch.values)[1]
        length = None
        if self.is_open:
            length = data_shape[0]
            missing = (next_power(length) - length) * (positions // length)
            batch = batch._replace(
                values=_padded(batch.values, missing), known=_padded(batch.known, missing)
            )
        least = -(-_PRODUCTS // max(self.sampler.model.network.count_params(), 1))
        values = in_shares(
            lambda share: self.loop(share, options, length),
            tf.TensorSpec((None, *batch.values.shape[1:]), batch.values.dtype),
            batch,
            max(least, _LEAST_SHARED),
            _MOST_SHARED,
        )
        return values[:, :positions]

    def _fill_in(self, batch: PartialBatch, options: Options, length: Tensor | None) -> Tensor:
        shape = self.sampler.model.data_shape
        if not self.is_open:
            event = batch.values.shape[2:]
            positions = math.prod(size or 1 for size in shape[: len(shape) - len(event)])
            wanted = (None, positions, *event)
            batch = batch._replace(
                values=tf.ensure_shape(batch.values, wanted),
                known=tf.ensure_shape(batch.known, wanted),
            )
        return self.sampler.fill_in(batch, options, shape, compiled=True, length=length)


def _padded(tensor: Tensor, missing: Tensor) -> Tensor:
    """With so many unknown positions behind it."""
    rest = [[0, 0]] * (tensor.shape.rank - 2)
    return tf.pad(tensor, [[0, 0], [0, missing], *rest])
