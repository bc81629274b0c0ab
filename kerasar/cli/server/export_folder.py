"""An exported model on disk: its folder, what it says of itself, and its warm-up requests."""

import importlib.util
import json
import os
import struct
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kerasar
from kerasar.cli.support.run_folder import CONFIG as RUN_CONFIG

#: Where an export says what it is, and where its warm-up requests are.
_CONFIG = os.path.join("assets", "config.json")
_WARM_UP = os.path.join("assets.extra", "tf_serving_warmup_requests")


class ExportFolder:
    """The folder of a SavedModel that `export` has written.

    Args:
        path: a run, of which the newest export is taken; a folder of numbered exports, as
            TensorFlow Serving takes it; or the export itself.

    Raises:
        ValueError: if there is no export.
    """

    def __init__(self, path: Path) -> None:
        self.path = _newest(path)
        #: The name of the run, or of the folder of exports.
        self.model_name = _model_name(self.path)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What `assets/config.json` says."""
        try:
            found: dict[str, Any] = json.loads((self.path / _CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ValueError(
                f"'{self.path}' has no readable {_CONFIG}, so it is not an export of this version. "
                "Export the model again: kerasar export RUN."
            ) from None
        return found

    def warm_up_requests(self) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
        """Signatures, and their inputs by name: one request of each."""
        read = client()
        for record in _records(self.path / _WARM_UP):
            log = dict(read.fields(record))
            request = list(read.fields(dict(read.fields(log[6]))[1]))
            signature = dict(read.fields(dict(request)[1]))[3].decode()
            pairs = [dict(read.fields(pair)) for number, pair in request if number == 2]
            yield signature, {pair[1].decode(): _array(pair[2]) for pair in pairs}


def client() -> ModuleType:
    """`kerasar.testing.saved_model`, by its path: its room imports TensorFlow, and it does not."""
    if _CLIENT not in sys.modules:
        path = Path(kerasar.__file__).with_name("testing") / "saved_model.py"
        spec = importlib.util.spec_from_file_location(_CLIENT, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"'{path}' is missing: install kerasar again.")
        sys.modules[_CLIENT] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[_CLIENT]


_CLIENT = "kerasar_saved_model"


def _newest(path: Path) -> Path:
    if (path / "saved_model.pb").is_file():
        return path
    found = path / "export" if (path / RUN_CONFIG).is_file() else path
    exports = [part for part in found.glob("[0-9]*") if (part / "saved_model.pb").is_file()]
    numbers = {int(part.name): part for part in exports if part.name.isdecimal()}
    if not numbers:
        raise ValueError(
            f"'{path}' holds no export. Give a run, a folder of numbered exports or an export; "
            "kerasar export RUN writes one."
        )
    return numbers[max(numbers)]


def _model_name(path: Path) -> str:
    """Of `runs/NAME/export/1`, or `/models/NAME/1`."""
    parent = path.resolve().parent if path.name.isdecimal() else path.resolve()
    return parent.parent.name if parent.name == "export" else parent.name


def _records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: a length, its checksum, so many bytes, their checksum."""
    try:
        content = path.read_bytes()
    except OSError:
        raise ValueError(f"'{path}' is missing: there is nothing to warm up with.") from None
    while content:
        (size,) = struct.unpack_from("<Q", content)
        yield content[12 : 12 + size]
        content = content[16 + size :]


def _array(tensor: bytes) -> NDArray[Any]:
    """A `TensorProto` with `tensor_content`, the form in which export writes it."""
    read = client()
    found = dict(read.fields(tensor))
    axes = [dict(read.fields(axis)) for _, axis in read.fields(found.get(2, b""))]
    dtype = read.DTYPES[found[1]]
    return np.frombuffer(found.get(4, b""), dtype).reshape([axis.get(1, 0) for axis in axes])
