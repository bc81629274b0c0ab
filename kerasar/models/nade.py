"""NADE, the neural autoregressive distribution estimator for binary vectors."""

from typing import Any

import keras
from keras import ops

from kerasar.checks import check_count
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.density_models.ordered import OrderedModel
from kerasar.distributions.likelihoods import Bernoulli
from kerasar.layers import NADE as NADELayer
from kerasar.models.parts.builder import builder


@builder
def NADE(dim: int, *, hidden_units: int = 500, order: Any = None) -> AutoregressiveModel:
    """The neural autoregressive distribution estimator, ready to compile and fit.

    A vector is a sequence of `dim` zeros and ones, drawn one after the other. Images are
    flattened: `images.reshape(len(images), -1)`.

    Args:
        dim: int. Number of variables.
        hidden_units: int. Number of hidden units.
        order: a permutation of 0 … dim - 1, the order in which the variables are drawn; None
            draws them in the order of the vector.

    Returns:
        An `AutoregressiveModel` with a Bernoulli likelihood; with an order, an `OrderedModel`,
        whose data and samples stay in the order of the vectors.

    Raises:
        ValueError, TypeError: if a size is not a positive integer, or `order` is not a
            permutation.

    Example:
        >>> import kerasar
        >>> model = kerasar.models.NADE(dim=16, hidden_units=8)
        >>> model.sample(3, seed=0).shape
        (3, 16)

    References:
        Larochelle & Murray. The Neural Autoregressive Distribution Estimator. AISTATS 2011.
        https://proceedings.mlr.press/v15/larochelle11a.html
    """
    check_count(dim, "dim")
    check_count(hidden_units, "hidden_units")
    x = keras.Input((dim,), dtype="int32", name="x")
    logits = NADELayer(hidden_units, name="nade")(ops.expand_dims(x, -1))
    network = keras.Model(x, logits, name="nade")
    if order is None:
        return AutoregressiveModel(network, Bernoulli(), name="nade")
    return OrderedModel(network, Bernoulli(), order=order, name="nade")
