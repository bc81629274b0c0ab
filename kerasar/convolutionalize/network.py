"""Builds the network of a plan: one Keras tensor for each stream."""

from typing import Any

import keras
from keras import ops

from kerasar.causality.graph import Node
from kerasar.causality.rules.pointwise import ELEMENTWISE_CLASSES
from kerasar.convolutionalize.column_rules.common import arrays, identity_key
from kerasar.convolutionalize.layer_reuse import Reuse, call, operation_like
from kerasar.convolutionalize.layers.per_step import PerStep
from kerasar.convolutionalize.layers.stream_join import ZEROS, ChannelSlice, StreamJoin
from kerasar.convolutionalize.layers.stream_layout import Layout, TapRange
from kerasar.convolutionalize.layers.stream_linear import StreamLinear
from kerasar.convolutionalize.layers.stream_pool import StreamPool
from kerasar.convolutionalize.plan import Plan
from kerasar.convolutionalize.streams import (
    ZERO,
    Call,
    Join,
    Lookup,
    Pool,
    Stream,
    WeightedSum,
    WholeWindow,
)
from kerasar.layers.causal_shift import CausalShift
from kerasar.typing import Tensor

L = keras.layers


class NetworkBuilder:
    """Makes the streams of a plan as Keras tensors.

    With `per_layer_padding` every stream is as long as the data, and what is read before its start
    is zero. Else only the data are padded: a stream starts as late as what it reads makes it.

    Args:
        plan: of the window model.
        padding: "causal" or "valid".
        strictly_causal: whether the data are shifted by one step.
        per_layer_padding: where the zeros enter.
    """

    def __init__(
        self, plan: Plan, padding: str, strictly_causal: bool, per_layer_padding: bool
    ) -> None:
        self.plan, self.per_layer = plan, per_layer_padding
        self.starts: dict[int, int] = {}
        self.layouts: dict[int, Layout] = {}
        for stream in plan.streams:
            self.starts[stream.number] = self._start(stream)
            if isinstance(stream.op, (WeightedSum, Pool)):
                self.layouts[stream.number] = self._layout(stream, stream.op)
        self.uses = self._uses()
        self.layers: dict[Any, Any] = {}
        self.views: dict[tuple[int, ...], Tensor] = {}
        self.reuse = Reuse()
        self.tensors: dict[int, Tensor] = {}
        self.padding, self.strictly_causal = padding, strictly_causal

    def build_network(self) -> keras.Model:
        """The network: from a series to the predictions of the window model at every step."""
        inputs = [
            keras.Input((None, *edge.shape[2:]), dtype=edge.dtype, name=edge.name)
            for edge in self.plan.inputs
        ]
        self.tensors = dict(enumerate(map(self._data, inputs)))
        for stream in self.plan.streams[len(inputs) :]:
            self.tensors[stream.number] = self._make(stream)
        number, shift = self.plan.output
        late = 0 if self.per_layer else self.plan.window - 1
        outputs = self._aligned(number, shift, late)
        given: Any = inputs[0]
        if len(inputs) > 1:
            given = keras.tree.pack_sequence_as(self.plan.graph.network.input, inputs)
        return keras.Model(given, outputs, name=f"{self.plan.graph.name}_in_practice")

    # Where things are.

    def _start(self, stream: Stream) -> int:
        """The first step at which all that a stream reads is there."""
        if self.per_layer:
            return 0
        reads = [read for read in stream.reads if read[0] != ZERO]
        return max((self.starts[source] + shift for source, shift in reads), default=0)

    def _offset(self, reader: int, source: int, shift: int) -> int:
        return self.starts[reader] - shift - self.starts[source]

    def _sources(self, stream: Stream) -> list[int]:
        return list(dict.fromkeys(source for source, _ in stream.reads if source != ZERO))

    def _layout(self, stream: Stream, op: WeightedSum | Pool) -> Layout:
        sources = self._sources(stream)
        number = stream.number
        taps = []
        for tap, (source, shift) in enumerate(stream.reads):
            row, width = (op.rows[tap], op.widths[tap]) if isinstance(op, WeightedSum) else (0, 1)
            offset = self._offset(number, source, shift)
            taps.append(TapRange(sources.index(source), offset, 1, 1, row, width, width))
        shrinks = [self.starts[number] - self.starts[source] for source in sources]
        if isinstance(op, Pool):
            taps.sort()
        order = op.order if isinstance(op, WeightedSum) else None
        return Layout(tuple(shrinks), tuple(_runs(taps)), order)

    # Making tensors.

    def _data(self, x: Tensor) -> Tensor:
        if self.strictly_causal:
            x = CausalShift(name=self.reuse.unique("strictly_causal"))(x)
        front = self.plan.window - 1
        if front and self.padding == "causal" and not self.per_layer:
            x = ops.pad(x, ((0, 0), (front, 0), *[(0, 0)] * (len(x.shape) - 2)))
        return x

    def value(self, number: int) -> Tensor:
        """A stream, `(batch, time, channels)`."""
        tensor = self.tensors[number]
        if len(tensor.shape) == 2:  # data without a channel axis
            if (number,) not in self.views:
                self.views[number,] = ops.expand_dims(tensor, -1)
            return self.views[number,]
        return tensor

    def _aligned(self, number: int, shift: int, start: int) -> Tensor:
        """A stream, `shift` steps later, from the step `start` on."""
        key = (number, shift, start)
        if key not in self.views:
            self.views[key] = self._moved(number, shift, start)
        return self.views[key]

    def _moved(self, number: int, shift: int, start: int) -> Tensor:
        value = self.value(number)
        if self.per_layer:
            if not shift:
                return value
            return CausalShift(steps=shift, name=self.reuse.unique("later"))(value)
        front = start - shift - self.starts[number]
        return value[:, front : -shift or None] if front or shift else value

    def _make(self, stream: Stream) -> Tensor:
        op = stream.op
        if isinstance(op, WeightedSum):
            return self._weighted_sum(stream, op)
        if isinstance(op, Pool):
            return self._pool(stream, op)
        if isinstance(op, Join):
            return self._join(stream, op)
        if isinstance(op, Lookup):
            return self._lookup(stream, op)
        if isinstance(op, Call):
            return self._call(stream, op)
        if isinstance(op, WholeWindow):
            return self._whole_window(stream, op)
        raise TypeError(f"stream {stream.number} has no operation")

    def _uses(self) -> dict[Any, list[int]]:
        """The streams of each layer with weights that are met by taps."""
        uses: dict[Any, list[int]] = {}
        for stream in self.plan.streams:
            if isinstance(stream.op, WeightedSum):
                uses.setdefault(stream.op.layer, []).append(stream.number)
        return uses

    def _weighted_sum(self, stream: Stream, op: WeightedSum) -> Tensor:
        inputs = [self.value(source) for source in self._sources(stream)]
        numbers = self.uses[op.layer]
        layouts = [self.layouts[number] for number in numbers]
        plain = all(as_it_is(op.layer, layout) for layout in layouts)
        if plain and self.reuse.owns_its_name(op.layer):
            return op.layer(inputs[0])
        if op.layer not in self.layers:
            self.layers[op.layer] = StreamLinear(
                op.layer,
                layouts,
                op.node.inputs[0].shape,
                name=self.reuse.name_for(op.layer),
                dtype=op.layer.dtype_policy,
            )
        return self.layers[op.layer](_single(inputs), stream=numbers.index(stream.number))

    def _pool(self, stream: Stream, op: Pool) -> Tensor:
        inputs = [self.value(source) for source in self._sources(stream)]
        layout, name = self.layouts[stream.number], self.reuse.unique(op.node.name)
        return StreamPool(op.pooling, layout, name=name, dtype=op.dtype)(_single(inputs))

    def _join(self, stream: Stream, op: Join) -> Tensor:
        sources = self._sources(stream)
        pieces = []
        for (source, shift), (start, stop) in zip(stream.reads, op.pieces, strict=True):
            if source == ZERO:
                pieces.append(ChannelSlice(ZEROS, 0, start, stop))
            else:
                offset = self._offset(stream.number, source, shift)
                pieces.append(ChannelSlice(sources.index(source), offset, start, stop))
        inputs = [self.value(source) for source in sources]
        if not inputs:
            inputs = [ops.cast(self.value(0), op.dtype)]
        first = self.starts[stream.number]
        shrinks = [first - self.starts[source] for source in sources] or [0]
        name = self.reuse.unique("join")
        return StreamJoin(pieces, shrinks, name=name, dtype=inputs[0].dtype)(_single(inputs))

    def _lookup(self, stream: Stream, op: Lookup) -> Tensor:
        ((source, _),) = stream.reads
        tensor = self.tensors[source]
        if len(tensor.shape) == 3:
            tensor = tensor[..., op.channel]
        operation = self.reuse.operation(op.node.operation)
        if operation is None:
            raise ValueError(
                f"Two layers of window model '{self.plan.graph.name}' are called "
                f"'{op.node.name}', in models inside of it. Rename one of them."
            )
        return call(op.node, operation, [tensor])

    def _call(self, stream: Stream, op: Call) -> Tensor:
        start = self.starts[stream.number]
        inputs = [self._aligned(source, shift, start) for source, shift in stream.reads]
        layer = op.node.operation
        operation = None if needs_rank(op.node) else self.reuse.operation(layer)
        if operation is not None:
            result = call(op.node, operation, inputs)
        else:
            by_edge = dict(zip(op.node.inputs, inputs, strict=True))
            shapes = [(*[1] * (len(e.shape) - 2), x.shape[-1]) for e, x in by_edge.items()]
            result = self._per_step(op.node, list(by_edge.values()), shapes)
        if len(result.shape) != 3 or result.shape[-1] != stream.width:
            raise ValueError(
                f"Layer '{op.node.name}' of window model '{self.plan.graph.name}' gives "
                f"{tuple(result.shape)} for a series (batch, time, {inputs[0].shape[-1]}), not "
                f"(batch, time, {stream.width}). Let it count axes from the end: axis=-1."
            )
        return result

    def _whole_window(self, stream: Stream, op: WholeWindow) -> Tensor:
        start = self.starts[stream.number]
        inputs = [self._aligned(source, shift, start) for source, shift in stream.reads]
        edges = dict.fromkeys(op.node.inputs)
        shapes = [tuple(int(size or 0) for size in edge.shape[1:]) for edge in edges]
        return self._per_step(op.node, inputs, shapes)

    def _per_step(self, node: Node, inputs: list[Tensor], shapes: list[tuple[int, ...]]) -> Tensor:
        """The operation on tensors of its own rank, one for each step."""
        key = (identity_key(node), *shapes)
        if key not in self.layers:
            layer, name = node.operation, node.name
            again = any(isinstance(other, tuple) and other[0] is layer for other in self.layers)
            if identity_key(node) is layer and len(inputs) == 1 and not again:
                name = self.reuse.name_for(layer)
            else:
                name = self.reuse.unique(name)
            if identity_key(node) is not layer or len(inputs) > 1:
                layer = self._model_of(node, shapes)
            self.layers[key] = PerStep(layer, shapes, name=name, dtype=node.outputs[0].dtype)
        return self.layers[key](_single(inputs))

    def _model_of(self, node: Node, shapes: list[tuple[int, ...]]) -> keras.Model:
        """A model of one call, with all that it was given beside tensors."""
        edges = dict.fromkeys(node.inputs)
        by_edge = {
            edge: keras.Input(shape, dtype=edge.dtype)
            for edge, shape in zip(edges, shapes, strict=True)
        }
        operation = node.operation
        if not isinstance(operation, keras.layers.Layer):
            operation = operation_like(operation)
        made = call(node, operation, [by_edge[edge] for edge in node.inputs])
        return keras.Model(_single(list(by_edge.values())), made, name=f"{node.name}_of_a_step")


def needs_rank(node: Node) -> bool:
    """Whether an operation insists on tensors of the rank it was made for, which streams lack."""
    operation, rank = node.operation, len(node.inputs[0].shape)
    if type(operation) is L.Normalization:  # it has statistics of that rank
        return True
    if rank == 3:
        return False
    if not isinstance(operation, keras.layers.Layer):
        return type(operation) not in ELEMENTWISE_CLASSES or bool(arrays(node))
    return type(operation) not in _ANY_RANK


_ANY_RANK = frozenset(
    (
        L.Activation, L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout,
        L.AlphaDropout, L.Identity, L.Rescaling, L.Add, L.Subtract, L.Multiply, L.Average,
        L.Maximum, L.Minimum,
    )
)  # fmt: skip


def as_it_is(layer: Any, layout: Layout) -> bool:
    """Whether calling the original layer on the whole stream does what the layout requires."""
    if isinstance(layer, (L.Conv1DTranspose, L.SpectralNormalization)):
        return False
    if len(layout.runs) != 1 or layout.order is not None or layout.strides not in (None, (1,)):
        return False
    run = layout.runs[0]
    if run.row != 0 or run.offset != 0:
        return False
    if isinstance(layer, L.Dense):
        return run.taps == 1 and run.width == layer.kernel.shape[0]
    if layer.strides[0] != 1 or run.taps != layer.kernel_size[0]:
        return False
    if run.taps == 1:
        return layout.shrinks == (0,)
    valid = layer.padding == "valid" and run.step == layer.dilation_rate[0]
    return valid and layout.shrinks == (run.step * (run.taps - 1),)


def _runs(taps: list[TapRange]) -> list[TapRange]:
    """Taps that follow each other evenly as runs."""
    runs: list[TapRange] = []
    for tap in taps:
        last = runs[-1] if runs else None
        if last is not None and last.input == tap.input and last.width == tap.width:
            step, rows = tap.offset - last.offsets[-1], tap.row - last.row
            if last.taps == 1 and step > 0 and rows >= 0:
                runs[-1] = last._replace(step=step, taps=2, row_step=rows)
                continue
            if step == last.step and rows == last.row_step * last.taps:
                runs[-1] = last._replace(taps=last.taps + 1)
                continue
        runs.append(tap)
    return runs


def _single(inputs: list[Tensor]) -> Any:
    return inputs[0] if len(inputs) == 1 else inputs
