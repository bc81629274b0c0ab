"""Whether a model's samplers all draw the same samples, and the right ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.sampling import METHODS
from kerasar.testing.frequencies import check_frequencies
from kerasar.testing.models import CausalModel
from kerasar.testing.normalized import every_example, repeated
from kerasar.testing.the_sample import NEAR_TIE, check_the_sample, report_near_ties, shortfall

#: Up to how many possible inputs frequencies are compared: each needs a few draws.
_COUNTABLE = 1000


@checks_arguments
def check_samples(
    model: CausalModel,
    num_samples: int = 64,
    seed: int = 0,
    condition: Any = None,
    methods: Sequence[str] = METHODS,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> None:
    """Each sampler must draw *the* samples of the seed, and all of them the same.

    Real values are the same up to rounding; `kerasar.testing.the_sample` defines what that means.

    On a tiny domain (at most 1,000 possible inputs), and without options that change the
    distribution, the frequencies of the first sampler must agree with `log_prob` too.

    Args:
        model: an autoregressive model.
        num_samples: how many are drawn by each sampler.
        seed: the seed.
        condition: one row of each condition, `(1, …)`, or a dict of such.
        methods: names of the samplers; leave out what the model refuses.
        temperature: as for `model.sample`.
        top_k: as for `model.sample`.
        top_p: as for `model.sample`.

    Raises:
        AssertionError: if a sampler draws other values than its noise picks, is not the same
            twice, disagrees with another, or does not follow `log_prob`.
    """
    options: dict[str, Any] = dict(temperature=temperature, top_k=top_k, top_p=top_p)
    condition_rows = repeated(condition, num_samples)
    reference: np.ndarray | None = None
    for method in methods:
        draw = dict(seed=seed, condition=condition_rows, method=method, **options)
        drawn = model.sample(num_samples, **draw)
        again = model.sample(num_samples, **draw)
        assert not _differs(model, drawn, again).any(), (
            f"method '{method}' draws other samples when asked again with the same seed"
        )
        try:
            check_the_sample(model, drawn, seed, condition_rows, **options)
        except AssertionError as error:
            raise AssertionError(f"method '{method}': {error}") from None
        if reference is None:
            reference = drawn
        else:
            short = shortfall(model, reference, drawn, seed, condition_rows, **options)
            differs = _differs(model, reference, drawn)
            _check_agreement(differs, short, f"'{methods[0]}' and '{method}'")

    if options == dict(temperature=1.0, top_k=None, top_p=None) and _is_countable(model):
        # One sampler will do, for all of them draw the same samples.
        check_frequencies(model, seed=seed, condition=condition, method=methods[0])


def _differs(model: CausalModel, reference: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Where two draws gave other events, `(samples, positions)`; real ones by over 1e-4."""
    event = reference.shape[reference.ndim - model.likelihood.event_rank :]
    a, b = (tf.constant(x.reshape(len(x), -1, *event)) for x in (reference, drawn))
    return np.asarray(model.likelihood.differs(a, b, NEAR_TIE))


def _check_agreement(differs: np.ndarray, short: np.ndarray, pair: str) -> None:
    """Up to its first difference each example is the same, and that difference a near-tie.

    Where real values differ and yet are what the head picks up to rounding (`short` is 0), rounding
    has fed back: that is not a tie.
    """
    rows = np.flatnonzero(differs.any(axis=1))
    first = differs[rows].argmax(axis=1)
    found = short[rows, first]
    assert (found < NEAR_TIE).all(), (
        f"methods {pair} disagree in {len(rows)} of {len(differs)} samples, by more than rounding"
    )
    report_near_ties(int((found > 0).sum()), len(differs))


def _is_countable(model: CausalModel) -> bool:
    try:
        return len(every_example(model)) <= _COUNTABLE
    except ValueError:
        return False
