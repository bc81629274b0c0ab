"""Requests that TensorFlow Serving sends to itself before it takes others.

The first request of a signature makes its kernels, which may take seconds. The server replays
what an export holds in `assets.extra/tf_serving_warmup_requests`: a TFRecord file of
`tensorflow.serving.PredictionLog` messages
(https://www.tensorflow.org/tfx/serving/saved_model_warmup). They are written here by hand, for
`tensorflow-serving-api` has its classes and an own TensorFlow of 2 GB.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasar.varint import varint

#: Where a server looks for the file; what it may do with several requests at once; and the same
#: requests as JSON.
WARM_UP = os.path.join("assets.extra", "tf_serving_warmup_requests")
BATCHING = os.path.join("assets.extra", "batching_parameters.txt")
REQUESTS = os.path.join("assets.extra", "requests")

#: Values of scalars: one example of the model's own distribution.
_SCALARS = {
    "num_samples": 1,
    "num_paths": 1,
    "steps": 1,
    "seed": 0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
}
#: Size of the axes that a model leaves open.
_OPEN = 16


def example_requests(
    model: Any, signatures: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """One valid request of each signature, as small as can be.

    Args:
        model: what was exported.
        signatures: concrete functions by name.
    """
    sizes = tuple(size or _OPEN for size in model.data_shape)
    named: dict[str, Any] = dict(_SCALARS)
    for name, size in zip(("length",) if len(sizes) < 3 else ("height", "width"), sizes):  # noqa: B905
        named[name] = size
    named["x"] = np.full((1, *sizes), _inside(*getattr(model, "domain", (-math.inf, math.inf))))
    named["known"], named["past"] = np.zeros((1, *sizes)), named["x"][0, :-1]
    if conditions := getattr(model, "conditions", None):
        given = conditions.random(np.random.default_rng(0), 1, sizes)
        named |= zip((spec.name for spec in conditions.specs()), given.values(), strict=True)
    if "begin" in signatures:
        begin = signatures["begin"]
        named |= begin(**_inputs(begin, named))
    for name, signature in signatures.items():
        yield name, {key: np.asarray(x) for key, x in _inputs(signature, named).items()}


def _inputs(signature: Any, named: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """The inputs of a signature: what they are by name, or zeros, with 1 where a size is open."""
    found = {}
    for name, spec in input_specs(signature).items():
        value = named.get(name)
        if value is None:
            value = np.zeros([size or 1 for size in spec.shape])
        elif np.ndim(value) > len(spec.shape):
            value = value[0]  # of one series, without the axis of examples
        found[name] = tf.cast(tf.convert_to_tensor(value), spec.dtype)
    return found


def input_specs(signature: Any) -> dict[str, tf.TensorSpec]:
    """What a concrete function takes, by name."""
    by_position, by_name = signature.structured_input_signature
    return by_name or {spec.name: spec for spec in by_position}


def _inside(low: float, high: float) -> float:
    """Zero, or where that is not inside of an interval, something that is."""
    if low < 0 < high:
        return 0.0
    ends = [end for end in (low, high) if math.isfinite(end)]
    return sum(ends) / 2 if len(ends) == 2 else ends[0] + (1 if high == math.inf else -1)


def write_requests(
    folder: str, model_name: str, requests: Iterable[tuple[str, dict[str, np.ndarray]]]
) -> None:
    """Writes requests for a server to replay, and each as JSON for people to send.

    Args:
        folder: of the export.
        model_name: of the model.
        requests: pairs of a signature's name and arrays by name.
    """
    os.makedirs(os.path.join(folder, REQUESTS))
    with tf.io.TFRecordWriter(os.path.join(folder, WARM_UP)) as file:
        for signature, inputs in requests:
            file.write(_prediction_log(model_name, signature, inputs))
            listed = {name: array.tolist() for name, array in inputs.items()}
            path = os.path.join(folder, REQUESTS, f"{signature}.json")
            with open(path, "w", encoding="utf-8") as text:
                json.dump({"signature_name": signature, "inputs": listed}, text)


def _prediction_log(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    """A `PredictionLog`, whose numbers of fields are those of prediction_log.proto.

    https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
    """
    spec = _message((1, model_name.encode()), (3, signature.encode()))
    pairs = [_message((1, name.encode()), (2, _tensor(array))) for name, array in inputs.items()]
    request = _message((1, spec), *((2, pair) for pair in pairs))
    return _message((6, _message((1, request))))


def _tensor(array: np.ndarray) -> bytes:
    """A `TensorProto`, with its values as they are in memory."""
    dtype = tf.as_dtype(array.dtype).as_datatype_enum
    axes = [(2, varint(1 << 3) + varint(size)) for size in array.shape]
    content = np.ascontiguousarray(array).tobytes()
    return varint(1 << 3) + varint(dtype) + _message((2, _message(*axes)), (4, content))


def _message(*fields: tuple[int, bytes]) -> bytes:
    """Fields of a protocol buffer, all of them with a length."""
    return b"".join(
        varint(number << 3 | 2) + varint(len(content)) + content for number, content in fields
    )


def batching_parameters(max_samples: int) -> str:
    """For `--batching_parameters_file`, with what must be known before it is used."""
    return (
        "# Joins log_prob requests that wait at the same time. A batching server refuses inputs\n"
        "# without a batch axis, as sample, inpaint and continuation have: give those a server\n"
        "# without --enable_batching.\n"
        f"max_batch_size {{ value: {min(64, max_samples)} }}\n"
        "batch_timeout_micros { value: 1000 }\n"
        "max_enqueued_batches { value: 100 }\n"
    )
