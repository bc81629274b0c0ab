"""What `kerasar compress` and `decompress` share."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
        ValueError: if nothing can be coded by it, or it needs more than a file holds.
    """
    from kerasar.density_models.not_coded import NotCoded

    model = run.load_model()
    if isinstance(model, NotCoded):
        model.compress()  # says why not
    conditions = getattr(model, "conditions", None)
    if conditions and not conditions.are_classes:
        raise ValueError(
            f"'{run.path}' is conditioned on {', '.join(conditions.shapes)}, and a file holds no "
            "more than a class for each example. In Python, model.compress(x, condition) and "
            "model.decompress(data, condition) take it."
        )
    return model


def parts_of(batch: Any) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
    """The examples of a batch; their lengths and their classes, if they have some."""
    named = batch if isinstance(batch, dict) else {"x": batch}
    x, *others = (named.get(name) for name in ("x", "length", "condition"))
    lengths, classes = (None if part is None else np.asarray(part) for part in others)
    return np.asarray(x), lengths, classes
