"""The state of a stream as a file, and what a state belongs to."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasar.checks import existing_file, new_file
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.stream_steps import Memory
from kerasar.typing import Tensor

#: What the header of an array takes in a file, at most.
_HEADER = 4096
_FACTS = ("model", "batch_size", "length", "condition", "step")


@dataclass(frozen=True, eq=False)
class Origin:
    """What a state belongs to: nothing else can go on from it.

    Attributes:
        model: an `AutoregressiveDensity`.
        batch_size: number of sequences.
        length: steps that the stream has room for.
        condition: a fingerprint.
    """

    model: SampledAutoregressive
    batch_size: int
    length: int
    condition: str

    @classmethod
    def of(
        cls,
        model: SampledAutoregressive,
        batch_size: int,
        length: int,
        condition: dict[str, np.ndarray] | None,
    ) -> "Origin":
        """The origin of a stream's states; `condition` holds arrays by name."""
        return cls(model, batch_size, length, _digest(*sorted((condition or {}).items())))

    def check(self, other: "Origin") -> None:
        """Raises a ValueError if a state of another origin does not belong to this one."""
        if other.model is not self.model:
            raise self._other_model()
        self._check_facts(other.batch_size, other.length, other.condition)

    def facts(self) -> dict[str, str | int]:
        """What a file notes of it."""
        of_model = fingerprint(self.model)
        return dict(
            zip(_FACTS[:-1], (of_model, self.batch_size, self.length, self.condition), strict=True)
        )

    def check_file(self, facts: dict[str, Any]) -> None:
        """Raises a ValueError if a file's state does not belong to it."""
        if facts["model"] != fingerprint(self.model):
            raise self._other_model()
        self._check_facts(facts["batch_size"], facts["length"], facts["condition"])

    def _other_model(self) -> ValueError:
        return ValueError(
            f"The state is of another model than '{self.model.name}': layers, weights or "
            "likelihood differ. Go on with the model that it was taken from."
        )

    def _check_facts(self, batch_size: int, length: int, condition: str) -> None:
        for name, own, other in (
            ("batch_size", self.batch_size, batch_size),
            ("length", self.length, length),
        ):
            if own != other:
                raise ValueError(
                    f"The state is of a stream with {name}={other}, but this one has {name}={own}. "
                    f"Begin one with the same {name}: model.stream({name}={other}, …)."
                )
        if condition != self.condition:
            raise ValueError(
                "The state is of a stream with another condition. Begin one with the same: "
                "model.stream(condition=…)."
            )


def fingerprint(model: SampledAutoregressive) -> str:
    """What tells models apart: layers, weights and likelihood; not the names of layers."""
    likelihood = model.likelihood
    parts = (model.network.get_config(), type(likelihood).__name__, likelihood.get_config())
    config = json.dumps(_without_names(parts), default=lambda part: type(part).__name__)
    weights = enumerate(keras.ops.convert_to_numpy(weight) for weight in model.network.weights)
    return _digest((config, np.zeros(0)), *((str(i), weight) for i, weight in weights))


def write_state(path: Any, step: int, origin: Origin, memory: Memory) -> None:
    """Writes the state of a stream to an .npz file; raises as `new_file` does."""
    path = new_file(path)
    if path.suffix != ".npz":
        raise ValueError(f"path must be the name of an .npz file, but got '{path}'.")
    arrays = {name: tensor.numpy() for name, tensor in memory.by_name().items()}
    facts = {name: np.array(fact) for name, fact in {**origin.facts(), "step": step}.items()}
    np.savez(path, allow_pickle=False, **facts, **arrays)


def read_state(path: Any, origin: Origin, like: Memory) -> tuple[int, Memory]:
    """The step and the memory from a file.

    Args:
        path: of the file.
        origin: what its state must belong to.
        like: a memory of that origin.

    Raises:
        ValueError: if the file holds no state, or one of another origin.
        TypeError, OSError: as `existing_file` does.
    """
    path = existing_file(path)
    facts = _read(path, dict.fromkeys(_FACTS, 0))
    if facts is None or any(array.ndim for array in facts.values()):
        raise _refusal(path)
    origin.check_file({name: array.item() for name, array in facts.items()})
    wanted = like.by_name()
    arrays = _read(path, {name: _num_bytes(tensor) for name, tensor in wanted.items()})
    step = facts["step"].item()
    if arrays is None or not isinstance(step, int) or not 0 <= step <= origin.length:
        raise _refusal(path)
    tensors = []
    for name, tensor in wanted.items():
        array, dtype = arrays[name], tensor.dtype.as_numpy_dtype
        if array.dtype.kind == "V":  # NumPy's files do not know bfloat16
            array = array.view(dtype)
        if array.shape != tensor.shape or array.dtype != dtype:
            raise _refusal(path)
        tensors.append(tf.constant(array, tensor.dtype))
    return step, tf.nest.pack_sequence_as(like, tensors)


def _refusal(path: Path) -> ValueError:
    return ValueError(
        f"'{path}' does not hold the state of a stream, or not a whole one. stream.save(path) "
        "writes such files."
    )


def _read(path: Path, sizes: dict[str, int]) -> dict[str, np.ndarray] | None:
    """The arrays of these names and numbers of bytes at most; None if they are not there.

    A file may claim any size: nothing is unpacked before that is known.
    """
    try:
        with zipfile.ZipFile(path) as file:
            found = {info.filename: info.file_size for info in file.infolist()}
        if any(found.get(f"{n}.npy", np.inf) > size + _HEADER for n, size in sizes.items()):
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in sizes}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, OSError):
        return None


def _num_bytes(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape)) * int(tensor.dtype.size)


def _digest(*parts: tuple[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in parts:
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _without_names(config: Any) -> Any:
    """A configuration in which the names of layers are counted, as each process counts anew."""
    names: dict[str, str] = {}

    def collect(part: Any) -> None:
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            names.setdefault(part["name"], f"#{len(names)}")
        for inner in _inner(part):
            collect(inner)

    def renamed(part: Any) -> Any:
        if isinstance(part, dict):
            return {str(key): renamed(value) for key, value in part.items()}
        if isinstance(part, (list, tuple)):
            return [renamed(value) for value in part]
        return names.get(part, part) if isinstance(part, str) else part

    collect(config)
    return renamed(config)


def _inner(part: Any) -> Iterable[Any]:
    if isinstance(part, dict):
        return part.values()
    return part if isinstance(part, (list, tuple)) else ()
