"""Runs a SavedModel as TensorFlow Serving does: with its C++ loader, without Python's TensorFlow.

`tf.saved_model.load` forgives what a server does not: a variable that only Python can find, an op
that calls back into Python, a compiled signature. The loader that TensorFlow Serving uses is in
TensorFlow's wheel, behind a C interface, and this file calls it with ctypes and NumPy alone.
Nothing else is imported, so that the file also runs by its path, in a process of its own:

    python saved_model.py EXPORT_DIR SIGNATURE inputs.npz outputs.npz

`run_in_fresh_process` does so from Python, and is what a test calls.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: TensorFlow's codes for the types that we pass (`TF_DataType` in tf_datatype.h).
DTYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 9: "int64", 10: "bool"}
_TYPE_CODES = {name: code for code, name in DTYPES.items()}


class Signature(NamedTuple):
    """What a signature takes and gives: a dtype such as `"float32"` for each name."""

    inputs: dict[str, str]
    outputs: dict[str, str]


class RequestError(RuntimeError):
    """A request that failed, with TensorFlow's message.

    Attributes:
        code: `TF_Code` of tf_status.h: 3 for an assertion in the graph, 4 for the time limit.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ServedModel:
    """A SavedModel in a session of TensorFlow's C++ library, as a server holds it.

    Use it in a `with` statement, or call `close`. A request that fails leaves the session usable,
    and several threads may send requests at once.

    It refuses to run beside Python's TensorFlow. Both would share one library: switching XLA off
    here would switch it off there, and ops that Python registers would be found here and not on a
    server. From a process that has imported TensorFlow, call `run_in_fresh_process`.

    Args:
        export_dir: the folder that holds `saved_model.pb`.
        allow_xla: bool. TensorFlow Serving refuses signatures that XLA compiles for the CPU, unless
            it is started with `--xla_cpu_compilation_enabled`; True acts as if it were. The switch
            belongs to the process: set by each request, it is not for two models with different
            values that run at the same time.
        timeout: after how many seconds a request is given up; None: never.

    Raises:
        RuntimeError: if TensorFlow is imported, or with TensorFlow's message if it cannot load
            the model.
    """

    def __init__(
        self,
        export_dir: str | os.PathLike[str],
        *,
        allow_xla: bool = False,
        timeout: float | None = None,
    ) -> None:
        if "tensorflow" in sys.modules:
            raise RuntimeError(
                "ServedModel acts as a server without Python, so it needs a process that has not "
                "imported tensorflow, but this one has. Call run_in_fresh_process instead."
            )
        self.allow_xla = allow_xla
        # `RunOptions` of config.proto, in which field 2 is `timeout_in_ms`.
        self._run_options = b"" if timeout is None else b"\x10" + _varint(int(1000 * timeout) or 1)
        self._library = library = _load_library()
        self._switch_xla()

        with contextlib.ExitStack() as held:
            self._graph = library.TF_NewGraph()
            held.callback(library.TF_DeleteGraph, self._graph)
            self._session: int | None
            self._session, meta_graph = self._load(export_dir)
            held.callback(self._delete_session)
            self._endpoints = _read_endpoints(meta_graph)
            self._held = held.pop_all()  # only now: a failure above frees what there is

    @property
    def signatures(self) -> dict[str, Signature]:
        """The signatures by name, with the names and dtypes of their inputs and outputs."""
        return {
            name: Signature(
                {key: end.dtype for key, end in inputs.items()},
                {key: end.dtype for key, end in outputs.items()},
            )
            for name, (inputs, outputs) in sorted(self._endpoints.items())
        }

    def run(self, signature: str, /, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
        """Sends one request: `served.run("sample", num_samples=4, seed=0)`.

        Scalars, lists and arrays become tensors of the dtype that the signature states. Integers
        must fit it and floats are rounded to it, but floats do not become integers.

        Raises:
            ValueError: if the signature is unknown, an input is missing, unknown or of the wrong
                kind, or if a dtype is not one of float32, float64, int32, int64, uint8 and bool.
            RequestError: with TensorFlow's message, if the request fails, for instance by an
                assertion in the graph.
        """
        if self._session is None:
            raise RuntimeError("This ServedModel is closed. Send requests before `close`.")
        sources, targets = self._find(signature, inputs)
        self._switch_xla()

        delete = self._library.TF_DeleteTensor
        with contextlib.ExitStack() as tensors:
            fed = []
            for name, end in sources.items():
                value = _convert(inputs[name], end.dtype, f"'{name}' of signature '{signature}'")
                fed.append(self._to_tensor(value))
                tensors.callback(delete, fed[-1])

            fetched = (ctypes.c_void_p * len(targets))()
            given = ctypes.create_string_buffer(self._run_options)
            options = _Buffer(ctypes.addressof(given), len(self._run_options))
            with self._status() as status:
                self._library.TF_SessionRun(
                    self._session,
                    options,
                    self._graph_outputs(sources),
                    (ctypes.c_void_p * len(fed))(*fed),
                    len(fed),
                    self._graph_outputs(targets),
                    fetched,
                    len(targets),
                    None,  # operations to run for their effect
                    0,
                    None,  # run metadata
                    status,
                )
            for tensor in fetched:
                tensors.callback(delete, tensor)
            return dict(zip(targets, map(self._to_array, fetched), strict=True))

    def close(self) -> None:
        """Frees the session and the weights. Closing twice is fine."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _switch_xla(self) -> None:
        # Two C++ functions without arguments, so ctypes can call them by their linker names.
        if self.allow_xla:
            self._library._ZN10tensorflow20EnableXlaCompilationEv()
        else:
            self._library._ZN10tensorflow21DisableXlaCompilationEv()

    def _load(self, export_dir: str | os.PathLike[str]) -> tuple[int, bytes]:
        library = self._library
        with contextlib.ExitStack() as held:
            options = library.TF_NewSessionOptions()
            held.callback(library.TF_DeleteSessionOptions, options)
            meta_graph = library.TF_NewBuffer()
            held.callback(library.TF_DeleteBuffer, meta_graph)
            with self._status() as status:
                session = library.TF_LoadSessionFromSavedModel(
                    options,
                    None,  # run options
                    os.fsencode(export_dir),
                    (ctypes.c_char_p * 1)(b"serve"),
                    1,
                    self._graph,
                    meta_graph,
                    status,
                )
            return session, ctypes.string_at(meta_graph.contents.data, meta_graph.contents.length)

    def _delete_session(self) -> None:
        session, self._session = self._session, None
        with self._status() as status:
            self._library.TF_CloseSession(session, status)
            self._library.TF_DeleteSession(session, status)

    @contextlib.contextmanager
    def _status(self) -> Iterator[int]:
        """A status for one call; raises the message that the call leaves in it."""
        status = self._library.TF_NewStatus()
        try:
            yield status
            if code := self._library.TF_GetCode(status):
                message = self._library.TF_Message(status).decode(errors="replace")
                raise RequestError(message, code)
        finally:
            self._library.TF_DeleteStatus(status)

    def _find(
        self, signature: str, inputs: Mapping[str, ArrayLike]
    ) -> tuple[dict[str, "_Endpoint"], dict[str, "_Endpoint"]]:
        if signature not in self._endpoints:
            raise ValueError(
                f"This SavedModel has no signature '{signature}'. "
                f"It has: {', '.join(sorted(self._endpoints))}."
            )
        sources, targets = self._endpoints[signature]
        if set(inputs) != set(sources):
            raise ValueError(
                f"Signature '{signature}' takes {_listed(sources)}, "
                f"but the request has the inputs: {', '.join(sorted(inputs)) or 'none'}. "
                "Give each input once, by name."
            )
        for name, end in (sources | targets).items():
            if end.dtype not in _TYPE_CODES:
                raise ValueError(
                    f"ServedModel passes {', '.join(_TYPE_CODES)}, but '{name}' of signature "
                    f"'{signature}' is of {end.dtype}. Cast it inside the signature."
                )
        return sources, targets

    def _graph_outputs(self, endpoints: Mapping[str, "_Endpoint"]) -> ctypes.Array["_Output"]:
        outputs = (_Output * len(endpoints))()
        for output, end in zip(outputs, endpoints.values(), strict=True):
            operation, _, index = end.tensor.partition(":")
            output.operation = self._library.TF_GraphOperationByName(
                self._graph, operation.encode()
            )
            if not output.operation:  # the library would crash on it
                raise RuntimeError(f"The graph has no operation '{operation}' that it states.")
            output.index = int(index or 0)
        return outputs

    def _to_tensor(self, array: NDArray[Any]) -> int:
        tensor: int = self._library.TF_AllocateTensor(
            _TYPE_CODES[array.dtype.name],
            (ctypes.c_int64 * array.ndim)(*array.shape),
            array.ndim,
            array.nbytes,
        )
        if array.nbytes:
            ctypes.memmove(self._library.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _to_array(self, tensor: int) -> NDArray[Any]:
        library = self._library
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        array = np.empty(shape, DTYPES[library.TF_TensorType(tensor)])
        if array.nbytes:
            ctypes.memmove(array.ctypes.data, library.TF_TensorData(tensor), array.nbytes)
        return array


def run_in_fresh_process(
    export_dir: str | os.PathLike[str],
    signature: str,
    /,
    *,
    allow_xla: bool = False,
    **inputs: ArrayLike,
) -> dict[str, NDArray[Any]]:
    """Sends one request to a `ServedModel` in a new process, which takes about a second.

    Args:
        export_dir: the folder that holds `saved_model.pb`.
        signature: the name of a signature.
        allow_xla: as for `ServedModel`.
        **inputs: the signature's inputs, by name.

    Returns:
        The signature's outputs, by name.

    Raises:
        ValueError, RuntimeError: as `ServedModel` and its `run` do, and a RuntimeError with what
            the process wrote if it crashes.
    """
    with tempfile.TemporaryDirectory() as folder:
        sent, received = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        _write_arrays(sent, inputs)
        options = ["--allow-xla"] if allow_xla else []
        # -P: or else a file beside this one could hide a module of the standard library.
        command = [sys.executable, "-P", __file__, export_dir, signature, sent, received, *options]
        process = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if process.returncode != 0:
            raise _error_of(process)
        return _read_arrays(received)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends one request, from and to `.npz` files; the command at the top of this file."""
    parser = argparse.ArgumentParser(description="Run a SavedModel as TensorFlow Serving would.")
    parser.add_argument("export_dir", help="folder that holds saved_model.pb")
    parser.add_argument("signature", help="name of a signature, such as serving_default")
    parser.add_argument("inputs", help=".npz file with an array for each input")
    parser.add_argument("outputs", help=".npz file to write, with an array for each output")
    parser.add_argument("--allow-xla", action="store_true", help="compile for the CPU if asked to")
    given = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only

    try:
        with ServedModel(given.export_dir, allow_xla=given.allow_xla) as served:
            outputs = served.run(given.signature, **_read_arrays(given.inputs))
    except (RuntimeError, ValueError) as error:
        kind = "ValueError" if isinstance(error, ValueError) else "RuntimeError"
        sys.exit(f"{kind}: {error}")  # one readable message, no traceback
    imported = {name.partition(".")[0] for name in sys.modules}
    intruders = sorted(imported & {"tensorflow", "keras", "kerasar"})
    assert not intruders, f"a server has no Python, but this process imported {intruders}"
    _write_arrays(given.outputs, outputs)


class _Endpoint(NamedTuple):
    """One input or output of a signature: its place in the graph, `operation:index`, and dtype."""

    tensor: str
    dtype: str


class _Output(ctypes.Structure):
    """`TF_Output` of c_api.h."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class _Buffer(ctypes.Structure):
    """`TF_Buffer` of tf_buffer.h."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]


_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_BUFFER, _DIMS = ctypes.POINTER(_Buffer), ctypes.POINTER(ctypes.c_int64)
_OUTPUTS, _POINTERS = ctypes.POINTER(_Output), ctypes.POINTER(ctypes.c_void_p)

#: The functions of TensorFlow's C interface that we call: what each returns, and its arguments.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_DeleteStatus": (None, [_POINTER]),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (_TEXT, [_POINTER]),
    "TF_NewBuffer": (_BUFFER, []),
    "TF_DeleteBuffer": (None, [_BUFFER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_DeleteGraph": (None, [_POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, _TEXT]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_DeleteSessionOptions": (None, [_POINTER]),
    "TF_LoadSessionFromSavedModel": (
        _POINTER,
        [_POINTER, _BUFFER, _TEXT, ctypes.POINTER(_TEXT), _INT, _POINTER, _BUFFER, _POINTER],
    ),
    "TF_SessionRun": (
        None,
        [_POINTER, _BUFFER]
        + [_OUTPUTS, _POINTERS, _INT] * 2  # what is fed, what is fetched
        + [_POINTERS, _INT, _BUFFER, _POINTER],
    ),
    "TF_CloseSession": (None, [_POINTER, _POINTER]),
    "TF_DeleteSession": (None, [_POINTER, _POINTER]),
    "TF_AllocateTensor": (_POINTER, [_INT, _DIMS, _INT, _SIZE]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, _INT]),
    "_ZN10tensorflow20EnableXlaCompilationEv": (None, []),
    "_ZN10tensorflow21DisableXlaCompilationEv": (None, []),
}


def _load_library() -> ctypes.CDLL:
    package = importlib.util.find_spec("tensorflow")  # finds the package without importing it
    if package is None or not package.submodule_search_locations:
        raise ImportError("ServedModel uses the C++ library in TensorFlow's wheel. Install it.")
    path = Path(package.submodule_search_locations[0], "libtensorflow_cc.so.2")
    # Not RTLD_GLOBAL: with its symbols global, a later `import tensorflow` crashes.
    library = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _convert(value: ArrayLike, dtype: str, what: str) -> NDArray[Any]:
    given, wanted = np.asarray(value), np.dtype(dtype)
    integers = given.dtype.kind in "iu" and wanted.kind in "iu"
    if integers or np.can_cast(given.dtype, wanted, "same_kind"):
        array = given.astype(wanted, order="C")
        if not integers or np.array_equal(array, given):
            return array
    raise ValueError(
        f"Input {what} is of {dtype}, but got {given.dtype} "
        f"{np.array2string(given, threshold=8, edgeitems=2)}. Give values that fit."
    )


def _listed(endpoints: Mapping[str, _Endpoint]) -> str:
    return ", ".join(f"{name} ({end.dtype})" for name, end in endpoints.items()) or "no inputs"


def _read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _write_arrays(path: str | Path, arrays: Mapping[str, ArrayLike]) -> None:
    # Not np.savez: it takes the names `file` and `allow_pickle` for itself, and it pickles.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def _error_of(process: subprocess.CompletedProcess[str]) -> Exception:
    # Lines of TensorFlow's log may come before the message, never after it.
    found = re.search(r"^(RuntimeError|ValueError): (.*)", process.stderr, re.DOTALL | re.MULTILINE)
    if process.returncode == 1 and found:
        kind = RuntimeError if found[1] == "RuntimeError" else ValueError
        return kind(found[2].rstrip())
    code = process.returncode
    end = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return RuntimeError(f"The process that served the model {end} and wrote:\n{process.stderr}")


def _read_endpoints(
    meta_graph: bytes,
) -> dict[str, tuple[dict[str, _Endpoint], dict[str, _Endpoint]]]:
    """Reads the signatures, their inputs and outputs, from a serialized MetaGraphDef.

    The field numbers are those of meta_graph.proto; the classes made from it would need Python's
    TensorFlow.
    """
    endpoints = {}
    for name, signature in _map_entries(meta_graph, 5):
        # A signature without a method is the loader's own: the op that initializes.
        if any(number == 3 and value for number, value in fields(signature)):
            inputs, outputs = (
                {key: _read_endpoint(info) for key, info in sorted(_map_entries(signature, number))}
                for number in (1, 2)
            )
            endpoints[name] = inputs, outputs
    return endpoints


def _read_endpoint(tensor_info: bytes) -> _Endpoint:
    found: dict[int, Any] = dict(fields(tensor_info))
    number = found.get(2, 0)
    # Field 1 is the tensor's name; sparse and ragged ones have none.
    return _Endpoint(found.get(1, b"").decode(), DTYPES.get(number, f"TensorFlow type {number}"))


def _varint(value: int) -> bytes:
    """An integer of a protocol buffer: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _map_entries(message: bytes, number: int) -> Iterator[tuple[str, bytes]]:
    for field, entry in fields(message):
        if field == number:
            pair: dict[int, Any] = dict(fields(entry))
            yield pair[1].decode(), pair.get(2, b"")


def fields(message: Any) -> Iterator[tuple[int, Any]]:
    """Yields the fields of a protocol buffer: number, and an int or the bytes.

    https://protobuf.dev/programming-guides/encoding
    """
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift  # seven bits a byte, the lowest first
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        number, wire_type = divmod(varint(), 8)
        if wire_type == 0:
            yield number, varint()
            continue
        size = {1: 8, 5: 4}.get(wire_type) or varint()
        yield number, message[position : position + size]
        position += size


if __name__ == "__main__":
    main()
