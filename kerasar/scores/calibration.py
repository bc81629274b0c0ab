"""Split-conformal calibration: p-values, and thresholds for a rate of false alarms."""

import numpy as np
import tensorflow as tf

from kerasar.checks import check_count
from kerasar.typing import Tensor

#: Fewer good examples than this fit no detector.
LEAST = 50
#: How many examples the distances are fitted on at most, and what share of the good ones.
_MOST_FITTED, _SHARE_FITTED = 2000, 1 / 3
#: How many are kept for calibration at most: a model's file holds them.
_MOST_CALIBRATED = 50_000


def split_sizes(examples: int) -> tuple[int, int]:
    """How many good examples distances are fitted on, and how many others calibrate.

    About a third and the rest. One more than the second number is a multiple of 100 if possible:
    the rates 0.01, 0.05 and 0.10 are then met exactly.

    Raises:
        ValueError: for fewer than 50 examples.
    """
    if examples < LEAST:
        raise ValueError(
            f"A detector is fitted on at least {LEAST} good examples, but got {examples}. "
            "False-alarm rates of 0.01 need 150, and thousands for alarms that come as often as "
            "asked. Pass more examples that the model was not trained on."
        )
    fitted = min(int(examples * _SHARE_FITTED), _MOST_FITTED)
    calibrated = min(examples - fitted, _MOST_CALIBRATED)
    for step in (100, 20):
        if calibrated + 1 >= step:
            calibrated = (calibrated + 1) // step * step - 1
            break
    return min(examples - calibrated, _MOST_FITTED), calibrated


class Calibration:
    """The scores of good examples that nothing was fitted on, in ascending order.

    A further good example is as likely to take any rank among them as any other. So the share of
    scores that are at least as high, that of the example itself included, is a p-value, whatever
    the distribution of scores.

    References:
        Vovk, Gammerman & Shafer. Algorithmic Learning in a Random World. 2005, chapter 2.
        Bates, Candès, Lei, Romano & Sesia. Testing for Outliers with Conformal p-values. Annals of
        Statistics 51, 2023. https://arxiv.org/abs/2104.08279
    """

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = np.sort(np.asarray(scores, "float64"))

    def p_values(self, scores: Tensor) -> Tensor:
        """The p-value of each score, float64 `(batch,)`; at least 1 / (calibration scores + 1)."""
        below = tf.searchsorted(self.scores, scores, side="left")
        return tf.cast(len(self.scores) - below + 1, tf.float64) / (len(self.scores) + 1)

    def threshold(self, false_alarms: float) -> float:
        """The score above which an example is an alarm.

        Raises:
            ValueError: for a rate outside of (0, 1), or too small for the number of scores.
        """
        return float(self.scores[len(self.scores) - self._alarms(false_alarms)])

    def expected_range(self, false_alarms: float) -> tuple[float, float]:
        """Where the rate of false alarms of this calibration lies, with a probability of 0.9.

        The rate is exact on average over calibrations; that of a single one has a beta
        distribution, for its threshold is one of finitely many scores.
        """
        alarms = self._alarms(false_alarms)
        rates = np.linspace(0, 1, 100_001)[1:-1]
        a, b = float(alarms), float(len(self.scores) + 1 - alarms)
        shares = tf.math.betainc(tf.fill(rates.shape, tf.constant(a, tf.float64)), b, rates)
        low, high = np.searchsorted(shares.numpy(), [0.05, 0.95])
        return float(rates[low]), float(rates[min(high, len(rates) - 1)])

    def _alarms(self, false_alarms: float) -> int:
        """How many of these scores and one more may be alarms."""
        if not 0 < false_alarms < 1:
            raise ValueError(f"false_alarms must lie between 0 and 1, but got {false_alarms}.")
        alarms = int(false_alarms * (len(self.scores) + 1) * (1 + 1e-12))
        if alarms == 0:
            needed = check_count(int(np.ceil(1 / false_alarms)) - 1, "false_alarms", most=None)
            raise ValueError(
                f"A false-alarm rate of {false_alarms:g} needs at least {needed:,} examples for "
                f"calibration, but this detector was calibrated on {len(self.scores):,}. Fit it on "
                f"{_examples_for(needed):,} good examples, or ask for a rate of at least "
                f"{1 / (len(self.scores) + 1):.2g}."
            )
        return alarms


def _examples_for(calibrated: int) -> int:
    """How many good examples leave that many for calibration."""
    fitted = calibrated * _SHARE_FITTED / (1 - _SHARE_FITTED)
    return calibrated + int(np.ceil(min(fitted, _MOST_FITTED))) + 1
