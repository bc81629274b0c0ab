"""Whether samples are *the* samples of their noise, which is what makes samplers comparable.

A sample is the sequential sample if and only if every value is what the head picks, with the same
noise, from the full network's output on that very sample: value 0 is then right, so value 1 is,
and so on. One forward pass thus checks a whole sample, however it was made.

Real values are never quite equal, for networks round differently in other shapes and compilations,
and a difference feeds back. There a value is what the head picks if it is within a thousandth of
the data's spread (relative, where values are large), given the sample's *own* earlier values: so
differences cannot add up unnoticed, and a network that magnifies them is not blamed for it. Only
which component of a mixture was chosen can be a near-tie.
"""

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.arguments import checks_arguments
from kerasar.noise import uniforms
from kerasar.testing.models import CausalModel
from kerasar.typing import Tensor

#: Networks round differently in other shapes and compilations: closer calls than this may flip.
NEAR_TIE = 1e-4


@checks_arguments
def check_the_sample(
    model: CausalModel,
    samples: np.ndarray,
    seed: int | Tensor = 0,
    condition: Any = None,
    known: np.ndarray | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Every value drawn must be what the head picks there, with the seed's noise.

    Args:
        model: an autoregressive model.
        samples: what `model.sample` or `model.inpaint` gave for that seed and these options.
        seed: the seed; for version v of an in-painting `kerasar.noise.fold_in(seed, v)`.
        condition: the condition, one row for each sample.
        known: Boolean, True where values were given and not drawn. Events of which a part was
            given are left out.
        temperature: as for the sampler.
        top_k: as for the sampler.
        top_p: as for the sampler.

    Returns:
        How many samples hold a near-tie: a value that falls short of the pick by less than 1e-4,
        which is rounding. A warning reports them.

    Raises:
        AssertionError: if a value differs from the pick by more, or if more than one sample in a
            hundred holds a near-tie.
    """
    short = shortfall(model, samples, samples, seed, condition, temperature, top_k, top_p)
    if known is not None:
        given = known.reshape(*short.shape, -1).any(axis=-1)
        short = np.where(given, 0.0, short)
    worst = np.unravel_index(np.argmax(short), short.shape)
    assert short.max() < NEAR_TIE, (
        f"sample {worst[0]} is not the sample of seed {seed}: its value at position "
        f"{int(worst[1])} falls short of the pick by {short[worst]:.3g}"
    )
    ties = int((short > 0).any(axis=1).sum())
    report_near_ties(ties, len(samples))
    return ties


def shortfall(
    model: CausalModel,
    samples: np.ndarray,
    other: np.ndarray,
    seed: int | Tensor = 0,
    condition: Any = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> np.ndarray:
    """By how much the values of `other` fall short of the pick, given those of `samples` before.

    Returns:
        `(samples, positions)`, 0 where the value is the pick; positions as they are drawn.
    """
    likelihood = model.likelihood
    condition = model.conditions.check(condition, len(samples))
    samples, other = (np.asarray(model.to_model_order(tf.constant(x))) for x in (samples, other))
    parameters = model.compute_parameters(tf.constant(samples), condition, training=False)
    if temperature != 1:
        parameters = likelihood.apply_temperature(parameters, tf.constant(temperature, tf.float32))
    if top_k is not None or top_p is not None:
        parameters = likelihood.apply_top_k_top_p(parameters, top_k, top_p)

    event = samples.shape[samples.ndim - likelihood.event_rank :]
    x = tf.reshape(tf.constant(other), (len(other), -1, *event))
    parameters = tf.reshape(parameters, (*x.shape[:2], -1))
    noise = uniforms(
        tf.convert_to_tensor(seed),
        tf.range(len(samples))[:, None],
        tf.range(x.shape[1])[None],
        likelihood.num_uniforms(model.network.output_shape[-1]),
    )
    return np.asarray(likelihood.shortfall(parameters, likelihood.noise(noise), x))


def report_near_ties(ties: int, samples: int) -> None:
    """Warns of near-ties, and raises an AssertionError if more than 1 sample in 100 has one."""
    assert ties <= -(-samples // 100), (
        f"{ties} of {samples} samples differ from the pick by a near-tie: too many for rounding"
    )
    if ties:
        warnings.warn(f"{ties} of {samples} samples hold a near-tie (below 1e-4)", stacklevel=3)
