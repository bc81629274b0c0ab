"""Loads models that `model.save` wrote."""

import os
import zipfile
from typing import Any

import keras

import kerasar.convolutionalize  # noqa: F401  (registers the classes of a file)
import kerasar.models  # noqa: F401  (likewise)
import kerasar.scores  # noqa: F401  (likewise)
from kerasar.checks import user_path
from kerasar.data.plain_text import plain_text
from kerasar.loading.archive import check_archive
from kerasar.models.parts.weight_limit import weight_limit


def load(path: str | os.PathLike[str]) -> Any:
    """Loads a model of kerasar's from a `.keras` file.

    The file is data, never code. Before anything is built of it, its configuration is read: it may
    name layers, initializers, optimizers and the like of Keras, activations of Keras, and whatever
    is registered, but no other function, no `Lambda`, and no layer that reads other files. A file
    holds at most 100 members, 8 MB of configuration, 100 levels deep, of 4,000 layers, and no shape
    of more than 2²⁴ values. Unpacked, and as a model with its optimizer, it takes at most four
    times its size and 64 MB.

    Args:
        path: a file that `model.save` wrote, or a run folder of the `kerasar` command.

    Returns:
        The model, compiled as when it was saved; or a network that `convolutionalize` made.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a model of kerasar's, is damaged, or exceeds these bounds.
    """
    path = str(user_path(path))
    if os.path.isdir(path) and os.path.exists(os.path.join(path, "model.keras")):
        path = os.path.join(path, "model.keras")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no model at '{path}'.")
    if not path.endswith(".keras") or not zipfile.is_zipfile(path):
        raise ValueError(
            f"'{path}' is not a .keras file, or is damaged. model.save('name.keras') writes one."
        )
    most = check_archive(path)

    def refuse(shape: tuple[int, ...], needed: int) -> Exception:
        return ValueError(
            f"its configuration asks for weights of more than {most:,} bytes, at shape {shape}, "
            "which the file does not hold."
        )

    try:
        with weight_limit(most, refuse):
            return keras.saving.load_model(path, safe_mode=True)
    # A stranger's file can fail in any layer, each with errors of its own.
    except Exception as error:
        reason = str(error).split("\n\nconfig=")[0].split(" Full object config")[0]
        reason = " ".join(reason.rsplit("Exception encountered: ", 1)[-1].split())[:400]
        reason = plain_text(reason) or type(error).__name__
        raise ValueError(f"'{path}' is damaged, or not a saved model: {reason}") from error
