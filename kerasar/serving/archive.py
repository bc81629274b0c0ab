"""Writes functions as one SavedModel, whole or not at all."""

import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import tensorflow as tf

from kerasar.checks import user_path
from kerasar.serving.bounds import Bounds, checking_shapes

#: Where an export says what it is, for people and for clients.
CONFIG = os.path.join("assets", "config.json")

#: A function on tensors, and the specifications of its arguments, named as in the request.
Endpoint: TypeAlias = tuple[Callable[..., Any], list[tf.TensorSpec]]


def write_archive(
    endpoints: Callable[[], dict[str, Endpoint]],
    filepath: str | os.PathLike[str],
    verbose: bool = False,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Writes endpoints; the first one becomes `serving_default`.

    Args:
        endpoints: makes them, by name; called once the folder is known to be free.
        filepath: a folder that does not exist yet.
        verbose: as for `keras.Model.export`.
        about: what `assets/config.json` says besides the signatures: see `describe`.

    Raises:
        FileExistsError: if `filepath` exists; nothing is overwritten.
    """
    filepath = str(user_path(filepath, "filepath"))
    if os.path.exists(filepath):
        raise FileExistsError(
            f"'{filepath}' exists already, and an export overwrites nothing. TensorFlow Serving "
            "picks the highest number: export to the next one."
        )
    # Concrete functions are written as they are; others would be traced once more while saving.
    signatures = {
        name: tf.function(checking_shapes(function, specs), autograph=False).get_concrete_function(
            *specs
        )
        for name, (function, specs) in endpoints().items()
    }
    archive = tf.Module()
    variables = (variable for signature in signatures.values() for variable in signature.variables)
    archive.all_variables = list({id(variable): variable for variable in variables}.values())
    for name, signature in signatures.items():
        setattr(archive, name, signature)  # for `tf.saved_model.load`
    default = next(iter(signatures.values()))
    parent = os.path.dirname(os.path.abspath(filepath))
    os.makedirs(parent, exist_ok=True)
    # Written to a folder beside it and moved, so that a server never sees half an export.
    staging = tempfile.mkdtemp(prefix=".export-", dir=parent)
    try:
        written = os.path.join(staging, "model")
        tf.saved_model.save(archive, written, {"serving_default": default, **signatures})
        config = {**(about or {}), "signatures": {n: _shapes(s) for n, s in signatures.items()}}
        os.makedirs(os.path.join(written, "assets"), exist_ok=True)
        with open(os.path.join(written, CONFIG), "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
            file.write("\n")
        os.rename(written, filepath)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if verbose:
        for name, signature in signatures.items():
            print(f"* Endpoint '{name}'\n{signature.pretty_printed_signature(verbose=True)}\n")


def describe(model: Any, bounds: Bounds) -> dict[str, Any]:
    """What the users of an exported model need to know besides its signatures.

    Args:
        model: any model that is exported.
        bounds: what a request may ask for.
    """
    shape, levels = model.data_shape, model.data_levels
    return {
        "model": type(model).__name__,
        "name": model.name,
        "kerasar": _version(),
        "data_shape": list(shape),
        "levels": levels,
        "values": "real numbers" if levels is None else f"integers from 0 to {levels - 1}",
        "log_prob": "nats: the natural logarithm of the probability, or density, of an example",
        "max_samples": bounds.max_samples,
        "max_positions": bounds.positions_for(shape),
    }


def _version() -> str:
    try:
        return importlib.metadata.version("kerasar")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "unknown"


def _shapes(signature: Any) -> dict[str, Any]:
    """The inputs and outputs of a signature by name: dtype, and sizes, None where open."""
    _, inputs = signature.structured_input_signature
    parts = (("inputs", inputs), ("outputs", signature.structured_outputs))
    if not inputs:  # they were given by position
        given = {spec.name: spec for spec in signature.structured_input_signature[0]}
        parts = (("inputs", given), parts[1])
    return {
        part: {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in specs.items()
        }
        for part, specs in parts
    }
