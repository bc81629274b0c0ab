"""Whether what the user calls DATA is a name or a path."""

from pathlib import Path

from kerasar.data.catalog import DATASETS, SEQUENCES
from kerasar.data.toy_densities import TOY_DENSITIES


def path_of(spec: str) -> Path | None:
    """The file or folder that a reader reads; None for data sets by name."""
    names = {*DATASETS, *SEQUENCES, *TOY_DENSITIES}
    if spec in names or spec.startswith("tfds:"):
        return None  # a name wins over a path
    path = Path(spec).expanduser()
    return path if path.exists() else None
