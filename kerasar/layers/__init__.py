"""Keras layers from which networks with an exact likelihood are built."""

if __name__ != "kerasar.layers":
    raise ImportError(
        "This folder is the package kerasar.layers; the 'layers' at the top of the repository is "
        "only a door to it. Write 'import kerasar.layers' instead."
    )

from kerasar.layers.bijections.act_norm import ActNorm as ActNorm
from kerasar.layers.bijections.additive_coupling import AdditiveCoupling as AdditiveCoupling
from kerasar.layers.bijections.affine_coupling import AffineCoupling as AffineCoupling
from kerasar.layers.bijections.base import Bijection as Bijection
from kerasar.layers.bijections.batch_norm_bijection import BatchNormBijection as BatchNormBijection
from kerasar.layers.bijections.chain import Chain as Chain
from kerasar.layers.bijections.coupling import Coupling as Coupling
from kerasar.layers.bijections.factor_out import FactorOut as FactorOut
from kerasar.layers.bijections.inverse import Inverse as Inverse
from kerasar.layers.bijections.invertible1x1_conv import Invertible1x1Conv as Invertible1x1Conv
from kerasar.layers.bijections.logit import Logit as Logit
from kerasar.layers.bijections.masked_autoregressive import (
    MaskedAutoregressive as MaskedAutoregressive,
)
from kerasar.layers.bijections.permute import Permute as Permute
from kerasar.layers.bijections.piecewise_linear import PiecewiseLinear as PiecewiseLinear
from kerasar.layers.bijections.rational_quadratic_spline_coupling import (
    RationalQuadraticSplineCoupling as RationalQuadraticSplineCoupling,
)
from kerasar.layers.bijections.squeeze2d import Squeeze2D as Squeeze2D
from kerasar.layers.bijections.standardize_bijection import (
    StandardizeBijection as StandardizeBijection,
)
from kerasar.layers.causal_self_attention import CausalSelfAttention as CausalSelfAttention
from kerasar.layers.causal_shift import CausalShift as CausalShift
from kerasar.layers.diagonal_bilstm import DiagonalBiLSTM as DiagonalBiLSTM
from kerasar.layers.dilated_pooling1d import DilatedPooling1D as DilatedPooling1D
from kerasar.layers.embed_levels import EmbedLevels as EmbedLevels
from kerasar.layers.horizontal_conv2d import HorizontalConv2D as HorizontalConv2D
from kerasar.layers.last_season import LastSeason as LastSeason
from kerasar.layers.level_and_own_scale import LevelAndOwnScale as LevelAndOwnScale
from kerasar.layers.level_and_scale import LevelAndScale as LevelAndScale
from kerasar.layers.level_counts import LevelCountsAbove as LevelCountsAbove
from kerasar.layers.level_counts import LevelCountsLeft as LevelCountsLeft
from kerasar.layers.linear_recurrence import LinearRecurrence as LinearRecurrence
from kerasar.layers.mask_and_values import mask_and_values as mask_and_values
from kerasar.layers.masked_conv2d import MaskedConv2D as MaskedConv2D
from kerasar.layers.min_gru import HorizontalMinGRU as HorizontalMinGRU
from kerasar.layers.min_gru import VerticalMinGRU as VerticalMinGRU
from kerasar.layers.nade import NADE as NADE
from kerasar.layers.observed_values import ObservedValues as ObservedValues
from kerasar.layers.positional_encoding2d import PositionalEncoding2D as PositionalEncoding2D
from kerasar.layers.protocol import declares_what_it_sees as declares_what_it_sees
from kerasar.layers.relative_values import FrameFeatures as FrameFeatures
from kerasar.layers.relative_values import RelativeValues as RelativeValues
from kerasar.layers.repeated_levels import RepeatedLevels as RepeatedLevels
from kerasar.layers.residual_conv_net import ResidualConvNet as ResidualConvNet
from kerasar.layers.row_lstm import RowLSTM as RowLSTM
from kerasar.layers.scale_levels import ScaleLevels as ScaleLevels
from kerasar.layers.seen_levels import SeenLevels as SeenLevels
from kerasar.layers.split_channels import SplitChannels as SplitChannels
from kerasar.layers.standardize import Standardize as Standardize
from kerasar.layers.strictly_causal_conv1d import StrictlyCausalConv1D as StrictlyCausalConv1D
from kerasar.layers.vertical_conv2d import VerticalConv2D as VerticalConv2D
