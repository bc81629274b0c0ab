"""The likelihoods that `--likelihood` names, and those that fit the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasar.distributions import Likelihood

#: Hidden units of a NADE over the variables of a step.
_HIDDEN_UNITS = 150
#: With fewer levels a categorical likelihood has no more parameters than a mixture.
_LEAST_LEVELS_OF_MIXTURES = 16

Choices = Mapping[str, Callable[[], "Likelihood"]]


def for_images(levels: int, channels: int) -> Choices:
    """The likelihoods of a pixel."""
    from kerasar.distributions import Categorical, DiscretizedLogisticMixture

    found: dict[str, Callable[[], Likelihood]] = {"categorical": Categorical}
    if levels >= _LEAST_LEVELS_OF_MIXTURES:
        found["logistic-mixture"] = lambda: DiscretizedLogisticMixture(levels)
    return found


def for_steps(
    levels: int | None, num_variables: int | None, mean: Any = None, scale: Any = None
) -> Choices:
    """The likelihoods of a step of a sequence; the first is the default.

    Args:
        levels: of each value; None for real ones.
        num_variables: of a step; None where steps are single values.
        mean: of real values.
        scale: of real values.
    """
    from kerasar.distributions import (
        Bernoulli,
        BernoulliNADE,
        Categorical,
        GaussianMixture,
        Independent,
    )

    if levels is None:
        return {"gaussian-mixture": lambda: GaussianMixture(3, num_variables, mean, scale)}
    if num_variables is None:
        return {"categorical": Categorical} | ({"bernoulli": Bernoulli} if levels == 2 else {})
    if levels > 2:
        return {"categorical": lambda: Independent(num_variables, Categorical())}
    return {
        "bernoulli": lambda: Independent(num_variables, Bernoulli()),
        "nade": lambda: BernoulliNADE(num_variables, _HIDDEN_UNITS),
    }


def chosen(choices: Choices, name: str | None, noun: str) -> Likelihood:
    """The likelihood of that name; the first if it is None.

    Raises:
        ValueError: if it is not among them.
    """
    if name is not None and name not in choices:
        raise ValueError(
            f"--likelihood for these {noun} is {' or '.join(choices)}, but got '{name}'."
        )
    return choices[name or next(iter(choices))]()
