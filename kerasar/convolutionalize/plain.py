"""The network in practice from plain layers, with weights of its own.

What a paper draws: `Conv1D` and `DilatedPooling1D` with a dilation rate. It exists where each layer
is one stream that reads one other at evenly spaced steps; borders of `padding="same"` are more
than that.
"""

from typing import Any

import keras

from kerasar.causality.graph import Node
from kerasar.convolutionalize.layer_reuse import call, operation_like
from kerasar.convolutionalize.layers.stream_layout import Layout, TapRange
from kerasar.convolutionalize.network import NetworkBuilder
from kerasar.convolutionalize.streams import (
    Call,
    Join,
    Lookup,
    Pool,
    Stream,
    WeightedSum,
    WholeWindow,
)
from kerasar.typing import Config, Tensor

L = keras.layers


class PlainNetworkBuilder(NetworkBuilder):
    """As `NetworkBuilder`, from copies of the layers.

    Raises:
        ValueError: naming the first layer that has no plain form.
    """

    def _weighted_sum(self, stream: Stream, op: WeightedSum) -> Tensor:
        if isinstance(op.layer, L.SpectralNormalization):
            raise self._refusal(op.node, "in training it rescales the kernel of a layer it wraps")
        layer, run = op.layer, self._run(stream, op.node)
        kernel = layer.get_weights()[0]
        config: Config = {}
        if run.taps > 1 or not isinstance(layer, L.Dense):
            config = {"kernel_size": run.taps, "dilation_rate": run.step, "strides": 1}
        depthwise = isinstance(layer, (L.DepthwiseConv1D, L.SeparableConv1D))
        rows = kernel.shape[0] if depthwise else kernel.size // kernel.shape[-1]
        in_order = op.order is None and run.row_step == run.width
        if not in_order or run.taps * run.width != rows:
            raise self._refusal(op.node, "some of its taps meet padding, or come in another order")
        inputs = self.value(stream.reads[0][0])
        if config:
            config["padding"] = "valid"
            if self.per_layer and run.taps > 1:
                inputs = self._padded(inputs, run) if depthwise else inputs
                config["padding"] = "valid" if depthwise else "causal"
        copy = self._copy(layer, config, (run.step, run.taps))
        outputs = copy(inputs)
        weights = layer.get_weights()
        weights[0] = kernel.reshape(copy.get_weights()[0].shape)
        copy.set_weights(weights)
        return outputs

    def _copy(self, layer: Any, changes: Config, form: Any) -> Any:
        """A layer of that form, one for all uses."""
        if (layer, form) in self.layers:
            return self.layers[layer, form]
        if any(other is layer for other, _ in self.layers):
            raise ValueError(
                f"Layer '{layer.name}' of window model '{self.plan.graph.name}' is used twice, and "
                "in practice with two dilations, which one plain layer cannot have. Leave "
                "as_plain_keras out: the network then shares the weights."
            )
        name = self.reuse.unique(layer.name)
        config = {**layer.get_config(), "name": name}
        kind = type(layer)
        if isinstance(layer, L.Dense) and changes:
            kind = L.Conv1D
            config = {key: config[key] for key in _SHARED} | {
                "filters": layer.units,
                "name": name,
                "data_format": "channels_last",
            }
        copy = kind.from_config({**config, **changes})
        self.layers[layer, form] = copy
        return copy

    def _padded(self, inputs: Tensor, run: TapRange) -> Tensor:
        span = run.step * (run.taps - 1)
        return L.ZeroPadding1D(
            (span, 0), data_format="channels_last", name=self.reuse.unique("front")
        )(inputs)

    def _pool(self, stream: Stream, op: Pool) -> Tensor:
        from kerasar.layers.dilated_pooling1d import DilatedPooling1D

        run = self._run(stream, op.node)
        kind = {"max": "max", "mean": "avg"}.get(op.pooling)
        if kind is None:
            raise self._refusal(op.node, f"there is no plain layer for the {op.pooling}")
        layer = DilatedPooling1D(
            kind,
            pool_size=run.taps,
            padding="causal" if self.per_layer else "valid",
            dilation_rate=run.step,
            name=self.reuse.unique(op.node.name),
            dtype=op.dtype,
        )
        return layer(self.value(stream.reads[0][0]))

    def _join(self, stream: Stream, op: Join) -> Tensor:
        start = self.starts[stream.number]
        parts = []
        for (source, shift), (first, last) in zip(stream.reads, op.pieces, strict=True):
            if source < 0:
                raise ValueError(
                    f"Window model '{self.plan.graph.name}' uses padding as values of their own, "
                    "which plain layers cannot. Leave as_plain_keras out."
                )
            part = self._aligned(source, shift, start)
            whole = (first, last) == (0, part.shape[-1])
            parts.append(part if whole else part[..., first:last])
        name = self.reuse.unique("join")
        return parts[0] if len(parts) == 1 else L.Concatenate(name=name)(parts)

    def _lookup(self, stream: Stream, op: Lookup) -> Tensor:
        ((source, _),) = stream.reads
        tensor = self.tensors[source]
        tensor = tensor if len(tensor.shape) == 2 else tensor[..., op.channel]
        return self._called(op.node, [tensor])

    def _call(self, stream: Stream, op: Call) -> Tensor:
        start = self.starts[stream.number]
        return self._called(
            op.node, [self._aligned(source, shift, start) for source, shift in stream.reads]
        )

    def _whole_window(self, stream: Stream, op: WholeWindow) -> Tensor:
        raise self._refusal(op.node, "it needs the whole window, for each step anew")

    def _called(self, node: Node, inputs: list[Tensor]) -> Tensor:
        operation = node.operation
        if len(node.inputs[0].shape) != 3 and counts_from_the_front(operation):
            reason = f"it counts axes from the front, axis={operation.axis}; give axis=-1"
            raise self._refusal(node, reason)
        if not isinstance(operation, keras.layers.Layer):
            return call(node, operation_like(operation), inputs)
        copy = self._copy(operation, {}, "as it is")
        outputs = call(node, copy, inputs)
        if [w.shape for w in copy.weights] != [w.shape for w in operation.weights]:
            raise self._refusal(node, "its weights have other shapes on a series")
        copy.set_weights(operation.get_weights())
        if isinstance(copy, L.Normalization):
            copy.finalize_state()
        return outputs

    def _run(self, stream: Stream, node: Node) -> TapRange:
        layout: Layout = self.layouts[stream.number]
        if len(layout.runs) != 1 or len(layout.shrinks) != 1:
            raise self._refusal(node, "it reads several streams, or one at uneven steps")
        return layout.runs[0]

    def _refusal(self, node: Node, reason: str) -> ValueError:
        return ValueError(
            f"Layer '{node.name}' ({type(node.operation).__name__}) of window model "
            f"'{self.plan.graph.name}' has no plain form: {reason}. Leave as_plain_keras out."
        )


def counts_from_the_front(operation: Any) -> bool:
    """Whether an operation has an axis that is another one in a series than in a vector."""
    axis = getattr(operation, "axis", None)
    axes = axis if isinstance(axis, (list, tuple)) else [] if axis is None else [axis]
    return any(int(one) >= 0 for one in axes)


#: What `Dense` and `Conv1D` have in common.
_SHARED = (
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "dtype",
    "trainable",
)
