"""What `kerasar compress` and `decompress` share."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder

if TYPE_CHECKING:
    from kerasar.cli.kinds import DataKind

_KINDS = ("images", "audio", "sequences", "vectors")


def check_can_compress(run: RunFolder, kind: "DataKind") -> None:
    """Raises an error, before TensorFlow is imported, if a run's data cannot be compressed."""
    if find_spec("constriction") is None:
        raise ImportError(
            "Compression needs the package constriction: pip install 'kerasar[compress]'."
        )
    if kind.name not in _KINDS:
        raise ValueError(
            f"Images, recordings and arrays are compressed, but '{run.path}' was trained on "
            f"{kind.noun}. In Python, model.compress() takes what the model was trained on."
        )


def load_coding_model(run: RunFolder) -> Any:
    """The model of a run.

    Raises:
        ValueError: if it needs more than a file holds.
    """
    model = run.load_model()
    if is_conditional(model):
        raise ValueError(
            f"'{run.path}' is conditioned on the class of each example, which a file does not "
            "hold. Train without --conditional, or use model.compress(x, condition) in Python."
        )
    if not hasattr(model, "compress"):
        raise ValueError(
            f"A {type(model).__name__} is no coder of discrete data: take the run of an "
            "autoregressive model, as pixelcnn."
        )
    return model


def with_lengths(batch: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The examples of a batch, and their lengths, if they have their own."""
    if not isinstance(batch, dict):
        return np.asarray(batch), None
    lengths = batch.get("length")
    return np.asarray(batch["x"]), None if lengths is None else np.asarray(lengths)
