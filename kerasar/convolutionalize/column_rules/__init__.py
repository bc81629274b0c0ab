"""What each kind of layer does to the columns of a window model: one rule for each kind."""

import keras

from kerasar.causality.graph import Node
from kerasar.causality.rules.pointwise import ELEMENTWISE
from kerasar.convolutionalize.column_rules.columns import (
    activation,
    alike,
    declared,
    each_column,
    function,
    lookup,
)
from kerasar.convolutionalize.column_rules.common import Entries, Rule
from kerasar.convolutionalize.column_rules.common import Refused as Refused
from kerasar.convolutionalize.column_rules.moving import moved
from kerasar.convolutionalize.column_rules.time_distributed import time_distributed
from kerasar.convolutionalize.column_rules.vectors import dense
from kerasar.convolutionalize.column_rules.whole_window import (
    along_axis,
    elementwise,
    merge,
    normalization,
    rescaling,
)
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
    operation = node.operation
    kind = type(operation)
    if kind in _REASONS:
        raise Refused(_REASONS[kind])
    if kind not in _RULES or "call" in vars(operation):
        return declared(node, entries, streams)
    form = getattr(operation, "data_format", None) or keras.config.image_data_format()
    if form != "channels_last":
        raise Refused("it has data_format='channels_first'; channels come last here")
    return _RULES[kind](node, entries, streams)


def _spectral_normalization(node: Node, entries: Entries, streams: Streams) -> Entries:
    """In training it rescales the kernel of its layer; else it is its layer."""
    inner = node.operation.layer
    rule = _RULES.get(type(inner))
    if rule not in (dense, convolution) or not hasattr(inner, "kernel") or "call" in vars(inner):
        raise Refused(f"it wraps a {type(inner).__name__}; Dense and Conv1D can be wrapped")
    if getattr(inner, "data_format", "channels_last") != "channels_last":
        raise Refused("its layer has data_format='channels_first'; channels come last here")
    return rule(node, entries, streams)


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
                "ExpandDims", "Squeeze", "Repeat", "Tile", "Roll", "Moveaxis", "Swapaxes", "Take",
            ),
        ),
        moved,
    ),
    **dict.fromkeys(
        (L.Conv1D, L.DepthwiseConv1D, L.SeparableConv1D, L.Conv1DTranspose), convolution
    ),
    L.SpectralNormalization: _spectral_normalization,
    L.TimeDistributed: time_distributed,
    **dict.fromkeys((L.MaxPooling1D, L.AveragePooling1D), pooling),
    **dict.fromkeys(operation_classes("MaxPool", "AveragePool"), pooling),
    **dict.fromkeys((L.GlobalMaxPooling1D, L.GlobalAveragePooling1D), global_pooling),
    **dict.fromkeys(operation_classes(
            "Mean", "Sum", "Max", "Min", "Std", "Var", "Prod", "Logsumexp", "Norm", "All", "Any",
            "Median", "Argmax", "Argmin", "CountNonzero",
        ), reduction),
    **dict.fromkeys((L.Softmax, *operation_classes(
            "Softmax", "LogSoftmax", "Cumsum", "Cumprod", "Sort", "Argsort", "Normalize", "Diff",
        )), along_axis),
    L.Normalization: normalization,
    L.Dense: dense,
    L.Activation: activation,
    L.Rescaling: rescaling,
    L.Embedding: lookup,
    L.Lambda: function,
    **dict.fromkeys(operation_classes(*ELEMENTWISE), elementwise),
    **dict.fromkeys(
        (
            L.ReLU, L.LeakyReLU, L.ELU, L.Dropout, L.GaussianNoise, L.GaussianDropout,
            L.AlphaDropout, L.SpatialDropout1D, L.Identity, ScaleLevels,
        ),
        alike,
    ),
    **dict.fromkeys(
        (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum), merge
    ),
    **dict.fromkeys(operation_classes("OneHot"), lookup),
    **dict.fromkeys(operation_classes("Glu"), each_column),
}  # fmt: skip
