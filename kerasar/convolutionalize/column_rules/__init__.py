"""What each kind of layer does to the columns of a window model: one rule for each kind."""

import keras

from kerasar.causality.graph import Node
from kerasar.causality.rules.pointwise import ELEMENTWISE
from kerasar.convolutionalize.column_rules.columns import (
    activation,
    declared,
    each_column,
    elementwise,
    function,
    lookup,
    rescaling,
)
from kerasar.convolutionalize.column_rules.common import Entries, Rule
from kerasar.convolutionalize.column_rules.common import Refused as Refused
from kerasar.convolutionalize.column_rules.moving import moved
from kerasar.convolutionalize.column_rules.vectors import dense
from kerasar.convolutionalize.column_rules.windows import (
    convolution,
    global_pooling,
    pooling,
    reduction,
)
from kerasar.convolutionalize.streams import Streams
from kerasar.keras_internals import operation_classes
from kerasar.layers.causal_shift import CausalShift
from kerasar.layers.scale_levels import ScaleLevels

L = keras.layers


def apply(node: Node, entries: Entries, streams: Streams) -> Entries:
    """The elements of an operation's outputs, given those of its inputs.

    Raises:
        Refused: with the reason, if the operation cannot be expressed.
    """
    kind = type(node.operation)
    if kind in _REASONS:
        raise Refused(_REASONS[kind])
    if getattr(node.operation, "data_format", "channels_last") != "channels_last":
        raise Refused("it has data_format='channels_first'; channels come last here")
    if kind in _RULES:
        return _RULES[kind](node, entries, streams)
    return declared(node, entries, streams)


def is_move(node: Node) -> bool:
    """Whether an operation only renames, repeats or drops columns."""
    return _RULES.get(type(node.operation)) is moved


_RECURRENT = (
    "it is recurrent over the window: its state starts anew with every window, so each window "
    "needs a pass of its own"
)
_ATTENDS = (
    "it attends over the window: what a column becomes depends on all columns of that very window"
)
_REASONS: dict[type, str] = {
    **dict.fromkeys((L.RNN, L.LSTM, L.GRU, L.SimpleRNN, L.Bidirectional, L.ConvLSTM1D), _RECURRENT),
    **dict.fromkeys(
        (L.Attention, L.AdditiveAttention, L.MultiHeadAttention, L.GroupQueryAttention), _ATTENDS
    ),
    L.Masking: "it passes a mask on, which streams do not have",
    L.TimeDistributed: "it wraps a layer; Dense and its like treat columns alike without it",
}

_RULES: dict[type, Rule] = {
    **dict.fromkeys(
        (
            L.Flatten,
            L.Reshape,
            L.Permute,
            L.RepeatVector,
            L.ZeroPadding1D,
            L.Cropping1D,
            L.UpSampling1D,
            L.Concatenate,
            CausalShift,
            *operation_classes(
                "Concatenate", "Stack", "Split", "GetItem", "Pad", "Reshape", "Transpose", "Flip",
                "ExpandDims", "Squeeze", "Repeat", "Tile", "Roll", "Moveaxis", "Swapaxes",
                            ),
        ),
        moved,
    ),
    **dict.fromkeys((L.Conv1D, L.DepthwiseConv1D, L.SeparableConv1D), convolution),
    **dict.fromkeys((L.MaxPooling1D, L.AveragePooling1D), pooling),
    **dict.fromkeys((L.GlobalMaxPooling1D, L.GlobalAveragePooling1D), global_pooling),
    **dict.fromkeys(operation_classes("Mean", "Sum", "Max", "Min"), reduction),
    L.Dense: dense,
    L.Activation: activation,
    L.Rescaling: rescaling,
    L.Embedding: lookup,
    L.Lambda: function,
    **dict.fromkeys(operation_classes(*ELEMENTWISE), elementwise),
    **dict.fromkeys(
        (
            L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout,
            L.AlphaDropout, L.SpatialDropout1D, L.Identity, L.Add, L.Subtract, L.Multiply,
            L.Average, L.Maximum, L.Minimum, ScaleLevels,
        ),
        elementwise,
    ),
    **dict.fromkeys(operation_classes("OneHot"), lookup),
    **dict.fromkeys(operation_classes("Glu"), each_column),
}  # fmt: skip
