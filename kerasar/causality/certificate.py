"""Holds layers to what they declare: each is run alone, once, with weights drawn at random.

A declaration is a promise in words; a wrong one would make a false proof. The layer's inputs are
changed at one position after the other, and every output that responds must be within the declared
offsets and channels; in training too, and again when it is called again; and whatever the other
examples of the batch are. A recurrent layer with a cell that is not Keras' own is held to what
recurrences see. A certificate is kept for each class, the attributes of its layer, and shape.
"""

import functools
import weakref
from collections.abc import Container, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.dependence import Dependence, Passage, of_source
from kerasar.causality.graph import Edge, Node
from kerasar.causality.layer_key import layer_key
from kerasar.causality.offsets import Offsets
from kerasar.causality.randomize import DrawnWeights
from kerasar.causality.rules.recurrent import holds_unknown_cell
from kerasar.keras_internals import nested_layers
from kerasar.layers.protocol import Declaration, Taps, declares

#: What open sizes are taken to be, small and large; up to how many positions a layer runs at its
#: own sizes only.
_OPEN, _OPEN_LARGE, _LONGEST = {1: 12, 2: 6}, {1: 300, 2: 20}, 4_096
#: How many positions are changed at least, and how many in training; how many elements go through
#: the layer at once, and how many where more positions than the least are changed.
_CHANGED, _IN_TRAINING, _AT_ONCE, _AT_ONCE_MORE = 24, 3, 16_000_000, 50_000
#: Draws of the weights, and the size of the inputs with each.
_VARIANTS = ((0, 1.0), (1, 1.0), (0, 5.0), (1, 30.0))
#: How many values of an integer input are tried.
_KINDS = 512
_CERTIFIED: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()


def uses_batch_statistics(operation: keras.Operation) -> bool:
    """Whether a layer, or one inside of it, normalizes by the whole batch in training."""
    parts = nested_layers(operation) if isinstance(operation, keras.layers.Layer) else []
    return any(type(part) is keras.layers.BatchNormalization and part.trainable for part in parts)


def is_ours(operation: keras.Operation) -> bool:
    """Whether a layer is one of kerasar's own, whose declarations are tested."""
    return type(operation).__module__.startswith("kerasar.")


def certify(
    node: Node,
    declared: Declaration,
    position_rank: int,
    data_dependent: Container[Edge] | None = None,
    num_levels: int = 2,
) -> None:
    """Raises a ValueError if a layer sees more than it declares.

    Args:
        node: a use of the layer.
        declared: what it declares.
        position_rank: number of position axes.
        data_dependent: the tensors that depend on the data; None: all of them.
        num_levels: number of values of integers.
    """
    layer = node.operation
    if (
        is_ours(layer)
        and len(node.inputs) > 1
        or not (declares(layer) or holds_unknown_cell(layer))
    ):
        return  # built-in layers have rules
    sources = [
        edge
        for edge in dict.fromkeys(node.inputs)
        if (data_dependent is None or edge in data_dependent) and len(edge.shape) > position_rank
    ]
    key = layer_key(layer, _use(node, sources, position_rank, num_levels))
    certified = _CERTIFIED.setdefault(type(layer), set())
    if key in certified:
        return
    for source in sources:
        own = of_source(declared, node, source)
        fault = _Trial(node, own, source, position_rank, num_levels).fault()
        if fault is not None:
            raise ValueError(
                f"Layer '{node.name}' ({type(layer).__name__}) {fault}. "
                + (
                    "Correct its declaration (see kerasar.layers.protocol), or remove "
                    "@declares_what_it_sees: then the network is probed instead."
                    if declares(layer)
                    else "Correct its cell."
                )
            )
    if key is not None:
        certified.add(key)


def _use(node: Node, sources: list[Edge], position_rank: int, num_levels: int) -> list[Any]:
    """How a certificate has a layer used; how many values integers have matters to them only."""
    edges = [(edge.shape, edge.dtype, edge in sources) for edge in node.inputs]
    has_integers = not all(keras.backend.is_float_dtype(edge.dtype) for edge in node.inputs)
    return [position_rank, num_levels if has_integers else None, repr(edges)]


class _Trial:
    """One layer, run alone: one of its inputs is changed.

    Args:
        node: a use of the layer.
        declared: what it declares of that input.
        source: the input.
        position_rank: number of position axes.
        num_levels: number of values of integers.
    """

    def __init__(
        self,
        node: Node,
        declared: Declaration,
        source: Edge,
        position_rank: int,
        num_levels: int,
    ) -> None:
        self.node, self.declared, self.source = node, declared, source
        self.position_rank, self.num_levels = position_rank, num_levels
        self.weights = DrawnWeights([node.operation])
        self.scale = 1.0
        self.rng = np.random.default_rng(0)

    def fault(self) -> str | None:
        """What is wrong with the declaration; None if nothing is found."""
        tried, others = self._sizes()
        ran, reason = False, None
        for sizes in [*tried, *others]:
            if ran and sizes in others:
                break
            try:
                fault = self._fault(sizes)
            except (MemoryError, tf.errors.ResourceExhaustedError) as error:
                raise ValueError(
                    f"Layer '{self.node.name}' takes more memory than is available, even alone and "
                    f"on {' × '.join(map(str, sizes))} positions. Make its kernel, its dilation "
                    "rate or its channels smaller."
                ) from error
            except Exception as error:
                reason = f"cannot be called alone ({type(error).__name__}: {error})"
                continue
            if fault is not None:
                return fault
            ran = True
        return None if ran else reason

    def _fault(self, sizes: tuple[int, ...]) -> str | None:
        for number, (draw, scale) in enumerate(_VARIANTS):
            self.weights, self.scale = DrawnWeights([self.node.operation], draw), scale
            base = {edge: self._random(edge, sizes) for edge in dict.fromkeys(self.node.inputs)}
            try:
                fault = self._position_fault(base, sizes) or self._channel_fault(base, sizes)
            except tf.errors.InvalidArgumentError:
                if number == 0:
                    raise
                continue  # it does not take such values
            if fault is not None:
                return fault
        return None

    def _sizes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """The network's own sizes, or such as hold all that is declared; and if those fail, others.

        Some layers run at the sizes only for which they are built. Those of kerasar run at any, and
        do the same everywhere, so that the least ones show what a user's activation in them does.
        """
        rank, declared = self.position_rank, self.declared
        own = self.source.shape[1 : 1 + rank]
        reach = [0] * rank
        if isinstance(declared, Taps):
            reach = [max([0, *(abs(o[axis]) for o in declared.offsets)]) for axis in range(rank)]
        small, large = (
            tuple(
                size if size is not None and size < least + more else least + more
                for size, least in zip(own, reach, strict=True)
            )
            for more in (_OPEN[rank], _OPEN_LARGE[rank])
        )
        if None in own:
            return [small] if is_ours(self.node.operation) else [small, large], []
        whole: tuple[int, ...] = tuple(map(int, own))  # type: ignore[arg-type]
        if is_ours(self.node.operation):
            return [small], [whole]
        if int(np.prod(whole)) <= _LONGEST:
            return [whole], [small]
        return [small, large], [whole]

    def _position_fault(self, base: dict[Edge, np.ndarray], sizes: tuple[int, ...]) -> str | None:
        x, count = base[self.source], int(np.prod(sizes))
        most = min(_CHANGED, max(2, _AT_ONCE // x.size))
        moved = self.rng.permutation(count)[: max(most, _AT_ONCE_MORE // x.size)]
        if x.dtype.kind in "iu":
            moved = np.resize(moved, max(len(moved), min(self._num_values(x), _KINDS)))
        batch = np.repeat(x, len(moved) + 1, 0)
        flat = batch.reshape(len(batch), count, -1)
        for row, position in enumerate(moved.tolist(), 1):
            flat[row, position] = self._changed(flat[row, position])
        # One between the others, for an example may depend on those before it only.
        middle = len(batch) // 2
        one = slice(middle, middle + 1)
        with self.weights.scope():
            outputs = self._call(base, batch)
            others = np.insert(self._changed(batch[1:]), middle, batch[middle], axis=0)
            beside = self._call(base, others)
            same = _equal([out[one] for out in outputs], [out[one] for out in beside])
            again = outputs if same else self._call(base, batch)
        if not _equal(outputs, again):
            return (
                "gives another output when it is called again: it keeps a state between calls, or "
                "draws noise in inference too"
            )
        if any(_far(a[one], b[one]).any() for a, b in zip(outputs, beside, strict=True)):
            return "mixes the examples of a batch: the output of one changes with the others"
        for made, out in zip(self.node.outputs, outputs, strict=True):
            extra = self._beyond(out, moved, sizes)
            if extra is not None:
                return f"declares what it sees, but its outputs also respond to {extra}"
            if not _fits(made.shape, out.shape, self.position_rank):
                return "gives another shape when it is called alone"
        return self._training_fault(base, batch, moved, sizes)

    def _training_fault(
        self,
        base: dict[Edge, np.ndarray],
        batch: np.ndarray,
        moved: np.ndarray,
        sizes: tuple[int, ...],
    ) -> str | None:
        """What is wrong in training, for the first of the changed positions."""
        if uses_batch_statistics(self.node.operation):
            return None  # known to leak, and refused by that name
        rows, moved, extra = batch[: 1 + _IN_TRAINING], moved[:_IN_TRAINING], None
        # Noise differs between the examples of a batch; by itself, each has the same.
        for parts in ([rows], list(rows[:, None])):
            trained = [self._call_training(base, part) for part in parts]
            made = (np.concatenate(pieces) for pieces in zip(*trained, strict=True))
            found = (self._beyond(out, moved, sizes) for out in made)
            extra = next((offsets for offsets in found if offsets is not None), None)
            if extra is None:
                return None
        return f"in training sees more than it declares: its outputs respond to {extra}"

    def _beyond(self, out: np.ndarray, moved: np.ndarray, sizes: tuple[int, ...]) -> str | None:
        """The offsets that respond and are not declared, in words."""
        own = out.shape[1 : 1 + self.position_rank]
        values = out.reshape(len(out), int(np.prod(own)), -1)
        rows, at = np.nonzero(_far(values[1:], values[:1]).any(axis=-1))
        here = np.stack(np.unravel_index(at, own), -1)
        there = np.stack(np.unravel_index(moved[rows], sizes), -1)
        found = {tuple(int(v) for v in offset) for offset in there - here}
        stated = self._stated(sizes)
        extra = sorted(offset for offset in found if not stated.has(offset))
        if not extra:
            return None
        listed = ", ".join(str(o[0] if len(o) == 1 else o) for o in extra[:4])
        return f"the offset(s) {listed}"

    def _stated(self, sizes: tuple[int, ...]) -> Offsets:
        """The declared offsets on data of these sizes."""
        rank = self.position_rank
        here = (0,) * rank
        x = Edge((None, *([None] * rank)), "float32", "x")
        source = Edge((None, *sizes, *self.source.shape[1 + rank :]), "float32", "source")
        made = Edge((None, *[None] * rank), "float32", "made")
        seen = Dependence(Offsets.of(rank, [here]))
        return Passage(self.declared, self.node, source, made, x, rank).offsets(seen)

    def _channel_fault(self, base: dict[Edge, np.ndarray], sizes: tuple[int, ...]) -> str | None:
        """Whether a channel of the present position is seen that the declaration keeps out."""
        rank, source, made = self.position_rank, self.source, self.node.outputs[0]
        array = base[source]
        if array.ndim != rank + 2 or array.shape[-1] > 64:
            return None
        channels = array.shape[-1]
        x = Edge((None, *array.shape[1:]), source.dtype, "x")
        seen = Dependence(Offsets.of(rank, [(0,) * rank]), np.eye(channels, dtype=bool))
        stated = Passage(self.declared, self.node, source, made, x, rank).dependence(seen).channels
        if stated is None:
            stated = np.zeros((channels, 1), bool)
        position = tuple(size // 2 for size in sizes)
        batch = np.repeat(array, channels + 1, 0)
        for channel in range(channels):
            index = (channel + 1, *position, channel)
            batch[index] = self._changed(batch[index])
        with self.weights.scope():
            out = self._call(base, batch)[0]
        if out.shape[1 : 1 + rank] != sizes:
            return None
        everywhere: Any = (slice(None), *position)
        values = out[everywhere].reshape(channels + 1, -1)
        found = _far(values[1:], values[:1])
        wider = (
            stated
            if stated.shape[1] == found.shape[1]
            else np.repeat(stated.any(axis=1, keepdims=True), found.shape[1], 1)
        )
        extra = np.argwhere(found & ~np.broadcast_to(wider, found.shape))
        if not len(extra):
            return None
        one, other = extra[0].tolist()
        return (
            f"keeps channels apart by its declaration, but channel {other} responds to channel "
            f"{one}"
        )

    # Running.

    def _call(
        self, base: dict[Edge, np.ndarray], batch: np.ndarray, training: bool = False
    ) -> list[np.ndarray]:
        """The outputs for a batch of the input, beside repetitions of the others."""
        values = {
            edge: tf.convert_to_tensor(
                batch if edge is self.source else np.repeat(value, len(batch), 0)
            )
            for edge, value in base.items()
        }
        return [np.asarray(tf.cast(made, tf.float64)) for made in self.node.run(values, training)]

    def _call_training(self, base: dict[Edge, np.ndarray], batch: np.ndarray) -> list[np.ndarray]:
        """A call in training, with the seeds of every such call."""
        with self.weights.scope():
            return self._call(base, batch, training=True)

    def _random(self, edge: Edge, sizes: tuple[int, ...]) -> np.ndarray:
        """A value of an input, `(1, …)`; sizes of 1 stay, for they are broadcast."""
        shape = (1, *(self._size(edge, axis, sizes) for axis in range(1, len(edge.shape))))
        if keras.backend.is_float_dtype(edge.dtype):
            return (self.scale * self.rng.normal(size=shape)).astype("float32").astype(edge.dtype)
        found = np.zeros(shape, edge.dtype)
        return self.rng.integers(self._num_values(found), size=shape).astype(edge.dtype)

    def _size(self, edge: Edge, axis: int, sizes: tuple[int, ...]) -> int:
        """The size of an axis: a position axis of the source, or of what has the same axes."""
        own, source = edge.shape[axis], self.source.shape
        if axis > self.position_rank:
            return int(own or 1)
        if own is None or (len(edge.shape) == len(source) and own == source[axis] != 1):
            return sizes[axis - 1]
        return int(own)

    def _num_values(self, array: np.ndarray) -> int:
        """How many values an integer or a Boolean takes: two, or all."""
        return 2 if array.dtype.kind == "b" or self.scale == 1.0 else max(2, self.num_levels)

    def _changed(self, value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind in "iub":
            highest = self._num_values(array)
            other = self.rng.integers(1, highest, size=array.shape)
            return ((array.astype(int) + other) % highest).astype(array.dtype)
        step = self.scale * self.rng.choice((1.0, -1.0))
        return (array + step * (1 + np.abs(self.rng.normal(size=array.shape)))).astype(array.dtype)


def _equal(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Whether outputs are the same, bit for bit."""
    return all(map(functools.partial(np.array_equal, equal_nan=True), one, other))


def _far(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where values differ by more than rounding; infinities and NaN are equal to themselves."""
    if np.isfinite(one).all() and np.isfinite(other).all():  # the usual case, in few passes
        largest = max(np.abs(part).max(initial=0.0) for part in (one, other))
        return np.abs(one - other) > 1e-5 * (largest + 1e-30)
    with np.errstate(invalid="ignore"):
        finite = np.abs(np.concatenate([one.ravel(), other.ravel()]))
        scale = finite[np.isfinite(finite)].max(initial=0.0) + 1e-30
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        return ~same & ~(np.abs(one - other) <= 1e-5 * scale)


def _fits(stated: Any, found: tuple[int, ...], position_rank: int) -> bool:
    """Whether the axes behind the positions are those of the network."""
    tail = stated[1 + position_rank :]
    others = found[1 + position_rank :]
    return len(tail) == len(others) and all(
        size in (None, other) for size, other in zip(tail, others, strict=True)
    )
