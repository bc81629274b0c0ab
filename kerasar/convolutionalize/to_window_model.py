"""`to_window_model`: the inverse of `convolutionalize`: from a causal network to its window model.

Only the columns that the one prediction needs are computed: where a causal stack doubles its
dilations, its window model has strides.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import keras

from kerasar.arguments import checks_arguments
from kerasar.causality.analysis import Analysis, analyze
from kerasar.causality.graph import Edge, Node
from kerasar.convolutionalize.layer_reuse import Reuse, call
from kerasar.convolutionalize.layers.stream_join import ZEROS, ChannelSlice, StreamJoin
from kerasar.convolutionalize.layers.stream_layout import Layout, TapRange
from kerasar.convolutionalize.layers.stream_linear import StreamLinear
from kerasar.convolutionalize.layers.stream_pool import StreamPool
from kerasar.convolutionalize.network import as_it_is
from kerasar.keras_internals import functional_graph
from kerasar.layers.protocol import MixesPositions, Recurrence, Taps
from kerasar.typing import Tensor

L = keras.layers
_WEIGHED = (L.Conv1D, L.DepthwiseConv1D, L.SeparableConv1D)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Evenly spaced steps, relative to the one that is predicted.

    Attributes:
        first: the earliest; negative means earlier than the prediction.
        step: their distance.
        count: how many.
    """

    first: int
    step: int
    count: int

    @classmethod
    def over(cls, steps: Iterable[int]) -> "Grid":
        """The coarsest grid that holds some steps."""
        found = sorted(set(steps))
        distance = math.gcd(*(step - found[0] for step in found)) or 1
        return cls(found[0], distance, (found[-1] - found[0]) // distance + 1)

    @property
    def steps(self) -> range:
        """The steps, from the earliest on."""
        return range(self.first, self.first + self.step * self.count, self.step)


@checks_arguments
def to_window_model(network: keras.Model) -> keras.Model:
    """Turns a causal network into the model of one window, to predict one step at a time.

    The window model uses the *same weights*. It computes only the columns that its one prediction
    needs, so dilations become strides, and a convolution over all that is left is a `Dense`.

    Args:
        network: functional causal network over sequences, `(batch, time)` or `(batch, time,
            features)`, of convolutions, pooling and layers that treat each step by itself: what
            `convolutionalize` returns, or a causal stack.

    Returns:
        A model from the last `window` values, as many as a prediction depends on, to the network's
        output: of the step after them for a strictly causal network, else of their last step. The
        two agree from the first full window on.

    Raises:
        TypeError: if `network` is not a Keras model.
        ValueError: if it has no graph, several inputs, looks into the future, or a layer that keeps
            a state or is not known to look at fixed steps only; the layer is named.

    Example:
        >>> import keras, kerasar
        >>> x = keras.Input((None, 1))
        >>> h = keras.layers.Conv1D(4, 2, padding="causal", dilation_rate=1)(x)
        >>> h = keras.layers.Conv1D(4, 2, padding="causal", dilation_rate=2)(h)
        >>> kerasar.to_window_model(keras.Model(x, h)).input_shape
        (None, 4, 1)
    """
    if not isinstance(network, keras.Model):
        raise TypeError(f"network must be a keras.Model, but got {type(network).__name__}.")
    if functional_graph(network) is None:
        raise ValueError(
            f"network must be a functional model or a keras.Sequential, but '{network.name}' is a "
            f"{type(network).__name__}, which has no graph. Of a model of kerasar pass network."
        )
    return _Window(network).model


class _Window:
    """The window model of a network: a tensor of columns for each of its tensors."""

    def __init__(self, network: keras.Model) -> None:
        analysis = analyze(network, max(len(network.inputs[0].shape) - 2, 0) or None)
        graph = analysis.graph
        if graph.conditions or graph.position_rank != 1:
            raise ValueError(
                "to_window_model takes a network with one input, a sequence (batch, time, "
                f"features), but '{graph.name}' has the inputs "
                f"{[tuple(t.shape) for t in network.inputs]}."
            )
        self.analysis, self.name = analysis, graph.name
        self.reuse = Reuse()
        self.layers: dict[Any, StreamLinear] = {}
        self._check(self.analysis)
        self.grids = self._needed()
        self.uses: dict[Any, list[Node]] = {}
        self.layouts: dict[Node, Layout] = {}
        for node in graph.nodes:
            layer = self._weighed(node)
            if node.outputs[0] in self.grids and layer is not None:
                self.uses.setdefault(layer, []).append(node)
                self.layouts[node] = self._layout(node, self._runs(node))
        x, grid = graph.x, self.grids[graph.x]
        inputs = keras.Input((grid.count, *x.shape[2:]), dtype=x.dtype, name=x.name)
        self.tensors: dict[Edge, Tensor] = {x: inputs}
        for node in graph.nodes:
            if node.outputs[0] in self.grids:
                self.tensors[node.outputs[0]] = self._make(node)
        column = self.tensors[graph.output]
        outputs = L.Reshape(column.shape[2:], name=self.reuse.unique("prediction"))(column)
        self.model = keras.Model(inputs, outputs, name=f"{graph.name}_of_a_window")

    def _check(self, analysis: Analysis) -> None:
        for node, declared in analysis.declarations.items():
            reason = None
            if declared is None:
                reason = f"it {node.unknown_because} (see kerasar.layers.protocol)"
            elif isinstance(declared, MixesPositions):
                reason = declared.reason
            elif isinstance(declared, Recurrence):
                reason = "it keeps a state, which goes back further than any window"
            elif isinstance(declared, Taps) and not self._is_known(node, declared):
                reason = "no rule says how it works on single columns"
            elif len(node.outputs) != 1:
                reason = "it has several outputs"
            elif not analysis.data_dependent.issuperset(node.inputs):
                reason = (
                    "it joins a constant, or a weight that a layer around it uses itself; a window "
                    "model has no layer for these"
                )
            if reason is not None:
                raise ValueError(
                    f"Network '{self.name}' has no window model: layer '{node.name}' "
                    f"({type(node.operation).__name__}): {reason}."
                )
        seen = analysis.output
        if seen is None or not seen.offsets:
            raise ValueError(f"The output of network '{self.name}' does not depend on its input.")
        if seen.offsets.latest() > (0,):
            raise ValueError(
                f"to_window_model takes a causal network, but the output of '{self.name}' sees up "
                f"to {seen.offsets.latest()[0]} steps ahead. kerasar.check_causal names the layer."
            )

    def _is_known(self, node: Node, declared: Taps) -> bool:
        operation = node.operation
        if isinstance(operation, (L.Dense, *_WEIGHED, StreamLinear, StreamPool, StreamJoin)):
            return True
        return declared.moves or _pooling(node) is not None

    def _needed(self) -> dict[Edge, Grid]:
        """The steps of each tensor that the prediction depends on, made even."""
        graph, declarations = self.analysis.graph, self.analysis.declarations
        needed: dict[Edge, set[int]] = {graph.output: {0}}
        grids: dict[Edge, Grid] = {}
        for node in reversed(graph.nodes):
            edge, declared = node.outputs[0], declarations.get(node)
            if edge not in needed or declared is None:
                continue
            grids[edge] = Grid.over(needed[edge])
            steps = grids[edge].steps
            if isinstance(declared, Taps):
                for tap, (offset,) in enumerate(declared.offsets):
                    source = node.inputs[declared.source(tap)]
                    needed.setdefault(source, set()).update(step + offset for step in steps)
            else:
                for source in node.inputs:
                    needed.setdefault(source, set()).update(steps)
        seen = self.analysis.output
        last = -1 if seen is not None and seen.offsets.strictly_before() else 0
        first = min(needed[graph.x])
        grids[graph.x] = Grid(first, 1, last - first + 1)
        return grids

    def _weighed(self, node: Node) -> Any:
        """The layer with weights that a node meets with taps, None for other nodes."""
        if isinstance(node.operation, StreamLinear):
            return node.operation.layer
        return node.operation if isinstance(node.operation, _WEIGHED) else None

    def _runs(self, node: Node) -> list[TapRange]:
        """What a node reads, in steps of time."""
        operation, declared = node.operation, self.analysis.declarations[node]
        if isinstance(operation, StreamLinear):
            layout = operation.layouts[node.arguments.kwargs.get("stream", 0)]
            return list(layout.runs)
        if isinstance(operation, StreamPool):
            return list(operation.layout.runs)
        offsets = [offset for (offset,) in declared.offsets]  # type: ignore[union-attr]
        step = offsets[1] - offsets[0] if len(offsets) > 1 else 1
        rows = 1
        if isinstance(operation, L.Conv1D):
            rows = operation.kernel.shape[1]
        return [TapRange(0, offsets[0], step, len(offsets), 0, rows, rows)]

    def _layout(self, node: Node, runs: list[TapRange]) -> Layout:
        """The same, as indices into the grids of the inputs."""
        made = self.grids[node.outputs[0]]
        sources = [self.grids[edge] for edge in node.inputs]
        strides = tuple(made.step // grid.step for grid in sources)
        shrinks = tuple(
            grid.count - 1 - (made.count - 1) * stride
            for grid, stride in zip(sources, strides, strict=True)
        )
        placed = []
        for run in runs:
            grid = sources[run.input]
            offset = (made.first + run.offset - grid.first) // grid.step
            step = run.step // grid.step if run.taps > 1 else 1
            placed.append(run._replace(offset=offset, step=step))
        order = None
        if isinstance(node.operation, StreamLinear):
            order = node.operation.layouts[node.arguments.kwargs.get("stream", 0)].order
        single = all(stride == 1 for stride in strides) or made.count == 1
        return Layout(shrinks, tuple(placed), order, None if single else strides)

    def _make(self, node: Node) -> Tensor:
        operation, declared = node.operation, self.analysis.declarations[node]
        layer = self._weighed(node)
        if layer is not None:
            return self._weighted_sum(node, layer)
        pooling = _pooling(node)
        if pooling is not None:
            layout, name = self._layout(node, self._runs(node)), self.reuse.unique(node.name)
            inputs = [self.tensors[edge] for edge in node.inputs]
            made = StreamPool(pooling, layout, name=name, dtype=node.outputs[0].dtype)
            return made(inputs if len(inputs) > 1 else inputs[0])
        if isinstance(operation, StreamJoin):
            return self._join(node)
        if isinstance(declared, Taps) and declared.moves:
            return self._part(node.inputs[0], node.outputs[0], declared.offsets[0][0])
        inputs = [self._part(edge, node.outputs[0], 0) for edge in node.inputs]
        found = self.reuse.operation(operation)
        if found is None:
            raise ValueError(
                f"Two layers in network '{self.name}' are called '{node.name}'. Rename one of them."
            )
        return call(node, found, inputs)

    def _weighted_sum(self, node: Node, layer: Any) -> Tensor:
        nodes = self.uses[layer]
        layouts = [self.layouts[other] for other in nodes]
        inputs = [self.tensors[edge] for edge in node.inputs]
        if all(as_it_is(layer, layout) for layout in layouts) and self.reuse.owns_its_name(layer):
            return layer(inputs[0])
        if layer not in self.layers:
            shape = node.inputs[0].shape
            if isinstance(node.operation, StreamLinear):
                shape = tuple(node.operation.layer_shape)
            self.layers[layer] = StreamLinear(
                layer,
                layouts,
                shape,
                name=self.reuse.name_for(layer),
                dtype=layer.dtype_policy,
            )
        given = inputs if len(inputs) > 1 else inputs[0]
        return self.layers[layer](given, stream=nodes.index(node))

    def _join(self, node: Node) -> Tensor:
        inputs: list[Tensor] = []
        pieces: list[ChannelSlice] = []
        for piece in node.operation.pieces:
            if piece.input == ZEROS:
                pieces.append(piece)
                continue
            pieces.append(ChannelSlice(len(inputs), 0, piece.start, piece.stop))
            inputs.append(self._part(node.inputs[piece.input], node.outputs[0], piece.offset))
        inputs = inputs or [self._part(node.inputs[0], node.outputs[0], 0)]
        name = self.reuse.unique(node.name)
        made = StreamJoin(pieces, [0] * len(inputs), name=name, dtype=inputs[0].dtype)
        return made(inputs if len(inputs) > 1 else inputs[0])

    def _part(self, source: Edge, made: Edge, offset: int) -> Tensor:
        """The columns of a tensor at the steps of another, moved by an offset."""
        have, want = self.grids[source], self.grids[made]
        first = (want.first + offset - have.first) // have.step
        stride = want.step // have.step if want.count > 1 else 1
        stop = first + (want.count - 1) * stride + 1
        tensor = self.tensors[source]
        if (first, stop, stride) == (0, have.count, 1):
            return tensor
        return tensor[:, first:stop:stride]


def _pooling(node: Node) -> str | None:
    """How a layer pools, None if it does not."""
    operation = node.operation
    if isinstance(operation, StreamPool):
        return operation.pooling
    if isinstance(operation, L.MaxPooling1D):
        return "max"
    if isinstance(operation, L.AveragePooling1D):
        return "mean" if operation.padding == "valid" else None
    kind = getattr(operation, "pooling_type", None)  # DilatedPooling1D
    return {"max": "max", "avg": "mean"}.get(str(kind))
