"""What `kerasar train` trains on what: data that were read, a model that was built for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasar.cli.kinds import DataKind, kind_of, panel_or_series
from kerasar.cli.kinds.kind import TrainingData, path_of
from kerasar.cli.registry import find_model
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.tensorflow_startup import start_tensorflow

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: The options of the command that a training follows from.
OPTIONS = (
    "model",
    "data",
    "epochs",
    "minutes",
    "batch_size",
    "learning_rate",
    "seed",
    "levels",
    "likelihood",
    "conditional",
    "column",
    "covariate",
    "calendar",
    "series",
    "static",
    "wide",
    "embed_series",
    "tokens",
    "context",
    "data_dir",
    "precision",
    "skip_corrupt",
)
#: What models are computed in; weights, likelihoods and metrics are in float32 always.
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True, eq=False)
class Setup:
    """A training before its first step.

    Attributes:
        kind: of the data.
        model: a model that was just built.
        data: what it is trained on.
        spec: what the user passed as DATA.
        config: what `config.json` keeps.
    """

    kind: DataKind
    model: DensityModel
    data: TrainingData
    spec: str
    config: dict[str, Any]


def set_up(options: Mapping[str, Any], scope: Callable[[], Any] = nullcontext) -> Setup:
    """Reads the data and builds the model.

    Args:
        options: of the command, by the names in `OPTIONS`; as given, or as `config.json` has them.
        scope: gives the context to build the model in.

    Raises:
        ValueError: if they do not fit each other or the data.
    """
    name, data, likelihood = options["model"], options["data"], options["likelihood"]
    entry, minutes = find_model(name), options["minutes"]
    start_tensorflow()
    import keras

    from kerasar.cli.support.training_job import check_room

    is_text = options["tokens"] is not None or options["context"] is not None
    kind = kind_of(name, entry.kinds, data, is_text)
    kind = panel_or_series(kind, entry.kinds, data, options["series"], bool(options.get("wide")))
    # A single column gives steps that are scalars; several give vectors.
    column = options["column"]
    columns = column[0] if column and len(column) == 1 else column or None
    if options.get("skip_corrupt") and kind.name != "images":
        raise ValueError(f"--skip-corrupt is for folders of images, but '{data}' has {kind.noun}.")
    is_series = kind.name in ("series", "panel")
    if any(options[part] for part in ("covariate", "calendar", "series")) and not is_series:
        raise ValueError(
            f"--series, --covariate and --calendar are for series, but DATA are {kind.noun}."
        )
    if kind.name != "panel" and any(options.get(p) for p in ("static", "wide", "embed_series")):
        raise ValueError(
            "--static, --wide and --embed-series are for a 'forecaster' of many series in one "
            f"file, but '{name}' is trained on {kind.noun} here. Leave them out."
        )
    if (precision := options.get("precision")) not in (None, *PRECISIONS):
        raise ValueError(f"--precision must be {' or '.join(PRECISIONS)}, but got '{precision}'.")
    parts = (
        "conditional", "calendar", "series", "tokens", "context", "likelihood", "skip_corrupt",
    )  # fmt: skip
    reading = {
        **{part: options.get(part) for part in parts},
        "column": columns,
        "covariates": options["covariate"],
        "statics": options.get("static"),
        "wide": options.get("wide"),
        "embed": options.get("embed_series"),
    }
    if likelihood is not None and "likelihood" not in entry.parameters:
        raise ValueError(f"--likelihood cannot be chosen for '{name}': it has its own.")
    if likelihood is not None and not kind.has_likelihoods:
        raise ValueError(f"--likelihood cannot be chosen for {kind.noun}: it follows from them.")
    data_dir = None if options["data_dir"] is None else Path(options["data_dir"])
    with heartbeat("reading the data"):
        loaded = kind.load(data, data_dir, options["levels"], reading)
    facts = loaded.facts(kind.name)
    choice = entry.choose(facts)
    batch_size = options["batch_size"]
    settings = {
        "epochs": options["epochs"] or choice.epochs(facts.examples, batch_size),
        "batch_size": batch_size or choice.batch_size,
        "learning_rate": options["learning_rate"] or choice.learning_rate,
        "minutes": minutes,
        "likelihood": likelihood,
    }
    if minutes is not None:
        settings["epochs"] = None
    keras.utils.set_random_seed(options["seed"])
    with scope(), _policy(options.get("precision") or "float32"):
        built = entry.build(facts, **loaded.arguments)
    kind.check_model(name, built, loaded, options["conditional"])
    check_room(built)
    loaded = loaded.for_model(built)
    path = path_of(data)
    paths = {
        "data_path": None if path is None else str(path.absolute()),
        "data_dir": None if data_dir is None else str(data_dir.absolute()),
    }
    again = {"data": paths["data_path"] or data, "data_dir": paths["data_dir"]}
    config = {
        "model": name,
        "kind": kind.name,
        **loaded.settings,
        "levels": loaded.arguments.get("levels"),
        "data": loaded.name,
        **paths,
        **settings,
        "conditional": options["conditional"],
        "seed": options["seed"],
        "precision": options.get("precision") or "float32",
        "examples": loaded.counts,
        # What the command was told, for --resume.
        "options": {**{part: options.get(part) for part in OPTIONS}, **again},
    }
    return Setup(kind, built, loaded, data, config)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """New layers compute by that policy of Keras."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
