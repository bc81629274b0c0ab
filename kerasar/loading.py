"""Loads models that `model.save` wrote."""

import os
import zipfile
from typing import Any

import keras

import kerasar.convolutionalize  # noqa: F401  (registers the classes of a file)
import kerasar.models  # noqa: F401  (likewise)


def load(path: str | os.PathLike[str]) -> Any:
    """Loads a model from a `.keras` file.

    The file is data, never code: Keras' safe mode refuses `Lambda` layers and pickles.

    Args:
        path: a file that `model.save` wrote, or a run folder of the `kerasar` command.

    Returns:
        The model, compiled as when it was saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a Keras model, or is damaged.
    """
    path = os.fspath(path)
    if os.path.isdir(path) and os.path.exists(os.path.join(path, "model.keras")):
        path = os.path.join(path, "model.keras")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no model at '{path}'.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"'{path}' is not a .keras file, or is damaged. model.save('name.keras') writes one."
        )
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' is damaged, or not a saved model: {error}") from error
    except TypeError as error:  # Keras' error for a class that it does not know
        reason = str(error).split(" Full object config")[0]
        raise ValueError(f"'{path}' cannot be loaded: {reason}") from error
