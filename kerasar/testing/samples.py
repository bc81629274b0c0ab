"""Whether a model's samplers all draw the same samples, and the right ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasar.sampling import METHODS
from kerasar.testing.frequencies import check_frequencies
from kerasar.testing.normalized import every_example, repeated
from kerasar.testing.the_sample import NEAR_TIE, check_the_sample, report_near_ties, shortfall

#: Up to how many possible inputs frequencies are compared: each needs a few draws.
_COUNTABLE = 1000


def check_samples(
    model: Any,
    num_samples: int = 64,
    seed: int = 0,
    condition: Any = None,
    methods: Sequence[str] = METHODS,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> None:
    """Each sampler must draw *the* samples of the seed, and all of them the same.

    On a tiny domain (at most 1,000 possible inputs), and without options that bend the
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
        assert np.array_equal(drawn, model.sample(num_samples, **draw)), (
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
            _check_agreement(reference, drawn, short, f"'{methods[0]}' and '{method}'")

    if options == dict(temperature=1.0, top_k=None, top_p=None) and _is_countable(model):
        # One sampler will do, for all of them draw the same samples.
        check_frequencies(model, seed=seed, condition=condition, method=methods[0])


def _check_agreement(
    reference: np.ndarray, drawn: np.ndarray, short: np.ndarray, pair: str
) -> None:
    """Up to its first difference each example is the same, and that difference a near-tie."""
    differs = (reference != drawn).reshape(*short.shape, -1).any(axis=-1)
    rows = np.flatnonzero(differs.any(axis=1))
    first = differs[rows].argmax(axis=1)
    assert (short[rows, first] < NEAR_TIE).all(), (
        f"methods {pair} disagree in {len(rows)} of {len(drawn)} samples, by more than rounding"
    )
    report_near_ties(len(rows), len(drawn))


def _is_countable(model: Any) -> bool:
    try:
        return len(every_example(model)) <= _COUNTABLE
    except ValueError:
        return False
