"""Operations of `keras.ops` that are several in one, spelled out, so that each shows what it sees."""

import inspect
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.keras_internals import operation_classes
from kerasar.typing import Tensor


def _dot_product_attention(
    operation: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor = None,
    mask: Tensor = None,
    scale: float | None = None,
) -> Tensor:
    """As `keras.ops.dot_product_attention` computes it on TensorFlow."""
    dtype = keras.backend.result_type(query.dtype, key.dtype, value.dtype)
    query, key, value = (ops.cast(part, dtype) for part in (query, key, value))
    groups = query.shape[2] // key.shape[2]
    if groups > 1 and key.shape[2] > 1:
        key, value = (ops.repeat(part, groups, axis=2) for part in (key, value))
    precise = keras.backend.result_type(dtype, "float32")
    scores = ops.cast(ops.einsum("btnh,bsnh->bnts", query, key), precise)
    scores = scores * (1.0 / math.sqrt(key.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = scores + ops.cast(bias, precise)
    if operation.is_causal:
        causal = np.tril(np.ones((1, 1, query.shape[1], key.shape[1]), bool))
        mask = causal if mask is None else ops.logical_and(mask, causal)
    if mask is not None:
        scores = ops.where(mask, scores, -0.7 * float(np.finfo(precise).max))
    weights = ops.cast(ops.softmax(scores, axis=-1), dtype)
    return ops.einsum("bnts,bsnh->btnh", weights, value)


def _triangle(operation: Any, x: Tensor) -> Tensor:
    keep = np.tril if type(operation) in operation_classes("Tril") else np.triu
    return ops.where(keep(np.ones(x.shape[-2:], bool), operation.k), x, ops.cast(0, x.dtype))


_EXPANSIONS = {
    **dict.fromkeys(operation_classes("DotProductAttention"), _dot_product_attention),
    **dict.fromkeys(operation_classes("Tril", "Triu"), _triangle),
}


def expanded(operation: Any, arguments: Any) -> tuple[Any, list[Any]] | None:
    """The function that an operation is short for, and the tensors of the call that it takes.

    None if there is none, or not for this call: an open length, or other settings.

    Args:
        operation: of a graph.
        arguments: Keras' record of the call.
    """
    spell_out: Any = _EXPANSIONS.get(type(operation))
    if spell_out is None or getattr(operation, "attn_logits_soft_cap", None):
        return None
    given = list(dict.fromkeys(arguments.keras_tensors))
    if any(None in tensor.shape[1:] for tensor in given):
        return None
    inputs = [keras.KerasTensor(tensor.shape, tensor.dtype) for tensor in given]
    swap = {id(tensor): fresh for tensor, fresh in zip(given, inputs, strict=True)}
    args, kwargs = arguments.convert(lambda part: swap.get(id(part), part))
    bound = inspect.signature(operation.call).bind(*args, **kwargs)
    made = spell_out(operation, *bound.args, **bound.kwargs)
    return keras.Function(inputs, made), given
