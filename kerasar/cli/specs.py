"""Whether what the user calls DATA is a name or a path."""

from pathlib import Path

from kerasar.data.catalog import DATASETS, SEQUENCES


def path_of(spec: str) -> Path | None:
    """The file or folder that a reader reads; None for data sets by name."""
    if spec in DATASETS or spec in SEQUENCES or spec.startswith("tfds:"):
        return None  # a name wins over a path
    path = Path(spec).expanduser()
    return path if path.exists() else None
