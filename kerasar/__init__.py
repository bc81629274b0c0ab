"""kerasar: Keras models with an exact likelihood.

Autoregressive networks for sequences and images, and normalizing flows. `model.fit` trains;
`log_prob`, `sample` and `inpaint` use the model; `export` writes a SavedModel for TensorFlow
Serving. TensorFlow is imported when a name is first used, not by `import kerasar`.
"""

import ast
import importlib
import os
from pathlib import Path
from typing import Any

from kerasar.version import __version__ as __version__

if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
    raise ImportError(
        "kerasar runs on Keras' TensorFlow backend only, but KERAS_BACKEND is "
        f"'{os.environ['KERAS_BACKEND']}'. Set KERAS_BACKEND=tensorflow before Python starts."
    )

#: Public name -> the module that defines it. The stub lists them, so that type checkers see the
#: same names (https://scientific-python.org/specs/spec-0001/).
_MODULES = {
    alias.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'kerasar' has no attribute '{name}'")
    if _MODULES[name] == "kerasar":
        return importlib.import_module(f"kerasar.{name}")
    return getattr(importlib.import_module(str(_MODULES[name])), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
