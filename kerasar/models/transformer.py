"""A transformer over sequences: pre-norm blocks of causal attention and a perceptron.

Attention turns queries and keys by their positions (rotary), may share keys among heads (grouped
queries), and may see a sliding window only. Normalization comes before each sub-layer, so that the
residual path from the data to the parameters stays free (Radford et al. 2019).
"""

import keras
from keras import layers as L

from kerasar.checks import check_count
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import Likelihood
from kerasar.layers import CausalSelfAttention, CausalShift
from kerasar.models.parts.builder import builder
from kerasar.models.parts.conditions import (
    GateCondition,
    global_condition,
    local_input,
    network_inputs,
)
from kerasar.models.parts.sequence_stem_and_head import SequenceStemAndHead
from kerasar.typing import Tensor

_NORMALIZATIONS = {"layer": L.LayerNormalization, "rms": L.RMSNormalization}


@builder
def Transformer(
    length: int | None,
    levels: int | None,
    *,
    units: int = 128,
    layers: int = 4,
    num_heads: int = 4,
    num_kv_heads: int | None = None,
    window: int | None = None,
    mlp_units: int | None = None,
    normalization: str = "layer",
    dropout: float = 0.0,
    input_encoding: str | None = None,
    tie_weights: bool = False,
    num_classes: int | None = None,
    global_features: int | None = None,
    local_features: int | None = None,
    likelihood: Likelihood | None = None,
    num_variables: int | None = None,
) -> AutoregressiveModel:
    """A transformer for sequences of integers or real numbers, ready to compile and fit.

    A step sees all steps before it, or `layers * (window - 1) + 1` of them. The defaults have 0.8
    million weights.

    Conditions are passed by name: `condition={"global": …, "local": …}`; a single one also without
    its name. `global` is a class `(batch,)` or a vector `(batch, global_features)` for the whole
    sequence. `local` is a series `(batch, time, local_features)`; its step reaches the output of
    the same step, so it may hold what is known of the present and the future. Both are added to the
    input of every block.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        levels: int. Number of values; the data are integers in `[0, levels)`. None for real
            numbers, with a likelihood for them.
        units: int. Features of each step; a multiple of `num_heads`.
        layers: int. Number of blocks.
        num_heads: int. Heads of each attention; `units / num_heads` must be even.
        num_kv_heads: int. Number of keys and values, a divisor of `num_heads`: fewer make sampling
            faster. None: one for each head.
        window: int. Steps that an attention sees, the present one among them. None: all before.
        mlp_units: int. Hidden units of each perceptron; `4 * units` if None.
        normalization: "layer" (mean and variance) or "rms" (scale alone).
        dropout: float in [0, 1). Share of what is set to 0 in training: embeddings, attention
            weights and the outputs of the sub-layers.
        input_encoding: how the data enter: "embedding", "one_hot" or "scalar" (scaled to [-1, 1];
            real numbers are standardized by the likelihood's mean and scale). None takes
            "embedding" for single integers, else "scalar".
        tie_weights: bool. Whether the embedding of the levels also gives their logits (Press and
            Wolf 2017); for single integers and `Categorical()`.
        num_classes: int. Number of classes, for a global condition that is an integer.
        global_features: int. Size of a global condition that is a vector.
        local_features: int. Features of each step of a local condition.
        likelihood: of a step; `Categorical()` if None.
        num_variables: int. Variables of a step, for data `(batch, time, num_variables)` and a
            likelihood of whole steps (`event_rank` 1). None for data `(batch, time)`.

    Returns:
        An `AutoregressiveModel` of sequences. Its network outputs `(batch, time, parameters)`.

    Raises:
        ValueError, TypeError: for arguments that are unknown or do not fit together.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.Transformer(8, levels=65, units=16, layers=1, num_heads=2)
        >>> model.sample(2, prompt=[3, 1, 4]).shape
        (2, 8)

    References:
        Vaswani et al. Attention Is All You Need. 2017. https://arxiv.org/abs/1706.03762
        Radford et al. Language Models are Unsupervised Multitask Learners. 2019 (pre-norm).
        Zhang & Sennrich. Root Mean Square Layer Normalization. 2019.
        https://arxiv.org/abs/1910.07467
        Press & Wolf. Using the Output Embedding to Improve Language Models. 2017.
        https://arxiv.org/abs/1608.05859
    """
    mlp_units = 4 * units if mlp_units is None else mlp_units
    for name, size in {"units": units, "layers": layers, "mlp_units": mlp_units}.items():
        check_count(size, name)
    if normalization not in _NORMALIZATIONS:
        raise ValueError(
            f"Transformer takes normalization {' or '.join(map(repr, _NORMALIZATIONS))}, but got "
            f"normalization={normalization!r}."
        )
    norm = _NORMALIZATIONS[normalization]
    sequence = SequenceStemAndHead("Transformer", length, levels, likelihood, num_variables)
    conditions = global_condition("Transformer", num_classes, global_features, units, 1)
    if local_features is not None:
        local = local_input((length,), local_features)
        conditions["local"] = GateCondition(local, local)

    embedding = _tied_embedding(sequence, input_encoding, units) if tie_weights else None
    h = _stem(sequence, input_encoding, units) if embedding is None else embedding(sequence.x)
    h = CausalShift(name="shift")(h)  # from here on, step t knows only steps < t
    if h.shape[-1] != units:
        h = L.Dense(units, name="first")(h)
    h = _dropped(h, dropout, "embedding_dropout")

    for i in range(layers):
        for name, condition in conditions.items():
            projected = L.Dense(units, use_bias=False, name=f"{name}{i}")(condition.features)
            h = L.Add(name=f"with_{name}{i}")([h, projected])
        attention = CausalSelfAttention(
            num_heads, num_kv_heads, window=window, dropout=dropout, name=f"attention{i}"
        )
        r = attention(norm(name=f"attention_norm{i}")(h))
        h = L.Add(name=f"attended{i}")([h, _dropped(r, dropout, f"attention_dropout{i}")])
        r = norm(name=f"mlp_norm{i}")(h)
        r = L.Dense(mlp_units, activation="gelu", name=f"mlp_hidden{i}")(r)
        r = L.Dense(units, name=f"mlp{i}")(r)
        h = L.Add(name=f"out{i}")([h, _dropped(r, dropout, f"mlp_dropout{i}")])

    h = norm(name="norm")(h)
    output = sequence.head(h) if embedding is None else embedding(h, reverse=True)
    network = keras.Model(network_inputs(sequence.x, conditions), output, name="transformer")
    return AutoregressiveModel(network, sequence.likelihood, name="transformer")


def _stem(sequence: SequenceStemAndHead, input_encoding: str | None, units: int) -> Tensor:
    """The data as features, not shifted yet."""
    if input_encoding is None and sequence.has_single_integers:
        input_encoding = "embedding"
    return sequence.encode(input_encoding, units)


def _tied_embedding(
    sequence: SequenceStemAndHead, input_encoding: str | None, units: int
) -> keras.layers.Layer:
    """One table for the levels that come in and for their logits."""
    fits = sequence.has_single_integers and input_encoding in (None, "embedding")
    if not fits or sequence.likelihood.num_parameters(sequence.levels) != sequence.levels:
        raise ValueError(
            "tie_weights=True uses the embedding of the levels for their logits, so Transformer "
            "needs single integers, input_encoding='embedding' and the likelihood Categorical(), "
            f"but got levels={sequence.levels}, num_variables={sequence.num_variables}, "
            f"input_encoding={input_encoding!r} and {type(sequence.likelihood).__name__}."
        )
    # Small enough that the first logits are near 0, as those of a layer of their own would be.
    start = keras.initializers.RandomNormal(stddev=units**-0.5)
    return L.ReversibleEmbedding(
        sequence.levels, units, embeddings_initializer=start, name="embedding"
    )


def _dropped(h: Tensor, rate: float, name: str) -> Tensor:
    # No layer where there is no rate: its random numbers would keep XLA from training.
    return L.Dropout(rate, name=name)(h) if rate else h
