"""A network on whole sequences, its short convolutions as one matrix product each.

A causal convolution of kernel 2 is the product of [what was, what is] with a matrix. Compiled by
XLA, training steps of small networks are faster for it than with Keras' own `Conv1D`. Networks with
`keras.ops.associative_scan` are run in this form always, see `kerasar.causality.associative_scan`.
"""

import keras
import tensorflow as tf

from kerasar.causality.analysis import Analysis
from kerasar.causality.associative_scan import ASSOCIATIVE_SCANS
from kerasar.causality.graph import Node
from kerasar.layers.linear_taps import weighted_sum
from kerasar.layers.protocol import Taps
from kerasar.stepwise.axis_program import tap_matrix
from kerasar.typing import Tensor

#: Wider kernels are left to the convolution: their taps side by side would fill the memory.
_WIDEST = 3


class ShortConvForward:
    """Computes what `network(inputs, training=…)` does, from the same weights.

    Args:
        analysis: of a functional Keras model over sequences.
    """

    def __init__(self, analysis: Analysis) -> None:
        self.graph = analysis.graph
        #: The convolutions that become products; empty if this form is of no use.
        self.products: dict[Node, Taps] = {}
        #: Whether Keras cannot run the network in graphs of TensorFlow.
        self.has_scans = any(type(n.operation) in ASSOCIATIVE_SCANS for n in self.graph.nodes)
        self.inputs = [tensor.name for tensor in analysis.graph.network.inputs]
        for node, declared in analysis.declarations.items():
            layer = node.operation
            if isinstance(layer, keras.layers.Conv1D) and isinstance(declared, Taps):
                short = 1 < len(declared.offsets) <= _WIDEST
                if short and layer.padding == "causal" and layer.activity_regularizer is None:
                    self.products[node] = declared

    def __call__(self, inputs: list[Tensor], training: bool) -> Tensor:
        values = self.graph.inputs(dict(zip(self.inputs, inputs, strict=True)))
        for node in self.graph.nodes:
            if node in self.products:
                made: tuple[Tensor, ...] = (_product(values[node.inputs[0]], self.products[node]),)
            else:
                made = node.run(values, training)
            values.update(zip(node.outputs, made, strict=True))
        return values[self.graph.output]


def _product(x: Tensor, taps: Taps) -> Tensor:
    length = tf.shape(x)[1]
    shifted = [
        x if lag == 0 else tf.pad(x, [[0, 0], [lag, 0], [0, 0]])[:, :length]
        for lag in (-offset for (offset,) in taps.offsets)
    ]
    total = weighted_sum(shifted, tap_matrix(taps, [*range(len(shifted))]))
    total = tf.ensure_shape(total, (*x.shape[:2], total.shape[-1]))
    return total if taps.finish is None else taps.finish(total)
