"""What networks over sequences share: how data enter, and which parameters leave."""

import keras
from keras import ops

from kerasar.checks import check_count
from kerasar.distributions.likelihoods import Categorical, Likelihood, Relative
from kerasar.layers import ScaleLevels, Standardize
from kerasar.models.parts.relative_series import RelativeSeries
from kerasar.typing import Shape, Tensor

#: How integers may enter a network.
_ENCODINGS = ("scalar", "one_hot", "embedding")


class SequenceStemAndHead:
    """The two ends of a sequence network: input and encoding, and the parameters of each step.

    Args:
        builder: name of the model, for messages.
        length: steps of a sequence; None leaves it open.
        levels: number of values of discrete data, None for real numbers.
        likelihood: of a step; `Categorical()` if None.
        num_variables: variables of a step if the likelihood draws whole steps and does not
            determine how many; None for sequences `(batch, time)`.

    Raises:
        ValueError, TypeError: if these do not fit together.
    """

    def __init__(
        self,
        builder: str,
        length: int | None,
        levels: int | None,
        likelihood: Likelihood | None,
        num_variables: int | None = None,
    ) -> None:
        if length is not None:
            check_count(length, "length")
        if levels is not None:
            check_count(levels, "levels", least=2)
        if num_variables is not None:
            check_count(num_variables, "num_variables")
        likelihood = Categorical() if likelihood is None else likelihood
        num_variables = likelihood.event_size if num_variables is None else num_variables
        _check_likelihood(builder, likelihood, levels, num_variables)
        self.builder, self.levels, self.likelihood = builder, levels, likelihood
        self.num_variables = num_variables
        shape: Shape = (length,) if num_variables is None else (length, num_variables)
        #: The input of the network, `(batch, time)` or `(batch, time, num_variables)`.
        self.x = keras.Input(shape, dtype="float32" if levels is None else "int32", name="x")
        #: The data relative to their own level and scale, if the likelihood is so.
        self.relative = (
            RelativeSeries(self.x, likelihood) if isinstance(likelihood, Relative) else None
        )

    @property
    def has_single_integers(self) -> bool:
        """Whether a step is one integer, which can be embedded."""
        return self.levels is not None and self.num_variables is None

    def encode(self, input_encoding: str | None, width: int) -> Tensor:
        """The data as `(batch, time, channels)`, not shifted yet.

        Args:
            input_encoding: "scalar", "one_hot" or "embedding"; None takes "one_hot" where it can.
            width: channels of an embedding.

        Raises:
            ValueError: for another `input_encoding`, or one that does not fit the data.
        """
        if input_encoding is None:
            input_encoding = "one_hot" if self.has_single_integers else "scalar"
        if input_encoding not in _ENCODINGS:
            raise ValueError(
                f"{self.builder} takes input_encoding {', '.join(map(repr, _ENCODINGS))}, but got "
                f"input_encoding={input_encoding!r}."
            )
        if input_encoding != "scalar" and not self.has_single_integers:
            data = "real numbers" if self.levels is None else "several variables a step"
            raise ValueError(
                f"input_encoding={input_encoding!r} is for single integers, but {self.builder} is "
                f"for {data}. Pass input_encoding='scalar'."
            )
        if input_encoding == "embedding":
            return keras.layers.Embedding(self.levels, width, name="embedding")(self.x)
        if input_encoding == "one_hot":
            return ops.one_hot(self.x, self.levels)
        if self.relative is not None:
            return self.relative.encoded
        if self.levels is None:
            mean, scale = self.likelihood.mean, self.likelihood.scale
            h = Standardize(mean, scale, name="standardize")(self.x)
        else:
            h = ScaleLevels(self.levels, name="scale")(self.x)
        return h if self.num_variables is not None else ops.expand_dims(h, -1)

    def head(self, h: Tensor) -> Tensor:
        """A 1×1 layer, whose output is the parameters of each step."""
        if self.relative is not None:
            inside = self.relative.likelihood.likelihood
            size = inside.num_parameters(self.levels)
            return self.relative.head(keras.layers.Dense(size, name="parameters")(h))
        num_parameters = self.likelihood.num_parameters(self.levels)
        return keras.layers.Dense(num_parameters, name="parameters")(h)


def _check_likelihood(
    builder: str, likelihood: Likelihood, levels: int | None, num_variables: int | None
) -> None:
    kind = type(likelihood).__name__
    if likelihood.discrete != (levels is not None):
        raise ValueError(
            f"{builder} got levels={levels} and the likelihood {kind}, which is for "
            f"{'integers' if likelihood.discrete else 'real numbers'}. Pass the number of levels "
            "for integers, and levels=None for real numbers."
        )
    if likelihood.event_rank != (0 if num_variables is None else 1):
        raise ValueError(
            f"{builder} got num_variables={num_variables}, but the likelihood {kind} draws "
            f"{'whole steps' if likelihood.event_rank else 'single values'} at once. Pass "
            "num_variables if the variables of a step are drawn together, and only then."
        )
    if likelihood.event_size not in (None, num_variables):
        raise ValueError(
            f"{builder} got num_variables={num_variables}, but the likelihood {kind} is for steps "
            f"of {likelihood.event_size} variables. Leave num_variables out."
        )
