"""A network for forecasts of series that may be short: linear in the past, and what a net adds.

A linear autoregression on the last steps, on the same steps of earlier seasons, and on what level
and scale say, all relative to the series' own level (`kerasar.distributions.Relative`); beside it a
small network of the same inputs, whose last layer begins at zero. So it begins as the linear model,
of which `kerasar.forecasting.choose` finds the weights at once, and training finds out
what there is beyond it.
"""

from collections.abc import Sequence

import keras
from keras import layers as L
from keras import ops

from kerasar.checks import check_sizes
from kerasar.density_models.autoregressive import AutoregressiveModel
from kerasar.distributions.likelihoods import GaussianMixture, Likelihood, Relative
from kerasar.layers import CausalShift, Standardize, StrictlyCausalConv1D
from kerasar.layers.level_and_scale import level_lag
from kerasar.models.parts.builder import builder
from kerasar.models.parts.conditions import GateCondition
from kerasar.models.parts.relative_series import RelativeSeries

#: Features of a series that is known as such.
_EMBEDDED = 8


@builder
def Forecaster(
    length: int | None,
    *,
    likelihood: Likelihood | None = None,
    lags: int = 12,
    seasons: Sequence[int] = (),
    cycles: int = 2,
    units: int = 32,
    dropout: float = 0.0,
    covariates: Sequence[tuple[float, float]] = (),
    num_series: int | None = None,
) -> AutoregressiveModel:
    """A forecaster of series: a linear autoregression and a small network, ready to compile.

    Args:
        length: int. Steps of a sequence. None leaves it open; `sample` then takes `length=`.
        likelihood: a `Relative` one, of a step relative to its level and scale. Its `event_size`
            is the number of variables of a step, None for scalars. None: three Gaussians, relative
            to the last value.
        lags: int. How many of the last steps are seen.
        seasons: steps of each season, whose earlier values are seen.
        cycles: int. How many earlier seasons of each are seen: the same step of it, and those
            before and after.
        units: int. Units of each of the two hidden layers.
        dropout: of the hidden layers, in training.
        covariates: mean and scale of each value that is known of a step before it comes, such as a
            holiday or a price. The model then takes the condition `covariates`, `(batch, time,
            covariates)`: of the very steps of the data.
        num_series: int. Of how many series of a panel the model knows which is which: it then takes
            the condition `series`, an integer `(batch,)` from 1 on, and 0 for any other series.
            None: it knows a series by its values alone.

    Returns:
        An `AutoregressiveModel` of sequences. Its network outputs `(batch, time, parameters)`.

    Raises:
        ValueError, TypeError: for arguments that are unknown or do not fit together.

    The network is our own: an autoregression in the steps and seasons before, as the classical
    methods have it (Hyndman & Athanasopoulos. Forecasting: Principles and Practice, chapters 8 and
    9. https://otexts.com/fpp3/), and a perceptron that is added to it.

    A step differs from its level as its covariates differ from those of the level, so that both are
    seen.

    Example:
        >>> import kerasar
        >>> inside = kerasar.distributions.GaussianMixture(2)
        >>> likelihood = kerasar.distributions.Relative(inside, "seasonal", season=12)
        >>> model = kerasar.models.Forecaster(None, likelihood=likelihood, seasons=[12])
        >>> model.sample(3, length=24).shape
        (3, 24)
    """
    check_sizes(length=length, lags=lags, cycles=cycles, units=units)
    for season in seasons:
        check_sizes(seasons=season)
    likelihood = Relative(GaussianMixture(3)) if likelihood is None else likelihood
    if not isinstance(likelihood, Relative):
        raise ValueError(
            "Forecaster is for real values, relative to their own level, but got the likelihood "
            f"{type(likelihood).__name__}. Pass a kerasar.distributions.Relative, or take another "
            "model for levels."
        )
    variables = likelihood.event_size
    shape = (length,) if variables is None else (length, variables)
    x = keras.Input(shape, name="x")
    relative = RelativeSeries(x, likelihood)

    known = [relative.features]  # of each step, from values before it
    steps = {k * s + d for s in seasons for k in range(1, cycles + 1) for d in (-1, 0, 1)}
    for lag in sorted(lag for lag in steps if lag > lags):
        known.append(CausalShift(steps=lag, name=f"lag{lag}")(relative.values))
    given = None
    if covariates:
        given = keras.Input((length, len(covariates)), name="covariates")
        means, scales = zip(*covariates, strict=True)
        own = Standardize(means, scales, name="standardized")(given)
        known.append(own)
        back = level_lag(likelihood.normalization, likelihood.season)
        if back is not None:
            before = CausalShift(steps=back, name="covariates_of_level")(own)
            known.append(L.Subtract(name="relative_covariates")([own, before]))
    who = None if num_series is None else _embedded(num_series)
    known = known[0] if len(known) == 1 else L.Concatenate(name="known")(known)

    inside = likelihood.likelihood.num_parameters()
    linear = L.Add(name="linear")(
        [
            StrictlyCausalConv1D(
                inside, lags, kernel_initializer="zeros", use_bias=False, name="linear_recent"
            )(relative.values),
            L.Dense(inside, kernel_initializer="zeros", name="linear_known")(known),
        ]
    )
    h = L.Add(name="first")(
        [
            StrictlyCausalConv1D(units, lags, name="recent")(relative.values),
            L.Dense(units, use_bias=False, name="earlier")(known),
        ]
    )
    if who is not None:
        h = L.Add(name="first_of_series")([h, L.Dense(units, name="series_first")(who.features)])
    h = L.Activation("relu", name="first_relu")(h)
    if dropout:
        h = L.Dropout(dropout, name="dropout")(h)
    h = L.Dense(units, activation="relu", name="second")(h)
    beyond = L.Dense(inside, use_bias=False, kernel_initializer="zeros", name="beyond")(h)
    parts = [linear, beyond]
    if who is not None:
        parts.append(
            L.Dense(inside, kernel_initializer="zeros", name="series_linear")(who.features)
        )
    parameters = relative.head(L.Add(name="parameters")(parts))
    inputs = [x, *([] if given is None else [given]), *([] if who is None else [who.input])]
    network = keras.Model(inputs[0] if len(inputs) == 1 else inputs, parameters, name="forecaster")
    return AutoregressiveModel(network, likelihood, name="forecaster")


def _embedded(num_series: int) -> GateCondition:
    """The input `series`, and features of the series for all steps, `(batch, 1, features)`."""
    check_sizes(num_series=num_series)
    series = keras.Input((), dtype="int32", name="series")
    features = L.Embedding(num_series + 1, _EMBEDDED, name="series_embedding")(series)
    return GateCondition(series, ops.expand_dims(features, 1))
