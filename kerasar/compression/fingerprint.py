"""What must be equal for a file to be read again: the model, and what this machine makes of it.

Which settings of a machine change bits (its instruction set, oneDNN, the version of TensorFlow) is
not guessed: the loop runs over examples that are always the same, and what comes out is compared.
"""

import hashlib
import json
from typing import Any

import keras
import numpy as np

from kerasar.compression.coders import Recorder
from kerasar.compression.coding_loop import CodingLoop
from kerasar.sampling.models import SampledAutoregressive

#: Of the examples for which tables are compared.
_SEED = 0


def model_fingerprint(model: SampledAutoregressive) -> bytes:
    """Of the weights and the likelihood, 8 bytes."""
    digest = hashlib.blake2b(digest_size=8)
    likelihood = type(model.likelihood).__name__, model.likelihood.get_config()
    digest.update(json.dumps((likelihood, model.data_levels), default=str).encode())
    for weight in model.weights:
        array = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{array.shape}{array.dtype}".encode() + array.tobytes())
    return digest.digest()


def machine_fingerprint(loop: CodingLoop, model: bytes, batch_size: int, condition: Any) -> bytes:
    """Of the tables that this machine computes for certain examples, 4 bytes.

    Args:
        loop: of the model.
        model: its fingerprint.
        batch_size: of the loop.
        condition: arrays by input name with as many rows, or None.
    """
    if condition is None and (model, batch_size) in loop.machine:
        return loop.machine[model, batch_size]
    rng = np.random.default_rng(_SEED)
    values = rng.integers(loop.levels, size=(batch_size, *loop.shape)).astype("int32")
    recorder = Recorder()
    loop.run(values, condition, recorder)
    found = recorder.digest.digest()[:4]
    if condition is None:
        loop.machine[model, batch_size] = found
    return found
