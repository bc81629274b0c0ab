"""`kerasar train`: from data to a run folder with a model that is ready to serve."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kerasar.cli.kinds.kind import path_of
from kerasar.cli.registry import find_model
from kerasar.cli.support.options import DataDir, Seed, integer_between, positive
from kerasar.cli.support.outputs import check_new, check_place, next_free
from kerasar.cli.support.run_folder import RunFolder, RunState
from kerasar.cli.support.shell import called_as, quoted
from kerasar.cli.support.together import Together, scope_of
from kerasar.cli.support.training_setup import OPTIONS, Setup, set_up


def train(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Name of a model: see kerasar models."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Name, file or folder: see kerasar data.")
    ] = None,
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
            help="One of the series of a long table, by name.", show_default="all, in one model"
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
    static: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that holds for a whole series of many; may be given several times.",
            show_default="none",
        ),
    ] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="Each row of the table is a series.")
    ] = False,
    embed_series: Annotated[
        bool,
        typer.Option("--embed-series", help="Let the model know which of many series is which."),
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
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, or mixed_bfloat16: networks in bfloat16, the likelihood in float32.",
            show_default="float32",
        ),
    ] = None,
    skip_corrupt: Annotated[
        bool,
        typer.Option("--skip-corrupt", help="Leave out and count images that cannot be read."),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace the run at --out if its training did not end."),
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with a training that was stopped or killed."),
    ] = None,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(callback=positive, help="Time from one checkpoint to the next."),
    ] = 2.0,
    checkpoint_steps: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1),
            help="Steps from one checkpoint to the next.",
            show_default="only by time",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,…",
            help="Train together with these: the same command on each, with its --index.",
            show_default="TF_CONFIG, if it is set",
        ),
    ] = None,
    index: Annotated[
        int | None,
        typer.Option(callback=integer_between(0), help="Which of --workers this one is, from 0."),
    ] = None,
) -> None:
    """Train MODEL on DATA: images, sequences, recordings, a text, a series or points.

    Sizes, batches and rates are chosen by the kind, the size and the number of the data. A tenth
    of the training data is for validation and selects the best epoch; the test data are evaluated
    once, at the end. Ctrl-C and SIGTERM save the training, and --resume goes on with it as if
    nothing had ended it; after a crash or a power cut it goes on from the last checkpoint.

        kerasar train shifted-pixelcnn --data digits
        kerasar train gated-pixelcnn --data images/ --minutes 12
        kerasar train causal-conv-net --data pianoroll.npz --likelihood nade
        kerasar train wavenet --data recordings/ --conditional
        kerasar train causal-conv-net --data tide.csv --column metres
        kerasar train forecaster --data sales-of-shops.csv
        kerasar train transformer --data shakespeare.txt
        kerasar train realnvp --data moons
        kerasar train --resume runs/realnvp-moons

    The run folder holds model.keras, config.json, history.csv, logs for TensorBoard, pictures of
    samples, and export/1 for TensorFlow Serving.
    """
    given = {name: value for name, value in locals().items() if name in OPTIONS}
    intervals = {"every_minutes": checkpoint_minutes, "every_steps": checkpoint_steps}
    if resume is not None:
        _refuse_beside_resume({**given, "out": out, "restart": restart})
    elif model is None or data is None:
        missing = "MODEL" if model is None else "--data DATA"
        raise ValueError(
            f"{missing} is missing: kerasar train MODEL --data DATA begins a training, and kerasar "
            "train --resume RUN goes on with one."
        )
    else:
        find_model(model)
    if minutes is not None and epochs is not None:
        raise ValueError("Pass --epochs or --minutes, not both: each says when training ends.")
    together = Together.of(workers, index)
    if together is not None:
        _refuse_beside_workers(out if resume is None else resume, minutes, restart)
        together.meet()
        if not together.is_chief:
            _follow(together, given, out, resume, intervals)
            return
    if resume is not None:
        with RunFolder.resume(resume) as run:
            setup = set_up(run.setting("options"), scope_of(together))
            _carry_out(run, setup, intervals, together)
        return
    folder = _run_path(out, str(model), str(data), restart)
    setup = set_up(given, scope_of(together))
    # Only now: model and data are known to be good.
    RunFolder.remove_killed(folder)
    with RunFolder.create(folder, setup.config) as run:
        _carry_out(run, setup, intervals, together)


def _carry_out(
    run: RunFolder, setup: Setup, intervals: Mapping[str, Any], together: Together | None
) -> None:
    """Trains as was set up, and writes what a finished run holds."""
    from kerasar.cli.support.training_job import TrainingJob

    console = Console(soft_wrap=True, highlight=False, emoji=False)
    job = TrainingJob(run, setup.kind, setup.model, setup.data, console, run.checkpoints, intervals)
    job.print_summary(setup.spec)
    stopped_by = job.fit()
    if together is not None:  # the others have ended
        job = dataclasses.replace(job, model=run.load_model())
    job.finish()
    job.print_next_steps(setup.spec, called_as())
    if isinstance(stopped_by, FloatingPointError):
        raise stopped_by


def _follow(
    together: Together,
    given: Mapping[str, Any],
    out: Path | None,
    resume: Path | None,
    intervals: Mapping[str, Any],
) -> None:
    """Trains together with the chief, which alone writes the run."""
    from kerasar.cli.support.training_job import TrainingJob

    shared = RunFolder(out or resume or Path(), {})
    if resume is not None:
        shared = RunFolder.read(resume)
        given = shared.setting("options")
    setup = set_up(given, scope_of(together))
    with tempfile.TemporaryDirectory(prefix="kerasar-worker-") as folder:
        with RunFolder.create(Path(folder, "run"), setup.config) as run:
            job = TrainingJob(
                run,
                setup.kind,
                setup.model,
                setup.data,
                Console(quiet=True),
                shared.checkpoints,
                intervals,
            )
            stopped_by = job.fit()
    if isinstance(stopped_by, FloatingPointError):
        raise stopped_by
    typer.echo(f"Worker {together.index} has trained; worker 0 writes the run.")


def _refuse_beside_workers(run: Path | None, minutes: float | None, restart: bool) -> None:
    """Raises a ValueError for what several workers cannot do alike."""
    wrong = {
        "--minutes, whose end each would see at another step": minutes is not None,
        "--restart, which would remove what others read": restart,
        "a run folder that is named by itself; give --out": run is None,
    }
    for what, is_given in wrong.items():
        if is_given:
            raise ValueError(f"Several workers cannot train with {what}.")


def _refuse_beside_resume(given: Mapping[str, Any]) -> None:
    """Raises a ValueError for options that a training has from its beginning."""
    for name, value in given.items():
        if value not in (None, [], False):  # a seed of 0 is none
            what = name.upper() if name == "model" else f"--{name.replace('_', '-')}"
            raise ValueError(
                f"--resume goes on with a training as it was begun, so {what} cannot be given. "
                "Leave it out, or begin a new training without --resume."
            )


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
            f"finished. Go on with it by --resume {quoted(out)}, replace it with --restart, or "
            f"choose another name, such as '{next_free(Path(f'{out}-{{}}'))}'."
        )
    if state is RunState.killed:
        check_place(out, "--out")
    else:
        check_new(out, "--out")
    return out
