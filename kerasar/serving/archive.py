"""Writes functions as one SavedModel, whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from kerasar.checks import user_path
from kerasar.serving.bounds import Bounds, checking_inputs
from kerasar.serving.warm_up import (
    BATCHING,
    batching_parameters,
    example_requests,
    input_specs,
    write_requests,
)
from kerasar.version import __version__

#: Where an export says what it is, for people and for clients.
CONFIG = os.path.join("assets", "config.json")

#: A function on tensors, and the specifications of its arguments, named as in the request.
Endpoint: TypeAlias = tuple[Callable[..., Any], list[tf.TensorSpec]]


def export_model(
    model: Any,
    endpoints: Callable[..., dict[str, Endpoint]],
    filepath: str | os.PathLike[str],
    verbose: bool = False,
    **options: Any,
) -> None:
    """Writes a model as a SavedModel; the first of its endpoints becomes `serving_default`.

    Args:
        model: any model that is exported.
        endpoints: makes them, by name, given the bounds and the other options; called once the
            folder is known to be free.
        filepath: a folder that does not exist yet.
        verbose: as for `keras.Model.export`.
        **options: `max_samples` and `max_positions`, see `Bounds`, and others of the endpoints,
            `jit_compile` among them.

    Raises:
        FileExistsError: if `filepath` exists; nothing is overwritten.
        TypeError, ValueError: for bounds that are not counts.
    """
    filepath = str(user_path(filepath, "filepath"))
    if os.path.exists(filepath):
        raise FileExistsError(
            f"'{filepath}' exists already, and an export overwrites nothing. TensorFlow Serving "
            "picks the highest number: export to the next one."
        )
    given = {name: options.pop(name) for name in Bounds._fields if name in options}
    bounds = Bounds(**given).check()
    # Concrete functions are written as they are; others would be traced once more while saving.
    signatures = {
        name: tf.function(
            checking_inputs(function, specs, bounds), autograph=False
        ).get_concrete_function(*specs)
        for name, (function, specs) in endpoints(bounds, **options).items()
    }
    parent = os.path.dirname(os.path.abspath(filepath))
    os.makedirs(parent, exist_ok=True)
    # Written to a folder beside it and moved, so that a server never sees half an export.
    staging = tempfile.mkdtemp(prefix=".export-", dir=parent)
    try:
        written = os.path.join(staging, "model")
        _write_signatures(signatures, written)
        about = {**_describe(model, bounds), "jit_compile": options.get("jit_compile", False)}
        _write_notes(model, bounds, about, signatures, written)
        os.rename(written, filepath)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if verbose:
        for name, signature in signatures.items():
            print(f"* Endpoint '{name}'\n{signature.pretty_printed_signature(verbose=True)}\n")


def _write_signatures(signatures: dict[str, Any], folder: str) -> None:
    archive = tf.Module()
    variables = (variable for signature in signatures.values() for variable in signature.variables)
    archive.all_variables = list({id(variable): variable for variable in variables}.values())
    for name, signature in signatures.items():
        setattr(archive, name, signature)  # for `tf.saved_model.load`
    default = next(iter(signatures.values()))
    tf.saved_model.save(archive, folder, {"serving_default": default, **signatures})


def _write_notes(
    model: Any, bounds: Bounds, about: dict[str, Any], signatures: dict[str, Any], folder: str
) -> None:
    """What an export says of itself, and what a server may make of it."""
    config = {
        **about,
        "signatures": {name: _shapes(signature) for name, signature in signatures.items()},
    }
    os.makedirs(os.path.join(folder, "assets"), exist_ok=True)
    write_requests(folder, model.name, example_requests(model, signatures))
    with open(os.path.join(folder, CONFIG), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    with open(os.path.join(folder, BATCHING), "w", encoding="utf-8") as file:
        file.write(batching_parameters(bounds.max_samples))


def _describe(model: Any, bounds: Bounds) -> dict[str, Any]:
    """What the users of an exported model need to know besides its signatures."""
    shape, levels = model.data_shape, model.data_levels
    return {
        "model": type(model).__name__,
        "name": model.name,
        "kerasar": __version__,
        "data_shape": list(shape),
        "levels": levels,
        "values": "real numbers" if levels is None else f"integers from 0 to {levels - 1}",
        "log_prob": "nats: the natural logarithm of the probability, or density, of an example",
        "max_samples": bounds.max_samples,
        "max_positions": bounds.positions_for(shape),
    }


def _shapes(signature: Any) -> dict[str, Any]:
    """The inputs and outputs of a signature by name: dtype, and sizes, None where open."""
    parts = (("inputs", input_specs(signature)), ("outputs", signature.structured_outputs))
    return {
        part: {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in specs.items()
        }
        for part, specs in parts
    }
