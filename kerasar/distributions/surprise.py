"""What data cost a model, event by event, beside what the model itself expects them to cost."""

from typing import NamedTuple

from kerasar.typing import Tensor


class Surprise(NamedTuple):
    """The nats of each event, and their distribution as the model has it; `(batch, *positions)`.

    Given the events before it, the nats of an event, -ln p(event | before), are a random variable
    under the model: their mean is the entropy of its prediction, their variance the varentropy.
    """

    nats: Tensor
    """-ln p of each event: `-log_prob_map`"""
    expected: Tensor
    """their mean under the model: the entropy of what it predicts"""
    variance: Tensor
    """their variance under the model"""
