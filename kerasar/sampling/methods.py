"""The samplers of autoregressive models by name."""

import difflib
import warnings

from kerasar.function_cache import check_eager
from kerasar.sampling.cached import CachedSampler
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.parallel import ParallelSampler
from kerasar.sampling.sampler import Sampler
from kerasar.sampling.sequential import SequentialSampler
from kerasar.sampling.step_check import WrongSteps
from kerasar.stepwise import NotSteppable

METHODS = ("sequential", "parallel", "cached")


def find_sampler(model: SampledAutoregressive, method: str | None = None) -> Sampler:
    """The sampler of that name; the best that the model has for None.

    Raises:
        ValueError: for an unknown name, or for "cached" where a layer cannot be run step by step;
            the layer is named.
    """
    check_eager("This method")
    if method == "sequential":
        return SequentialSampler(model)
    if method == "parallel":
        return ParallelSampler(model)
    if method not in (None, "cached"):
        close = difflib.get_close_matches(str(method), METHODS, 1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(
            f"method must be one of {', '.join(METHODS)}, or None for the best, but got "
            f"{method!r}.{hint}"
        )
    try:
        # Built and checked when it is first asked for.
        return model.function_cache.get(CachedSampler, lambda: CachedSampler(model))
    except NotSteppable as reason:
        if method is None:
            if isinstance(reason, WrongSteps):
                warnings.warn(
                    f"Model '{model.name}' samples by method=\"parallel\", for {reason}.",
                    stacklevel=4,
                )
            return ParallelSampler(model)
        raise ValueError(
            f"Model '{model.name}' has no cached sampler: {reason}. Use method=\"parallel\", "
            "which gives the same samples for any causal network."
        ) from None
