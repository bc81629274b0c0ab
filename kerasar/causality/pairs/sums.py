"""Operations that sum or normalize over an axis: of channels, or of the keys of a pair."""

from typing import Any

import keras
import numpy as np

from kerasar.causality.einsum_letters import letters_of, matmul_letters
from kerasar.causality.graph import Edge
from kerasar.causality.offsets import Offsets
from kerasar.causality.pairs.local import elementwise
from kerasar.causality.pairs.placed import Placed, as_matrix, reduce_values
from kerasar.causality.pairs.use import PairUse, Ruled, last_lag, pair_rule, unite
from kerasar.causality.pairs.values import (
    ORDINARY,
    UNKNOWN,
    flat,
    is_exact,
    is_known,
    vanish_along,
)
from kerasar.causality.rules.activations import is_elementwise, is_over_channels
from kerasar.keras_internals import operation_classes
from kerasar.layers.protocol import Aligned

L = keras.layers
_KEEPS_ZERO = frozenset(operation_classes("Sum"))


@pair_rule(L.Softmax, *operation_classes("Softmax"))
def _softmax(use: PairUse) -> Ruled | str | None:
    """A softmax over the keys makes masked pairs zero, if any other pair of the query is not."""
    return _softmax_along(use, use.node.operation.axis)


@pair_rule(L.Activation)
def _activation(use: PairUse) -> Ruled | str | None:
    if is_over_channels(use.node.operation.activation):
        return _softmax_along(use, -1)
    return elementwise(use) if is_elementwise(use.node.operation.activation) else None


def _softmax_along(use: PairUse, given: Any) -> Ruled | str | None:
    node, edge, rank = use.node, use.node.inputs[0], use.rank
    axis = _one_axis(given, rank)
    if edge not in use.placed or axis is None:
        return None
    placed, maps = use.placed[edge], use.aligned_axes()
    axes: dict[int, Offsets] = dict(placed.axes)
    scores, masked = placed.values, np.zeros([1] * rank, bool)
    for mask in node.inputs[1:]:
        values = use.edge_values(mask)
        values = values.reshape((1,) * (rank - values.ndim) + values.shape)
        off, on = is_exact(values) & (values <= 0.5), is_exact(values) & (values > 0.5)
        masked = masked | off
        low = -3e4 if edge.dtype == "float16" else -1e9  # as Keras' layer has it
        scores = np.where(on, scores, np.where(off, low, UNKNOWN))
        for own, offsets in use.placed[mask].axes.items() if mask in use.placed else ():
            unite(axes, own + rank - len(mask.shape), offsets)
    if axis == 0 or len(axes) > 2 or placed.grid:
        return f"it normalizes over axis {given}, which holds positions"
    known = is_known(scores)
    if axis not in axes:
        ordinary = np.where(known, ORDINARY, UNKNOWN)
        return Ruled(Aligned(maps), (Placed(axes, ordinary, placed.fold),))
    query = next((other for other in axes if other != axis), None)
    if query is None:
        return "it normalizes over all positions"
    weights = np.where(masked | vanish_along(scores, axis), 0.0, np.where(known, ORDINARY, UNKNOWN))
    pairs = use.offsets(as_matrix(weights, query, axis) != 0)
    seen = {query: axes[query] | (pairs + axes[axis]), axis: use.none()}
    return Ruled(Aligned(maps, last_lag(pairs)), (Placed(seen, weights, placed.fold),))


@pair_rule(*operation_classes("Mean", "Sum", "Max", "Min", "Logsumexp", "Norm", "Std", "Var", "Any",
                              "All", "Prod", "Argmax", "Argmin"))  # fmt: skip
def _reduction(use: PairUse) -> Ruled | str | None:
    node, edge = use.node, use.node.inputs[0]
    operation, rank, placed = node.operation, len(edge.shape), use.placed[edge]
    given = operation.axis
    if given is None or placed.grid:
        return "it reduces over all axes"
    axes = sorted(int(a) % rank for a in np.atleast_1d(given))
    keeps = bool(operation.keepdims)
    place = {a: a if keeps else a - sum(b < a for b in axes) for a in range(rank) if a not in axes}
    over = [a for a in axes if a in placed.axes]
    maps = ({axis: f"reduced {axis}" for axis in axes} | place,)
    if 0 in axes or len(over) > 1:
        return f"it reduces over axis {given}, which holds positions"
    known = placed.values
    if not over:
        kept = {place[a]: offsets for a, offsets in placed.axes.items()}
        values = _reduced(operation, known, tuple(axes), keeps)
        return Ruled(Aligned(maps), (Placed(kept, values, placed.fold),))
    key = over[0]
    query = placed.partner(key)
    if query is None or type(operation) not in _IGNORES:
        return f"it reduces over axis {given}, which holds positions"
    if type(operation) in _KEEPS_ZERO:
        ignored = known == 0
    else:
        ignored = vanish_along(known, key)
    pairs = use.offsets(as_matrix(np.where(ignored, 0.0, 1.0), query, key) != 0)
    offsets = placed.axes[query] | (pairs + placed.axes[key])
    ordinary = flat(ORDINARY, len(node.outputs[0].shape))
    seen = Placed({place[query]: offsets}, ordinary, placed.fold)
    return Ruled(Aligned(maps, last_lag(pairs)), (seen,))


def _reduced(operation: Any, values: np.ndarray, axes: tuple[int, ...], keeps: bool) -> np.ndarray:
    """What is known of sums and maxima over axes that hold no positions."""
    merged = reduce_values(values, axes)
    kept = (merged == 0) | (merged == ORDINARY)
    if type(operation) not in _KEEPS_ZERO:
        kept = kept | is_known(merged)  # the mean and the largest of equal elements
    known = kept & (type(operation) in _KEEPS_KIND)
    found = np.where(known, merged, UNKNOWN)
    return found if keeps else np.squeeze(found, axes)


#: Reductions of zeros to zero, and of ordinary elements to an ordinary one.
_KEEPS_KIND = frozenset(operation_classes("Sum", "Mean", "Max", "Min"))
#: Reductions to which some elements add nothing: zeros to a sum, what is far below to a maximum.
_IGNORES = _KEEPS_ZERO | frozenset(operation_classes("Max", "Logsumexp"))


@pair_rule(*operation_classes("Einsum", "Matmul"), L.EinsumDense)
def _contraction(use: PairUse) -> Ruled | str | None:
    """Products summed over the axes that the result has not: scores, and values of the keys."""
    operation, inputs = use.node.operation, use.operand_edges()
    if inputs is None:
        return None
    if type(operation) is L.EinsumDense:
        if not is_elementwise(operation.activation) or operation.quantization_mode:
            return None
        ranks = [len(inputs[0].shape), len(operation.kernel.shape)]
        letters = letters_of(operation.equation, ranks)
        letters = None if letters is None else ([letters[0][0]], letters[1])
    elif type(operation) in operation_classes("Matmul"):
        letters = matmul_letters([len(edge.shape) for edge in inputs])
    else:
        letters = letters_of(operation.subscripts, [len(edge.shape) for edge in inputs])
    if letters is None or len(letters[0]) != len(inputs):
        return None
    return _Contraction(use, inputs, *letters).result()


class _Contraction:
    """One product and sum; every axis has a letter."""

    def __init__(self, use: PairUse, edges: list[Edge], given: list[str], result: str) -> None:
        self.use, self.edges, self.given, self.made = use, edges, given, result

    def result(self) -> Ruled | str | None:
        use, made = self.use, self.made
        if any(len(set(letters)) < len(letters) for letters in [*self.given, made]):
            return None
        placed = [use.placed.get(edge) for edge in self.edges]
        if any(part is not None and part.grid for part in placed):
            return None
        folds = {part.fold for part in placed if part is not None}
        if len(folds) > 1 or not self._keeps_examples(folds):
            return "it sums over examples, or joins different ones"
        seen = self._seen()
        gone = {letter for letter in seen if letter not in made}
        if len(gone) > 1:
            return "it sums over two axes that hold positions"
        known = self._pairs_with(gone.pop()) if gone else None
        if isinstance(known, str):
            return known or None
        ahead = None
        if known is not None:
            query, key, ignored = known
            pairs = use.offsets(~ignored)
            apart, ahead = pairs + seen.pop(key), last_lag(pairs)
            unite(seen, query, apart)
        if len(seen) > 2:
            return "it joins positions on three axes"
        axes = {made.index(letter): offsets for letter, offsets in seen.items()}
        maps = [
            {a: made.index(letter) if letter in made else letter for a, letter in enumerate(own)}
            for own in self.given
        ]
        values = np.where(self._zeros(), 0.0, flat(ORDINARY, len(made)))
        return Ruled(Aligned(use.in_input_order(maps), ahead), (Placed(axes, values, max(folds)),))

    def _zeros(self) -> np.ndarray:
        """Which elements of the result are zero: those for which one factor is, in every term."""
        found = np.zeros([1] * len(self.made), bool)
        operation = self.use.node.operation
        if type(operation) is L.EinsumDense and (
            operation.bias is not None
            or operation.activation not in (None, keras.activations.linear)
        ):
            return found
        for own, edge in zip(self.given, self.edges, strict=True):
            values = self.use.edge_values(edge)
            zero = values.reshape((1,) * (len(own) - values.ndim) + values.shape) == 0
            summed = tuple(axis for axis, letter in enumerate(own) if letter not in self.made)
            zero = zero.all(axis=summed)
            kept = [letter for letter in own if letter in self.made]
            order = sorted(range(len(kept)), key=lambda axis: self.made.index(kept[axis]))
            sizes = {kept[axis]: zero.shape[axis] for axis in order}
            zero = zero.transpose(order)
            found = found | zero.reshape([sizes.get(letter, 1) for letter in self.made])
        return found

    def _keeps_examples(self, folds: set[int]) -> bool:
        """Whether the first axis of every tensor with a batch is the first axis of the result."""
        first = self.made[:1]
        for own, edge in zip(self.given, self.edges, strict=True):
            is_batch = edge in self.use.placed or edge.shape[:1] == (None,)
            if is_batch and own[:1] != first:
                return False
            if first in own and own[:1] == first and not is_batch and edge.shape[0] != 1:
                return False
            if first in own[1:] or (folds != {1} and is_batch and edge not in self.use.placed):
                return False
        return True

    def _seen(self) -> dict[str, Offsets]:
        """The offsets that are seen through each letter that holds positions."""
        seen: dict[str, Offsets] = {}
        for own, edge in zip(self.given, self.edges, strict=True):
            for axis, offsets in (
                self.use.placed[edge].axes.items() if edge in self.use.placed else ()
            ):
                unite(seen, own[axis], offsets)
        return seen

    def _pairs_with(self, key: str) -> tuple[str, str, np.ndarray] | str:
        """The letter of the queries, and the pairs that are zero, for the letter of the keys.

        A reason why not; an empty one if that is unknown.
        """
        count = int(np.prod(self.use.sizes))
        queries = set()
        for own, edge in zip(self.given, self.edges, strict=True):
            if key in own and edge in self.use.placed:
                queries |= {own[axis] for axis in self.use.placed[edge].axes} - {key}
            elif key in own:
                sizes = dict(zip(own, edge.shape, strict=True))
                queries |= {c for c in own[:] if c != key and c in self.made and sizes[c] == count}
        queries = {letter for letter in queries if letter in self.made}
        if len(queries) != 1:
            return "it sums over all positions"
        query = queries.pop()
        ignored = np.zeros((1, 1), bool)
        for own, edge in zip(self.given, self.edges, strict=True):
            if key not in own:
                continue
            known = self._known(own, edge, query, key)
            if edge not in self.use.placed and query in own and not is_exact(known).any():
                return ""  # weights, or a condition, over pairs: nobody knows what they leave out
            ignored = ignored | (known == 0)
        return query, key, ignored

    def _known(self, own: str, edge: Edge, query: str, key: str) -> np.ndarray:
        """What is known of an operand, as a matrix over two letters."""
        values = self.use.edge_values(edge)
        values = values.reshape((1,) * (len(own) - values.ndim) + values.shape)
        if query not in own:
            values, own = values[..., None], f"{own}{query}"
        return as_matrix(values, own.index(query), own.index(key))


def _one_axis(axis: Any, rank: int) -> int | None:
    axes = list(np.atleast_1d(axis))
    return int(axes[0]) % rank if len(axes) == 1 else None
