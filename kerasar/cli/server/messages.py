"""What requests and answers hold, in both protocols, as arrays.

TensorFlow Serving's REST protocol has a columnar and a row format
(https://www.tensorflow.org/tfx/serving/api_rest); the other is the Open Inference Protocol, v2
(https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Arrays = Mapping[str, NDArray[Any]]
#: What `serving_default` is called where a request names no signature.
DEFAULT = "serving_default"


class BadRequestError(ValueError):
    """A request that cannot be answered, with what is wrong about it."""


def read_columns(inputs: Any, names: Sequence[str]) -> dict[str, ArrayLike]:
    """Inputs by name from `"inputs"`: an object, or the value where there is one input."""
    if isinstance(inputs, dict):
        return {name: as_array(value, name) for name, value in inputs.items()}
    if len(names) != 1:
        raise BadRequestError(f'"inputs" must be an object with {_listed(names)}.')
    return {names[0]: as_array(inputs, names[0])}


def read_rows(instances: Any, specs: Mapping[str, Any], signature: str) -> dict[str, ArrayLike]:
    """Inputs by name from `"instances"`: a list of objects, or of values of the one input.

    Args:
        instances: the rows.
        specs: `{"dtype": …, "shape": …}` of each input.
        signature: its name.
    """
    scalars = [name for name, spec in specs.items() if not spec["shape"]]
    if scalars:
        raise BadRequestError(
            f"Signature '{signature}' has inputs without rows, {_listed(scalars)}, so it takes the "
            'columnar format: "inputs" instead of "instances".'
        )
    if not isinstance(instances, list) or not instances:
        raise BadRequestError('"instances" must be a list with a row for each example.')
    names = list(specs)
    rows = [row if isinstance(row, dict) else {"": row} for row in instances]
    if any("" in row for row in rows):
        if len(names) != 1 or not all(set(row) == {""} for row in rows):
            raise BadRequestError(
                f'Each row of "instances" must be an object with {_listed(names)}.'
            )
        rows = [{names[0]: row[""]} for row in rows]
    if any(set(row) != set(rows[0]) for row in rows):
        raise BadRequestError('All rows of "instances" must have the same names.')
    return {name: as_array([row[name] for row in rows], name) for name in rows[0]}


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Nested lists as an array; null is a missing value, NaN."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise BadRequestError(
            f"{name} must be nested lists in which all of a level are of one length."
        ) from None
    if array.dtype == object and all(isinstance(v, (float, int, type(None))) for v in array.flat):
        array = np.array([np.nan if v is None else float(v) for v in array.flat]).reshape(
            array.shape
        )
    if not array.size:
        array = array.astype(bool)  # what [] holds, any input can hold
    if array.dtype.kind not in "iufb":
        raise BadRequestError(f"{name} must hold numbers or Booleans, in nested lists.")
    return array


def write_columns(outputs: Arrays) -> dict[str, Any]:
    """The answer to a columnar request: outputs by name, or the value where there is one."""
    listed = {name: array.tolist() for name, array in outputs.items()}
    return {"outputs": next(iter(listed.values())) if len(listed) == 1 else listed}


def write_rows(outputs: Arrays, num_rows: int) -> dict[str, Any]:
    """The answer to a request in rows: an object for each, or its value where there is one."""
    for name, array in outputs.items():
        if len(array) != num_rows:
            raise BadRequestError(
                f'Output {name} has {len(array)} rows for {num_rows} of the request: take "inputs" '
                'instead of "instances".'
            )
    listed = {name: array.tolist() for name, array in outputs.items()}
    if len(listed) == 1:
        return {"predictions": next(iter(listed.values()))}
    return {"predictions": [dict(zip(listed, row, strict=True)) for row in zip(*listed.values())]}  # noqa: B905


def plain_message(message: str) -> str:
    """The sentence of a failed assertion, out of TensorFlow's message for it.

    >>> plain_message("assertion failed: [x must lie in [0, 3), but is] [7]\\n\\t [[{{node A}}]]")
    'x must lie in [0, 3), but is 7'
    """
    first = message.partition("\n")[0]
    if found := re.match(r"assertion failed: \[(.*)\]$", first):
        return found[1].replace("] [", " ")
    return first


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
