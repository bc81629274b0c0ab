"""Writes functions as one SavedModel, whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from kerasar.checks import user_path
from kerasar.serving.bounds import checking_shapes

#: A function on tensors, and the specifications of its arguments, named as in the request.
Endpoint: TypeAlias = tuple[Callable[..., Any], list[tf.TensorSpec]]


def write_archive(
    endpoints: Callable[[], dict[str, Endpoint]],
    filepath: str | os.PathLike[str],
    verbose: bool = False,
) -> None:
    """Writes endpoints; the first one becomes `serving_default`.

    Args:
        endpoints: makes them, by name; called once the folder is known to be free.
        filepath: a folder that does not exist yet.
        verbose: as for `keras.Model.export`.

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
        os.rename(written, filepath)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if verbose:
        for name, signature in signatures.items():
            print(f"* Endpoint '{name}'\n{signature.pretty_printed_signature(verbose=True)}\n")
