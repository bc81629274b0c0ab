"""Finds the kind of data from what the model takes and what DATA looks like."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from kerasar.cli.kinds.audio import Audio
from kerasar.cli.kinds.images.images import Images
from kerasar.cli.kinds.kind import DataKind
from kerasar.cli.kinds.panel import Panel
from kerasar.cli.kinds.sequences import Sequences
from kerasar.cli.kinds.series import Series
from kerasar.cli.kinds.text import Text
from kerasar.cli.kinds.vectors import Vectors
from kerasar.cli.registry import MODELS
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data.panel import holds_several

KINDS: Mapping[str, DataKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (Images(), Sequences(), Audio(), Text(), Series(), Panel(), Vectors())
    }
)


def kind_of_run(run: RunFolder) -> DataKind:
    """The kind of data that a run was trained on."""
    return KINDS[run.config.get("kind", "images")]


def kind_of(model: str, kinds: Sequence[str], spec: str, is_text: bool = False) -> DataKind:
    """The kind of data that DATA is, of those that a model takes.

    Args:
        model: its name.
        kinds: those that it takes.
        spec: what the user passes as DATA.
        is_text: whether the user's options say that it is a text.

    Raises:
        ValueError: if DATA is a data set of another kind, or looks like none of several.
    """
    if is_text:
        return _text(model, kinds)
    named = next((kind for kind in KINDS.values() if spec in kind.data_sets), None)
    if named is not None and named.name not in kinds:
        suited = [name for name, entry in MODELS.items() if named.name in entry.kinds]
        raise ValueError(
            f"Model '{model}' is trained on {' or '.join(KINDS[name].noun for name in kinds)}, but "
            f"'{spec}' holds {named.noun}. Models for {named.noun} are {', '.join(suited)}; data "
            f"for '{model}' can be {'; '.join(KINDS[name].accepted for name in kinds)}."
        )
    if len(kinds) == 1:
        return KINDS[kinds[0]]
    for name in kinds:
        if KINDS[name].claims(spec):
            return KINDS[name]
    accepted = "; ".join(KINDS[name].accepted for name in kinds)
    raise ValueError(
        f"Model '{model}' is trained on {' or '.join(kinds)}, and '{spec}' looks like none of "
        f"these. DATA can be {accepted}. Check the path."
    )


def panel_or_series(
    kind: DataKind, kinds: Sequence[str], spec: str, series: str | None, wide: bool
) -> DataKind:
    """A panel in place of a series, where a model takes such and the file holds several.

    Args:
        kind: that of DATA.
        kinds: those that the model takes.
        spec: what the user passes as DATA.
        series: the one that the user chooses, if any.
        wide: whether each row is a series.
    """
    if kind.name != "series" or "panel" not in kinds or series is not None:
        return kind
    path = Path(spec).expanduser()
    is_table = path.suffix.lower() in (".csv", ".tsv", ".txt") and path.is_file()
    return KINDS["panel"] if wide or (is_table and holds_several(path)) else kind


def _text(model: str, kinds: Sequence[str]) -> DataKind:
    if "text" not in kinds:
        suited = [name for name, entry in MODELS.items() if "text" in entry.kinds]
        raise ValueError(
            f"--tokens and --context are for models of text, {', '.join(suited)}, but '{model}' is "
            f"trained on {' or '.join(KINDS[name].noun for name in kinds)}. Leave them out."
        )
    return KINDS["text"]
