"""The states of a linear recurrence, h_t = a_t h_{t-1} + b_t, one step after the other.

For axes of some dozens of steps, such as an image's, of which each holds many numbers: a step is
one pass over them, and XLA compiles the loop in half the time of `linear_scan`'s tree. As there,
the gradient is written by hand, as another such recurrence, from the last step to the first.
"""

from typing import Any

import tensorflow as tf

from kerasar.typing import Tensor


def scan_steps(factors: Tensor, terms: Tensor, axis: int) -> Tensor:
    """The states h_t = a_t h_{t-1} + b_t along an axis, from h = 0 before the first step.

    Args:
        factors: a, of float32 or float64.
        terms: b, of the same shape and dtype. All sizes may be open.
        axis: int, of the steps.

    Returns:
        h, of the same shape and dtype.
    """
    rank = terms.shape.rank
    swap = [axis, *(n for n in range(rank) if n != axis)]
    back = [swap.index(n) for n in range(rank)]
    states = _states(tf.transpose(factors, swap), tf.transpose(terms, swap))
    return tf.ensure_shape(tf.transpose(states, back), terms.shape)


@tf.custom_gradient
def _states(factors: Tensor, terms: Tensor) -> tuple[Tensor, Any]:
    """The states, with the steps on the first axis."""
    states = _loop(factors, terms, reverse=False)

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        # The loss sees b_t through h_t, and through a_{t+1} in all later states.
        after = tf.concat([factors[1:], tf.zeros_like(factors[:1])], 0)
        d_terms = _loop(after, upstream, reverse=True)
        before = tf.concat([tf.zeros_like(states[:1]), states[:-1]], 0)
        return d_terms * before, d_terms

    return states, gradient


def _loop(factors: Tensor, terms: Tensor, reverse: bool) -> Tensor:
    steps = tf.shape(terms)[0]
    found = tf.TensorArray(terms.dtype, steps, element_shape=terms.shape[1:])

    def body(n: Tensor, state: Tensor, found: Any) -> Any:
        t = steps - 1 - n if reverse else n
        state = factors[t] * state + terms[t]
        return n + 1, state, found.write(t, state)

    start = (0, tf.zeros_like(terms[0]), found)
    *_, found = tf.while_loop(lambda n, *_: n < steps, body, start, maximum_iterations=steps)
    return found.stack()
