"""Causal self-attention with rotary positions, grouped queries and, if wanted, a sliding window.

Nothing but Keras layers and `keras.ops`, so that the engine can open it: what it sees is proven,
and the cached sampler keeps its keys and values.
"""

import keras
from keras import ops

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.typing import Config, Shape, Tensor

#: Wavelengths of the rotations rise from 2π to 2π times this many positions.
_ROTARY_BASE = 10_000.0


@keras.saving.register_keras_serializable(package="kerasar")
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head attention of each step to itself and the steps before it.

    The scores are q·k / √head_dim, in float32 under mixed precision too. With rotary positions,
    queries and keys are turned by angles that grow with their position, so that a score depends on
    how far they are apart (RoFormer, equation 34; features i and i + head_dim / 2 are a pair here,
    which is the same up to the order of features). With fewer keys and values than heads, each is
    shared by a group of heads, which makes the caches of sampling smaller.

    Step t sees step t: put a `kerasar.layers.CausalShift` before the first such layer of a network.

    Args:
        num_heads: int. Number of queries of each step.
        num_kv_heads: int. Number of keys and values of each step; a divisor of `num_heads`. None:
            one for each head.
        head_dim: int. Size of a query, key and value; even with rotary positions. None:
            `features // num_heads`.
        window: int. How many steps are seen, the present one among them; None for all before.
        rotary: bool. Whether queries and keys are turned by their positions. False: the layer knows
            no positions beyond their order; add a position table to its inputs.
        dropout: float in [0, 1). Share of the attention weights that training sets to 0.
        use_bias: bool. Whether the projections add a bias.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.layers.Layer`.

    Input shape:
        `(batch, time, features)`; time may be open.

    Output shape:
        The same.

    Raises:
        ValueError, TypeError: for sizes that do not fit together; some when built.

    Example:
        >>> import numpy as np
        >>> layer = CausalSelfAttention(num_heads=4, num_kv_heads=2, window=16)
        >>> layer(np.zeros((2, 100, 32))).shape
        TensorShape([2, 100, 32])

    References:
        Vaswani et al. Attention Is All You Need. 2017, section 3.2.
        https://arxiv.org/abs/1706.03762
        Su et al. RoFormer: Enhanced Transformer with Rotary Position Embedding. 2021, section 3.4.
        https://arxiv.org/abs/2104.09864
        Ainslie et al. GQA: Training Generalized Multi-Query Transformer Models from Multi-Head
        Checkpoints. 2023. https://arxiv.org/abs/2305.13245
        Beltagy et al. Longformer: The Long-Document Transformer. 2020 (the window), section 3.1.
        https://arxiv.org/abs/2004.05150
    """

    @checks_arguments
    def __init__(
        self,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        window: int | None = None,
        rotary: bool = True,
        dropout: float = 0.0,
        use_bias: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = check_count(num_heads, "num_heads")
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads % check_count(self.num_kv_heads, "num_kv_heads"):
            raise ValueError(
                f"Each key is shared by as many heads, so num_kv_heads must divide num_heads, but "
                f"CausalSelfAttention got num_heads={num_heads}, num_kv_heads={num_kv_heads}."
            )
        self.head_dim = None if head_dim is None else check_count(head_dim, "head_dim")
        self.window = None if window is None else check_count(window, "window")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), but got {dropout}.")
        self.rotary, self.dropout_rate, self.use_bias = rotary, dropout, use_bias

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                "CausalSelfAttention takes (batch, time, features), with the number of features "
                f"known, but layer '{self.name}' got input shape {input_shape}."
            )
        features, queries = input_shape[-1], self.num_heads // self.num_kv_heads
        if self.head_dim is None and features % self.num_heads:
            raise ValueError(
                f"{self.num_heads} heads share the features evenly, but layer '{self.name}' got "
                f"input shape {input_shape}. Pass head_dim, or another num_heads."
            )
        size = features // self.num_heads if self.head_dim is None else self.head_dim
        if self.rotary and size % 2:
            raise ValueError(
                "Rotary positions turn pairs of features, so the size of a head must be even, but "
                f"it is {size} in layer '{self.name}'. Pass an even head_dim, or rotary=False."
            )
        self.size = size
        groups, bias = self.num_kv_heads, self.use_bias
        # One product for all: of each group its queries, its key, its value.
        self.projection = keras.layers.EinsumDense(
            "btf,fgnd->btgnd",
            (None, groups, queries + 2, size),
            bias_axes="gnd" if bias else None,
            kernel_initializer=_scaled_normal(features),
            dtype=self.dtype_policy,
            name="projection",
        )
        self.output_projection = keras.layers.EinsumDense(
            "btgnd,gndf->btf",
            (None, features),
            bias_axes="f" if bias else None,
            kernel_initializer=_scaled_normal(self.num_heads * size),
            dtype=self.dtype_policy,
            name="output_projection",
        )
        self.projection.build(input_shape)
        self.output_projection.build((*input_shape[:2], groups, queries, size))
        # Without a rate there is no layer: its random numbers would keep XLA from training.
        self.dropout = None
        if self.dropout_rate:
            self.dropout = keras.layers.Dropout(self.dropout_rate, dtype=self.dtype_policy)

    def call(self, inputs: Tensor) -> Tensor:
        positions = ops.arange(ops.shape(inputs)[1])
        heads = self.projection(inputs)
        query_key, value = heads[:, :, :, :-1], heads[:, :, :, -1]
        if self.rotary:
            query_key = _rotated(query_key, positions)
        query, key = query_key[:, :, :, :-1] * self.size**-0.5, query_key[:, :, :, -1]

        scores = ops.einsum("btgnd,bsgd->bgnts", query, key)
        lag = ops.expand_dims(positions, 1) - ops.expand_dims(positions, 0)
        seen = lag >= 0
        if self.window is not None:
            seen = ops.logical_and(seen, lag < self.window)
        scores = ops.cast(scores, _precise(scores))
        weights = ops.softmax(ops.where(seen, scores, -1e9), axis=-1)
        weights = ops.cast(weights, value.dtype)
        if self.dropout is not None:
            weights = self.dropout(weights)
        return self.output_projection(ops.einsum("bgnts,bsgd->btgnd", weights, value))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_kv_heads": self.num_kv_heads,
            "head_dim": self.head_dim,
            "window": self.window,
            "rotary": self.rotary,
            "dropout": self.dropout_rate,
            "use_bias": self.use_bias,
        }


def _rotated(x: Tensor, positions: Tensor) -> Tensor:
    """Pairs of features turned by angles in proportion to the position, axis 1 of 5."""
    pairs, dtype = x.shape[-1] // 2, _precise(x)
    frequencies = [_ROTARY_BASE ** (-i / pairs) for i in range(pairs)]
    angles = ops.expand_dims(ops.cast(positions, dtype), 1) * ops.array(frequencies, dtype)
    angles = ops.reshape(angles, (1, -1, 1, 1, pairs))
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def _precise(x: Tensor) -> str:
    """float32 for half precision, which resolves neither positions nor a softmax."""
    return keras.backend.result_type(x.dtype, "float32")


def _scaled_normal(num_inputs: int) -> keras.initializers.Initializer:
    # Keras' own would take the axes of such a kernel for those of a convolution.
    return keras.initializers.RandomNormal(stddev=num_inputs**-0.5)
