"""Whether a model samples what it scores: frequencies against exp(log_prob) on a tiny domain."""

from typing import Any

import numpy as np

from kerasar.arguments import checks_arguments
from kerasar.checks import check_count
from kerasar.testing.models import ScoredModel
from kerasar.testing.normalized import every_example, repeated


@checks_arguments
def check_frequencies(
    model: ScoredModel,
    num_samples: int = 6000,
    seed: int = 0,
    condition: Any = None,
    method: str | None = None,
    sigmas: float = 5.0,
) -> None:
    """How often each possible example is drawn must agree with its probability.

    Args:
        model: an autoregressive model of discrete data with few possible inputs, see
            `check_normalized`.
        num_samples: how many are drawn.
        seed: fixes the draw, so the check passes always or never.
        condition: one row of each condition, `(1, …)`, or a dict of such.
        method: name of a sampler.
        sigmas: how unlikely a deviation, on the scale of a normal variable, is too much.

    Raises:
        AssertionError: if Pearson's chi-square statistic is too large.
        ValueError: if the domain is open, not discrete, or too large to be enumerated.

    References:
        Wilson & Hilferty. The Distribution of Chi-Square. PNAS 17, 1931: its cube root is normal.
        https://doi.org/10.1073/pnas.17.12.684
    """
    check_count(num_samples, "num_samples")
    if not sigmas > 0:
        raise ValueError(f"sigmas must be above 0, but got {sigmas}.")
    examples = every_example(model)
    nats = model.log_prob(examples, condition=repeated(condition, len(examples)))
    expected = num_samples * np.exp(np.asarray(nats, "float64"))
    drawn = model.sample(
        num_samples,
        seed=seed,
        condition=repeated(condition, num_samples),
        chunk_size=num_samples,
        **({} if method is None else {"method": method}),  # not every model has several
    )
    digits = drawn.reshape(num_samples, -1).astype("int64")
    levels = int(examples.max()) + 1
    weights = levels ** np.arange(digits.shape[1])[::-1]
    counts = np.bincount(digits @ weights, minlength=len(examples))

    # Pearson's statistic is chi-square only where enough is expected: pool what is rare.
    rare = expected < 5
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1e-9))
    if expected[-1] < 5 and len(expected) > 1:  # still rare: join it to the least of the others
        least = int(np.argmin(expected[:-1]))
        counts[least] += counts[-1]
        expected[least] += expected[-1]
        counts, expected = counts[:-1], expected[:-1]

    freedom = len(counts) - 1
    assert freedom > 0, "the model gives nearly all probability to one example: nothing to compare"
    statistic = float(((counts - expected) ** 2 / expected).sum())
    spread = 2 / (9 * freedom)
    deviation = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5
    worst = int(np.argmax((counts - expected) ** 2 / expected))
    assert deviation < sigmas, (
        f"samples do not follow log_prob: chi-square {statistic:.1f} on {freedom} degrees of "
        f"freedom, {deviation:.1f} sigmas; one example was drawn {counts[worst]} times where "
        f"{expected[worst]:.1f} are expected"
    )
