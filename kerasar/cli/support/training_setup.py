"""What `kerasar train` trains on what: data that were read, a model that was built for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasar.cli.defaults import Choice, Facts
from kerasar.cli.kinds import DataKind, kind_of, panel_or_series
from kerasar.cli.kinds.kind import TrainingData, path_of
from kerasar.cli.registry import ModelEntry, find_model
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.memory import available_memory, in_gib

if TYPE_CHECKING:
    from kerasar.training import DensityModel

Options = Mapping[str, Any]

#: Options of the command that say how data are read.
_READING = (
    "conditional",
    "calendar",
    "series",
    "wide",
    "tokens",
    "context",
    "likelihood",
    "skip_corrupt",
)
#: Those that say how the model is trained; `config.json` keeps what was chosen for each.
_TRAINING = (
    "epochs",
    "minutes",
    "batch_size",
    "learning_rate",
    "optimizer",
    "schedule",
    "warmup_steps",
    "clip_norm",
    "ema",
    "patience",
    "likelihood",
    "conditional",
    "seed",
    "precision",
    "deterministic",
)
#: All that a training follows from.
OPTIONS = tuple(
    dict.fromkeys(
        (
            *("model", "data", "data_dir", "levels", "column", "covariate"),
            *("static", "embed_series", *_READING, *_TRAINING),
        )
    )
)


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


def set_up(options: Options, scope: Callable[[], Any] = nullcontext) -> Setup:
    """Reads the data and builds the model.

    Args:
        options: of the command, by the names in `OPTIONS`; as given, or as `config.json` has them.
        scope: gives the context to build the model in.

    Raises:
        ValueError: if they do not fit each other or the data.
    """
    options = {name: options.get(name) for name in OPTIONS}  # a run of before may lack some
    name, spec, entry = options["model"], options["data"], find_model(options["model"])
    start_tensorflow()
    if options["deterministic"]:
        _make_deterministic()
    is_text = options["tokens"] is not None or options["context"] is not None
    kind = kind_of(name, entry.kinds, spec, is_text)
    kind = panel_or_series(kind, entry.kinds, spec, options["series"], bool(options["wide"]))
    _check(options, entry, kind)
    data = _read(options, kind)
    facts = data.facts(kind.name)
    choice = entry.choose(facts)
    settings = _settings(options, choice, facts)
    model = _built(options, entry, facts, data, scope)
    kind.check_model(name, model, data, options["conditional"])
    _check_room(model)
    data = data.for_model(model)
    path = path_of(spec)
    paths = {
        "data_path": None if path is None else str(path.absolute()),
        "data_dir": _absolute(options["data_dir"]),
    }
    again = {"data": paths["data_path"] or spec, "data_dir": paths["data_dir"]}
    config = {
        "model": name,
        "kind": kind.name,
        **data.settings,
        "levels": data.arguments.get("levels"),
        "data": data.name,
        **paths,
        **settings,
        "compilation": choice.compilation(facts, settings),
        "examples": data.counts,
        # What the command was told, for --resume.
        "options": {**options, **again},
    }
    return Setup(kind, model, data, spec, config)


def _check(options: Options, entry: ModelEntry, kind: DataKind) -> None:
    """Raises a ValueError for options that are not for such a model, such data or each other."""
    name, likelihood = options["model"], options["likelihood"]
    if options["skip_corrupt"] and not kind.has_files:
        raise ValueError(
            "--skip-corrupt is for folders of images or recordings, but "
            f"'{options['data']}' has {kind.noun}."
        )
    is_series = kind.name in ("series", "panel")
    if any(options[part] for part in ("covariate", "calendar", "series")) and not is_series:
        raise ValueError(
            f"--series, --covariate and --calendar are for series, but DATA are {kind.noun}."
        )
    if kind.name != "panel" and any(options[p] for p in ("static", "wide", "embed_series")):
        raise ValueError(
            "--static, --wide and --embed-series are for a 'forecaster' of many series in one "
            f"file, but DATA are {'a single series' if is_series else kind.noun}. Leave them out."
        )
    if likelihood is not None and "likelihood" not in entry.parameters:
        raise ValueError(f"--likelihood cannot be chosen for '{name}': it has its own.")
    if likelihood is not None and not kind.has_likelihoods:
        raise ValueError(f"--likelihood cannot be chosen for {kind.noun}: it follows from them.")
    if options["minutes"] is not None:
        for part in ("schedule", "warmup_steps"):
            if options[part] is not None:
                raise ValueError(
                    f"--{part.replace('_', '-')} is for --epochs: a training by --minutes warms "
                    "up for a fiftieth of its time, and its rate falls along a cosine."
                )


def _read(options: Options, kind: DataKind) -> TrainingData:
    # A single column gives steps that are scalars; several give vectors.
    column = options["column"]
    reading = {
        **{part: options[part] for part in _READING},
        "column": column[0] if column and len(column) == 1 else column or None,
        "covariates": options["covariate"],
        "statics": options["static"],
        "embed": options["embed_series"],
    }
    folder = None if options["data_dir"] is None else Path(options["data_dir"])
    with heartbeat("reading the data"):
        return kind.load(options["data"], folder, options["levels"], reading)


def _settings(options: Options, choice: Choice, facts: Facts) -> dict[str, Any]:
    """How to train: what was asked for, else what is chosen for such data."""
    by_clock, batch_size = options["minutes"] is not None, options["batch_size"]
    chosen = {
        "epochs": None if by_clock else choice.epochs(facts.examples, batch_size),
        "batch_size": choice.batch_size,
        "learning_rate": choice.learning_rate,
        "optimizer": choice.optimizer,
        "schedule": "cosine",
        "precision": "float32",
    }
    asked = {name: options[name] for name in _TRAINING}
    return {name: chosen.get(name) if value is None else value for name, value in asked.items()}


def _built(
    options: Options,
    entry: ModelEntry,
    facts: Facts,
    data: TrainingData,
    scope: Callable[[], Any],
) -> DensityModel:
    import keras

    keras.utils.set_random_seed(options["seed"])
    with scope(), _policy(options["precision"] or "float32"):
        model: DensityModel = entry.build(facts, **data.arguments)
    return model


def _make_deterministic() -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _check_room(model: DensityModel) -> None:
    """Raises a ValueError if memory cannot hold what training keeps for each weight."""
    weights = model.trainable_weights
    values = sum(math.prod(weight.shape) for weight in weights)
    # A gradient, Adam's two moments, and the weights of the best epoch, in float32.
    needed, available = 16 * values, available_memory()
    if needed > available:
        largest = max(weights, key=lambda weight: math.prod(weight.shape))
        raise ValueError(
            f"MODEL has {values:,} weights for these data, most of them in '{largest.path}' of "
            f"shape {tuple(largest.shape)}. To train them takes {in_gib(needed)} more, and "
            f"{in_gib(available)} of memory are available. Take fewer --levels, smaller "
            "examples, or another model."
        )


def _absolute(path: str | Path | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


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
