"""Holds layers to what they declare: each is run alone, once, with weights drawn at random.

A declaration is a promise in words; a wrong one would make a false proof. The layer's input is
changed at one position after the other, and every output that responds must be within the declared
offsets and channels. A certificate is kept for each class, configuration and shape.
"""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.causality.dependence import Dependence, Passage
from kerasar.causality.graph import Edge, Node
from kerasar.causality.offsets import Offsets
from kerasar.causality.randomize import DrawnWeights
from kerasar.layers.protocol import Declaration, RowRecurrence, Taps, declares
from kerasar.typing import Tensor

#: What an open size is taken to be; how long a series may be; how many positions are changed.
_OPEN, _LONGEST, _CHANGED = {1: 12, 2: 6}, 4_096, 24
_CERTIFIED: set[str] = set()


def certify(node: Node, declared: Declaration, position_rank: int) -> None:
    """Raises a ValueError if a layer sees more than it declares.

    Args:
        node: a use of the layer.
        declared: what it declares.
        position_rank: number of position axes.
    """
    if not declares(node.operation) or len(node.inputs) != 1 or len(node.outputs) != 1:
        return  # built-in layers have rules, and layers of several inputs are ours
    key = _key(node, position_rank)
    if key in _CERTIFIED:
        return
    fault = _fault(node, declared, position_rank)
    if fault is not None:
        raise ValueError(
            f"Layer '{node.name}' ({type(node.operation).__name__}) {fault}. Correct its "
            "declaration (see kerasar.layers.protocol), or remove @declares_what_it_sees: then "
            "the network is probed instead."
        )
    _CERTIFIED.add(key)


def _key(node: Node, position_rank: int) -> str:
    layer = node.operation
    try:
        config = json.dumps({**layer.get_config(), "name": ""}, sort_keys=True, default=repr)
    except NotImplementedError:
        config = str(id(layer))
    kind = f"{type(layer).__module__}.{type(layer).__qualname__}.{id(type(layer))}"
    edge = node.inputs[0]
    return f"{kind} {config} {edge.shape} {edge.dtype} {position_rank}"


def _fault(node: Node, declared: Declaration, position_rank: int) -> str | None:
    """What is wrong with a declaration; None if nothing is found."""
    sizes = _sizes(node, declared, position_rank)
    if sizes is None:
        return None
    rng = np.random.default_rng(0)
    source, made = node.inputs[0], node.outputs[0]
    tail = tuple(int(size or 1) for size in source.shape[1 + position_rank :])
    shape, count = (*sizes, *tail), int(np.prod(sizes))
    moved = rng.permutation(count)[:_CHANGED]
    base = _random(source, shape, rng)
    batch = np.repeat(base[None], len(moved) + 1, 0)
    flat = batch.reshape(len(batch), count, -1)
    for row, position in enumerate(moved.tolist(), 1):
        flat[row, position] = _changed(flat[row, position], rng)
    with DrawnWeights([node.operation]).scope():
        out = _call(node, tf.convert_to_tensor(batch))
    own = out.shape[1 : 1 + position_rank]
    values = out.reshape(len(out), int(np.prod(own)), -1)
    scale = np.abs(values).max() + 1e-30
    rows, at = np.nonzero((np.abs(values[1:] - values[:1]) > 1e-5 * scale).any(axis=-1))
    here = np.stack(np.unravel_index(at, own), -1)
    there = np.stack(np.unravel_index(moved[rows], sizes), -1)
    found = {tuple(int(v) for v in offset) for offset in there - here}
    stated = _stated(node, declared, sizes, position_rank)
    extra = sorted(offset for offset in found if not stated.has(offset))
    if extra:
        listed = ", ".join(str(offset[0] if len(offset) == 1 else offset) for offset in extra[:4])
        return f"declares what it sees, but its outputs also respond to the offset(s) {listed}"
    if (
        tuple(made.shape[2:])
        and len(out)
        and out.shape[1 + position_rank :]
        != tuple(
            size or out.shape[1 + position_rank + axis]
            for axis, size in enumerate(made.shape[1 + position_rank :])
        )
    ):
        return "gives another shape when it is called alone"
    return _channel_fault(node, declared, base, position_rank)


def _channel_fault(
    node: Node, declared: Declaration, base: np.ndarray, position_rank: int
) -> str | None:
    """Whether a channel of the present position is seen that the declaration keeps out."""
    source, made = node.inputs[0], node.outputs[0]
    if len(source.shape) != position_rank + 2 or base.shape[-1] > 64:
        return None
    channels = base.shape[-1]
    x = Edge((None, *base.shape), source.dtype, "x")
    seen = Dependence(
        Offsets.of(position_rank, [(0,) * position_rank]), np.eye(channels, dtype=bool)
    )
    stated = Passage(declared, node, source, made, x, position_rank).dependence(seen).channels
    if stated is None:
        stated = np.zeros((channels, 1), bool)
    rng = np.random.default_rng(1)
    position = tuple(size // 2 for size in base.shape[:position_rank])
    batch = np.repeat(base[None], channels + 1, 0)
    for channel in range(channels):
        index = (channel + 1, *position, channel)
        batch[index] = _changed(batch[index], rng)
    with DrawnWeights([node.operation]).scope():
        out = _call(node, tf.convert_to_tensor(batch))
    if out.shape[1 : 1 + position_rank] != base.shape[:position_rank]:
        return None
    values = out[(slice(None), *position)].reshape(channels + 1, -1)
    scale = np.abs(values).max() + 1e-30
    found = np.abs(values[1:] - values[:1]) > 1e-5 * scale
    wider = (
        stated
        if stated.shape[1] == found.shape[1]
        else np.repeat(stated.any(axis=1, keepdims=True), found.shape[1], 1)
    )
    extra = np.argwhere(found & ~np.broadcast_to(wider, found.shape))
    if not len(extra):
        return None
    one, other = extra[0].tolist()
    return f"keeps channels apart by its declaration, but channel {other} responds to channel {one}"


def _stated(node: Node, declared: Declaration, sizes: tuple[int, ...], position_rank: int) -> Any:
    """The declared offsets on data of these sizes."""
    here = (0,) * position_rank
    x = Edge((None, *([None] * position_rank)), "float32", "x")
    source = Edge((None, *sizes, *node.inputs[0].shape[1 + position_rank :]), "float32", "source")
    made = Edge((None, *[None] * position_rank), "float32", "made")
    seen = Dependence(Offsets.of(position_rank, [here]))
    return Passage(declared, node, source, made, x, position_rank).offsets(seen)


def _sizes(node: Node, declared: Declaration, position_rank: int) -> tuple[int, ...] | None:
    """The network's own sizes if they are small, else some that hold all that is declared."""
    own = node.inputs[0].shape[1 : 1 + position_rank]
    reach = [0] * position_rank
    if isinstance(declared, Taps):
        reach = [max(abs(o[axis]) for o in declared.offsets) for axis in range(position_rank)]
    elif isinstance(declared, RowRecurrence):
        reach = [0, 0]
    wanted = [reach[axis] + _OPEN[position_rank] for axis in range(position_rank)]
    found = tuple(
        size if size is not None else least for size, least in zip(own, wanted, strict=True)
    )
    return found if int(np.prod(found)) <= _LONGEST else None


def _call(node: Node, x: Tensor) -> np.ndarray:
    (made,) = node.run({node.inputs[0]: x})
    return np.asarray(tf.cast(made, tf.float64))


def _random(edge: Edge, shape: tuple[int, ...], rng: Any) -> np.ndarray:
    if keras.backend.is_float_dtype(edge.dtype):
        return rng.normal(size=shape).astype("float32").astype(edge.dtype)
    return rng.integers(2, size=shape).astype(edge.dtype)


def _changed(value: Any, rng: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return 1 - array
    return array + 1 + np.abs(rng.normal(size=array.shape)).astype(array.dtype)
