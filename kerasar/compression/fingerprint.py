"""What must be equal for a file to be read again: the model, and what this machine makes of it.

Which settings of a machine change bits (its instruction set, oneDNN, the version of TensorFlow) is
not guessed: the model runs over examples that are always the same, and what comes out is compared.
"""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.distributions.likelihoods import Likelihood


def model_digest(weights: Iterable[Any], likelihood: Likelihood, *facts: Any) -> bytes:
    """Of weights, a likelihood and further facts, 8 bytes."""
    digest = hashlib.blake2b(digest_size=8)
    described = type(likelihood).__name__, likelihood.get_config()
    digest.update(json.dumps((described, *facts), default=str).encode())
    for weight in weights:
        array = np.ascontiguousarray(weight.numpy())
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return digest.digest()


class Fingerprints:
    """Of what this machine computes, each taken once for a setting of TensorFlow."""

    def __init__(self) -> None:
        self._found: dict[Hashable, bytes] = {}

    def get(self, key: Hashable, run: Callable[[], bytes]) -> bytes:
        """4 bytes of what `run` gives; for a key of None it runs each time."""
        if key is None:
            return run()[:4]
        options = tf.config.optimizer.get_experimental_options()
        whole = key, json.dumps(options, sort_keys=True), tf.config.optimizer.get_jit()
        if whole not in self._found:
            self._found[whole] = run()[:4]
        return self._found[whole]
