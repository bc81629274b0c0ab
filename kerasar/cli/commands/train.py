"""`kerasar train`: from data to a run folder with a model that is ready to serve."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kerasar.cli.kinds import kind_of
from kerasar.cli.kinds.kind import path_of
from kerasar.cli.registry import find_model
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import DataDir, Seed, integer_between, positive
from kerasar.cli.support.outputs import check_new, check_place, next_free
from kerasar.cli.support.run_folder import RunFolder, RunState
from kerasar.cli.support.tensorflow_startup import start_tensorflow


def train(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of a model: see kerasar models.")
    ],
    data: Annotated[
        str, typer.Option(metavar="DATA", help="Name, file or folder: see kerasar data.")
    ],
    epochs: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1),
            help="Passes over the training examples.",
            show_default="by the data",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Train so long, instead of --epochs; the learning rate is 0 when time is up.",
            show_default="by --epochs",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1), help="Examples in one step.", show_default="by the data"
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Adam's, at its highest; it falls to 0 along a cosine.",
            show_default="by the data",
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder, which must be new.", show_default="runs/MODEL-DATA"),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(2),
            help="Number of values of your own data; a series is quantized to them.",
            show_default="by their values",
        ),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            help="Of a value or a step: categorical, logistic-mixture, bernoulli, nade, …",
            show_default="by the data",
        ),
    ] = None,
    conditional: Annotated[
        bool,
        typer.Option("--conditional", help="Condition the model on the class of each example."),
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column of a CSV file; may be given several times.", show_default="all"),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(
            help="One of the series of a long table, by name.", show_default="the only one"
        ),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of a series that is known ahead; may be given several times.",
            show_default="none",
        ),
    ] = None,
    calendar: Annotated[
        bool,
        typer.Option("--calendar", help="Let a series depend on hour, weekday and month."),
    ] = False,
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Of a text: characters, or bytes, which know every text.",
            show_default="characters, if there are at most 256",
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(2),
            help="Tokens of a text that are seen at once.",
            show_default="128",
        ),
    ] = None,
    data_dir: DataDir = None,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace the run at --out if its training was killed."),
    ] = False,
) -> None:
    """Train MODEL on DATA: images, sequences, recordings, a text, a series or points.

    Sizes, batches and rates are chosen by the kind, the size and the number of the data. A tenth
    of the training data is for validation and selects the best epoch; the test data are evaluated
    once, at the end. Ctrl-C ends training early and keeps the best model so far; before the end of
    the first epoch there is none, and nothing is kept.

        kerasar train shifted-pixelcnn --data digits
        kerasar train gated-pixelcnn --data images/ --minutes 12
        kerasar train causal-conv-net --data pianoroll.npz --likelihood nade
        kerasar train wavenet --data recordings/ --conditional
        kerasar train causal-conv-net --data tide.csv --column metres
        kerasar train transformer --data shakespeare.txt
        kerasar train realnvp --data moons

    The run folder holds model.keras, config.json, history.csv, logs for TensorBoard, pictures of
    samples, and export/1 for TensorFlow Serving.
    """
    entry = find_model(model)
    if minutes is not None and epochs is not None:
        raise ValueError("Pass --epochs or --minutes, not both: each says when training ends.")
    folder = _run_path(out, model, data, restart)
    start_tensorflow()
    import keras

    from kerasar.cli.support.training_job import TrainingJob, check_room

    is_text = tokens is not None or context is not None
    kind = kind_of(model, entry.kinds, data, is_text)
    # A single column gives steps that are scalars; several give vectors.
    columns = column[0] if column and len(column) == 1 else column or None
    options = {
        "conditional": conditional,
        "column": columns,
        "covariates": covariate,
        "calendar": calendar,
        "series": series,
        "tokens": tokens,
        "context": context,
        "likelihood": likelihood,
    }
    if (covariate or calendar or series) and kind.name != "series":
        raise ValueError(
            f"--series, --covariate and --calendar are for series, but DATA are {kind.noun}."
        )
    if likelihood is not None and "likelihood" not in entry.parameters:
        raise ValueError(f"--likelihood cannot be chosen for '{model}': it has its own.")
    if likelihood is not None and not kind.has_likelihoods:
        raise ValueError(f"--likelihood cannot be chosen for {kind.noun}: it follows from them.")
    with heartbeat("reading the data"):
        loaded = kind.load(data, data_dir, levels, options)
    facts = loaded.facts(kind.name)
    choice = entry.choose(facts)
    settings = {
        "epochs": epochs or choice.epochs(facts.examples, batch_size),
        "batch_size": batch_size or choice.batch_size,
        "learning_rate": learning_rate or choice.learning_rate,
        "minutes": minutes,
        "likelihood": likelihood,
    }
    if minutes is not None:
        settings["epochs"] = None
    keras.utils.set_random_seed(seed)
    built = entry.build(facts, **loaded.arguments)
    kind.check_model(model, built, loaded, conditional)
    check_room(built)
    loaded = loaded.for_model(built)
    path = path_of(data)
    config = {
        "model": model,
        "kind": kind.name,
        **loaded.settings,
        "levels": loaded.arguments.get("levels"),
        "data": loaded.name,
        "data_path": None if path is None else str(path.absolute()),
        "data_dir": None if data_dir is None else str(data_dir.absolute()),
        **settings,
        "conditional": conditional,
        "seed": seed,
        "examples": loaded.counts,
    }
    # Only now: model and data are known to be good.
    RunFolder.remove_killed(folder)
    with RunFolder.create(folder, config) as run:
        console = Console(soft_wrap=True, highlight=False, emoji=False)
        job = TrainingJob(run, kind, built, loaded, console)
        job.print_summary(data)
        stopped_by = job.fit()
        job.finish()
    job.print_next_steps(data, _called_as())
    if isinstance(stopped_by, FloatingPointError):
        raise stopped_by


def _run_path(out: Path | None, model: str, data: str, restart: bool = False) -> Path:
    if out is None:
        path = path_of(data)
        name = data if path is None else path.resolve().stem
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "data"
        out = Path("runs") / f"{model}-{name}"
        if out.exists() and not (restart or RunFolder.is_only_begun(out)):
            out = next_free(Path(f"{out}-{{}}"))
    state = RunState.of(out)
    if state is RunState.training:
        raise FileExistsError(
            f"--out must name something new, but '{out}' is being trained by another process. "
            f"Choose another name, such as '{next_free(Path(f'{out}-{{}}'))}'."
        )
    if state is RunState.killed and not (restart or RunFolder.is_only_begun(out)):
        raise FileExistsError(
            f"--out must name something new, but '{out}' holds a run whose training never "
            "finished: its process was killed. Replace it with --restart, or choose another name, "
            f"such as '{next_free(Path(f'{out}-{{}}'))}'."
        )
    if state is RunState.killed:
        check_place(out, "--out")
    else:
        check_new(out, "--out")
    return out


def _called_as() -> str:
    """How to call the command again: as it was called, unless its plain name does."""
    if Path(sys.argv[0]).name != "kerasar" or shutil.which("kerasar") == sys.argv[0]:
        return "kerasar"
    return sys.argv[0]
