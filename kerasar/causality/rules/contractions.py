"""Products that sum over axes: einsum and its kin, with a constant, a weight or a condition.

Each is written as letters, one for each axis of its operands and of its result. The batch and the
positions must come first in what depends on the data and in the result, and nothing else may move
or sum over them.
"""

import string
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasar.causality.einsum_letters import letters_of
from kerasar.causality.rules.registry import Use, rule, with_activation
from kerasar.keras_internals import operation_classes
from kerasar.layers.linear_taps import linear_taps, with_last_axes
from kerasar.layers.protocol import POINTWISE, Declaration, MixesPositions, Pointwise, Taps
from kerasar.typing import Tensor

L = keras.layers


@rule(L.EinsumDense)
def _einsum_dense(use: Use) -> Declaration | None:
    layer = use.operation
    kernel_rank = len(layer.equation.replace(" ", "").partition("->")[0].partition(",")[2])
    letters = letters_of(layer.equation, [use.rank, kernel_rank])
    if letters is None:
        return None
    (data, kernel), result = letters
    declared = _contraction(use, [data, kernel], result, [use.node.inputs[0], None])
    positions = set(result[1 : 1 + use.position_rank])
    if isinstance(declared, Pointwise) and positions & set(layer.bias_axes or ""):
        declared = _differs(use)
    elif isinstance(declared, Pointwise) and _is_matrix(data, kernel, result):
        declared = _matrix(use, layer)
    return declared and with_activation(declared, layer.activation, use)


def _is_matrix(data: str, kernel: str, result: str) -> bool:
    """Whether the kernel, its last axes as one, is a matrix that channels are multiplied by."""
    return data[-1] == kernel[0] and result == data[:-1] + kernel[1:]


def _matrix(use: Use, layer: Any) -> Declaration:
    """Channels times a matrix, whose columns the result then has on several axes."""
    if getattr(layer, "quantization_mode", None):
        return POINTWISE
    channels, *made = layer.kernel.shape

    def finish(total: Tensor) -> Tensor:
        total = with_last_axes(total, total, made)
        if layer.bias is not None:
            total = total + ops.cast(layer.bias, total.dtype)
        return total if layer.activation is None else layer.activation(total)

    offsets = ((0,) * use.position_rank,)
    taps = linear_taps(layer, offsets, kernel=lambda: ops.reshape(layer.kernel, (channels, -1)))
    return taps._replace(finish=finish, linear=taps.linear and len(made) == 1)


@rule(*operation_classes("Einsum"))
def _einsum(use: Use) -> Declaration | None:
    operands = use.node.constants[0]
    letters = letters_of(use.operation.subscripts, [len(np.shape(part)) for part in operands])
    if letters is None:
        return None
    return _contraction(use, *letters, [_edge(use, part) for part in operands])


@rule(*operation_classes("Matmul"))
def _matmul(use: Use) -> Declaration | None:
    one, other = use.arguments("x1", "x2")
    shapes = [tuple(np.shape(part)) for part in (one, other)]
    names = iter(string.ascii_letters)
    summed, row, column = (next(names) for _ in range(3))
    tails = [row + summed if len(shapes[0]) > 1 else summed]
    tails += [summed + column if len(shapes[1]) > 1 else summed]
    leading = [shape[: len(shape) - len(tail)] for shape, tail in zip(shapes, tails, strict=True)]
    letters, shared = _broadcast(leading, names)
    result = shared + (row if len(shapes[0]) > 1 else "") + (column if len(shapes[1]) > 1 else "")
    letters = [lead + tail for lead, tail in zip(letters, tails, strict=True)]
    return _contraction(use, letters, result, [_edge(use, one), _edge(use, other)])


@rule(*operation_classes("Dot", "Tensordot"))
def _outer_product(use: Use) -> Declaration | None:
    """A product over some axes; the others follow each other in the result."""
    one, other = use.arguments("x1", "x2")
    ranks = [len(np.shape(part)) for part in (one, other)]
    if 0 in ranks:
        return None
    kind, axes = type(use.operation).__name__, getattr(use.operation, "axes", None)
    if kind == "Dot":
        pairs = [(ranks[0] - 1, max(ranks[1] - 2, 0))]
    elif isinstance(axes, int):
        pairs = [(ranks[0] - axes + n, n) for n in range(axes)]
    else:
        first, second = (np.atleast_1d(part).tolist() for part in axes)  # type: ignore[union-attr]
        pairs = [(a % ranks[0], b % ranks[1]) for a, b in zip(first, second, strict=True)]
    letters = _paired(ranks, pairs)
    summed = {letters[0][a] for a, _ in pairs}
    result = "".join(name for name in "".join(letters) if name not in summed)
    return _contraction(use, letters, result, [_edge(use, one), _edge(use, other)])


@rule(L.Dot)
def _dot_layer(use: Use) -> Declaration | None:
    """Its two inputs share the batch, and the axis that is summed over."""
    ranks = [len(edge.shape) for edge in use.node.inputs]
    axes = use.operation.axes
    axes = (axes, axes) if isinstance(axes, int) else axes
    pair = (axes[0] % ranks[0], axes[1] % ranks[1])
    letters = _paired(ranks, [(0, 0), pair])
    summed = letters[0][pair[0]]
    result = letters[0].replace(summed, "") + letters[1][1:].replace(summed, "")
    return _contraction(use, letters, result, list(use.node.inputs))


@rule(L.ReversibleEmbedding)
def _reversible_embedding(use: Use) -> Declaration | None:
    is_reverse = bool(use.arguments("inputs", "reverse")[1])
    if is_reverse and not use.has_channels:
        return MixesPositions("reversed, it works along the last axis, which holds positions")
    if not is_reverse and use.operation.mask_zero:
        return MixesPositions(
            "mask_zero=True hands a mask on that the network's graph does not show; use "
            "keras.layers.Embedding for a mask"
        )
    return POINTWISE


def _contraction(
    use: Use, letters: Sequence[str], result: str, edges: Sequence[Any]
) -> Declaration | None:
    """The declaration of a product.

    Args:
        use: of the operation.
        letters: of the axes of each operand.
        result: of the axes of the result.
        edges: the operands in the graph; None for constants and weights.
    """
    head = 1 + use.position_rank
    lead, positions = result[:head], set(result[1:head])
    whole, others = [], []
    for own, edge in zip(letters, edges, strict=True):
        if edge is None or edge not in use.data_dependent:
            others.append((own, edge))
        elif own[:head] != lead or len(lead) < head or any(own.count(name) > 1 for name in lead):
            return MixesPositions(
                f"it multiplies axes {' and '.join(letters)} to {result}, which moves or sums "
                "over positions"
            )
    for own, edge in others:
        if not positions & set(own):
            whole += [] if edge is None else [use.node.inputs.index(edge)]
        elif edge is None or own[:head] != lead:
            return _differs(use)
    given = [edge for edge in edges if edge is not None]
    if len(set(given)) < len(given) and whole:
        return None  # the same condition in two places
    return Pointwise(whole=tuple(whole))


def _differs(use: Use) -> Taps:
    """Each position by itself, by weights of its own: known, but not step by step."""
    return Taps(((0,) * use.position_rank,))


def _edge(use: Use, operand: Any) -> Any:
    """The tensor of the graph that an operand is; None for a constant."""
    return dict(use.node.slots).get(id(operand))


def _broadcast(shapes: Sequence[Any], names: Iterator[str]) -> tuple[list[str], str]:
    """Letters for leading axes that are broadcast: an axis of size 1 has a letter of its own."""
    rank = max(map(len, shapes))
    shared = "".join(next(names) for _ in range(rank))
    letters = []
    for shape in shapes:
        own = shared[rank - len(shape) :]
        sizes = [other[len(other) - len(shape) :] for other in shapes if len(other) >= len(shape)]
        is_one = [
            size == 1 and any(other[axis] != 1 for other in sizes)
            for axis, size in enumerate(shape)
        ]
        pairs = zip(own, is_one, strict=True)
        letters.append("".join(next(names) if spread else name for name, spread in pairs))
    return letters, shared


def _paired(ranks: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Letters for two operands that share some axes."""
    one = string.ascii_lowercase[: ranks[0]]
    other = list(string.ascii_uppercase[: ranks[1]])
    for first, second in pairs:
        other[second] = one[first]
    return [one, "".join(other)]
