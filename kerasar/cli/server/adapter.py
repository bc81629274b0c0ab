"""An export as a model of KServe."""

import asyncio
import math
import uuid
from typing import Any

import orjson
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput, ServerNotReady
from numpy.typing import NDArray

from kerasar.cli.server.export_folder import ExportFolder, client
from kerasar.cli.server.messages import (
    DEFAULT,
    Arrays,
    BadRequestError,
    as_array,
    plain_message,
    read_columns,
    read_rows,
    write_columns,
    write_rows,
)

#: NumPy's names of dtypes -> those of the Open Inference Protocol.
_DATATYPES = {
    "float32": "FP32",
    "float64": "FP64",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
}
#: How many requests may wait at once; clients that have gone are among them.
_MOST_WAITING = 128
#: `TF_Code` of a failed assertion, of the time limit, and of memory that ran out.
_INVALID, _OUT_OF_TIME, _EXHAUSTED = 3, 4, 8


class ServedExport(Model):
    """A SavedModel in TensorFlow's C++ library; see `kserve.Model`.

    Args:
        name: of the model, in URLs.
        folder: the export.
        timeout: after how many seconds a request is given up.
    """

    def __init__(self, name: str, folder: ExportFolder, timeout: float) -> None:
        super().__init__(name)
        self.folder, self.timeout = folder, timeout
        self.signatures = dict(folder.config["signatures"])
        self.signatures = {DEFAULT: next(iter(self.signatures.values())), **self.signatures}
        compiled = bool(folder.config.get("jit_compile"))
        self.served = client().ServedModel(folder.path, allow_xla=compiled, timeout=timeout)
        self.ready, self._waiting = True, 0

    def warm_up(self) -> None:
        """Sends one request to each signature, and waits for the answers."""
        for signature, inputs in self.folder.warm_up_requests():
            self.run(signature, inputs)

    def run(self, signature: str, inputs: Any) -> dict[str, NDArray[Any]]:
        """Answers one request; errors are KServe's."""
        try:
            outputs: dict[str, NDArray[Any]] = self.served.run(signature, **inputs)
        except client().RequestError as error:
            message = plain_message(str(error))
            if error.code == _OUT_OF_TIME:
                message = f"The request took longer than {self.timeout:g} s. Ask for less."
            elif error.code == _EXHAUSTED:
                message = "The request needs more memory than there is. Ask for less."
            elif error.code != _INVALID:
                raise InferenceError(message) from None
            raise InvalidInput(message) from None
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        return outputs

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Answers a request of either protocol, in a thread of its own."""
        if self._waiting >= _MOST_WAITING:
            raise ServerNotReady(f"{self._waiting} requests wait for an answer. Try again later.")
        answer = self._answer_v2 if isinstance(payload, InferRequest) else self._answer_v1
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            return await loop.run_in_executor(None, answer, payload)
        except BadRequestError as error:
            raise InvalidInput(str(error)) from None
        finally:
            self._waiting -= 1

    def _answer_v1(self, payload: Any) -> dict[str, Any]:
        if isinstance(payload, bytes):  # of another content type, such as curl's
            try:
                payload = orjson.loads(payload)
            except orjson.JSONDecodeError as error:
                raise BadRequestError(f"The request is not JSON: {error}.") from None
        if not isinstance(payload, dict) or ("inputs" in payload) == ("instances" in payload):
            raise BadRequestError(
                'A request must be a JSON object with "inputs", by name, or "instances", a list of '
                'rows, and "signature_name".'
            )
        signature = payload.get("signature_name", DEFAULT)
        specs = self._inputs(signature)
        if "inputs" in payload:
            return write_columns(self.run(signature, read_columns(payload["inputs"], list(specs))))
        rows = read_rows(payload["instances"], specs, signature)
        return write_rows(self.run(signature, rows), len(payload["instances"]))

    def _answer_v2(self, request: InferRequest) -> InferResponse:
        parameters = request.parameters or {}
        signature = parameters.get("signature_name", DEFAULT)
        self._inputs(signature)
        outputs = self.run(signature, {part.name: _array_of(part) for part in request.inputs})
        wanted = [part.name for part in request.request_outputs or []] or list(outputs)
        if unknown := [name for name in wanted if name not in outputs]:
            raise BadRequestError(
                f"Signature '{signature}' has no output '{unknown[0]}', but {', '.join(outputs)}."
            )
        return InferResponse(
            response_id=request.id or str(uuid.uuid4()),
            model_name=self.name,
            infer_outputs=[_output_of(name, outputs) for name in wanted],
        )

    def _inputs(self, signature: Any) -> dict[str, Any]:
        if not isinstance(signature, str) or signature not in self.signatures:
            raise BadRequestError(
                f"This model has no signature {signature!r}. It has: "
                f"{', '.join(name for name in self.signatures if name != DEFAULT)}."
            )
        inputs: dict[str, Any] = self.signatures[signature]["inputs"]
        return inputs

    def get_input_types(self) -> list[dict[str, Any]]:
        return _types_of(self.signatures[DEFAULT]["inputs"])

    def get_output_types(self) -> list[dict[str, Any]]:
        return _types_of(self.signatures[DEFAULT]["outputs"])


def _types_of(specs: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datatype": _DATATYPES[spec["dtype"]],
            "shape": [-1 if size is None else size for size in spec["shape"]],
        }
        for name, spec in specs.items()
    ]


def _array_of(part: InferInput) -> NDArray[Any]:
    shape = part.shape
    array = part.as_numpy() if part.data is None else as_array(part.data, part.name)
    if array.size != math.prod(shape) or any(size < 0 for size in shape):
        raise BadRequestError(
            f"{part.name} has {array.size} values, which do not make the shape {list(shape)}."
        )
    return array.reshape(shape)


def _output_of(name: str, outputs: Arrays) -> InferOutput:
    array = outputs[name]
    output = InferOutput(name, list(array.shape), _DATATYPES[array.dtype.name])
    output.set_data_from_numpy(array, binary_data=False)
    return output
