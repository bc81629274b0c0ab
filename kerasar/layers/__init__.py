"""Keras layers from which networks with an exact likelihood are built."""

if __name__ != "kerasar.layers":
    raise ImportError(
        "This folder is the package kerasar.layers; the 'layers' at the top of the repository is "
        "only a door to it. Write 'import kerasar.layers' instead."
    )

from kerasar.layers.causal_shift import CausalShift as CausalShift
from kerasar.layers.diagonal_bilstm import DiagonalBiLSTM as DiagonalBiLSTM
from kerasar.layers.dilated_pooling1d import DilatedPooling1D as DilatedPooling1D
from kerasar.layers.horizontal_conv2d import HorizontalConv2D as HorizontalConv2D
from kerasar.layers.mask_and_values import mask_and_values as mask_and_values
from kerasar.layers.masked_conv2d import MaskedConv2D as MaskedConv2D
from kerasar.layers.nade import NADE as NADE
from kerasar.layers.positional_encoding2d import PositionalEncoding2D as PositionalEncoding2D
from kerasar.layers.row_lstm import RowLSTM as RowLSTM
from kerasar.layers.scale_levels import ScaleLevels as ScaleLevels
from kerasar.layers.split_channels import SplitChannels as SplitChannels
from kerasar.layers.standardize import Standardize as Standardize
from kerasar.layers.strictly_causal_conv1d import StrictlyCausalConv1D as StrictlyCausalConv1D
from kerasar.layers.vertical_conv2d import VerticalConv2D as VerticalConv2D
