"""`kerasar train`: from data to a run folder with a model that is ready to serve."""

from __future__ import annotations

import math
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import kerasar
from kerasar.cli.registry import Training, find_model
from kerasar.cli.support.capabilities import can, is_conditional, told
from kerasar.cli.support.options import DataDir, Seed, positive, whole
from kerasar.cli.support.outputs import check_new, next_free
from kerasar.cli.support.run_folder import MODEL, RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow

if TYPE_CHECKING:
    from rich.console import Console

    from kerasar.cli.kinds import Kind, Loaded


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
            callback=whole(1), help="How often each example is seen.", show_default="the model's"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(callback=whole(1), help="Examples in one step.", show_default="the model's"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Adam's, at the start; it falls to 0 along a cosine.",
            show_default="the model's",
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
            callback=whole(2),
            help="Number of values of your own data; a series is quantised to them.",
            show_default="by their values",
        ),
    ] = None,
    conditional: Annotated[
        bool,
        typer.Option("--conditional", help="Give the model the class of each example."),
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Column of a CSV file; may be given several times.", show_default="all"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Train MODEL on DATA: images, sequences, recordings, a series or points.

    A tenth of the training data chooses the best epoch; the test data are looked at once, at the
    end. Ctrl-C ends training early and keeps the best so far.

        kerasar train shifted-pixelcnn --data digits
        kerasar train shifted-pixelcnn --data mnist --epochs 1 --out runs/quick
        kerasar train wavenet --data recordings/ --conditional
        kerasar train causal-conv-net --data tide.csv --column metres
        kerasar train realnvp --data moons

    The run folder holds model.keras, config.json, history.csv, logs for TensorBoard, pictures of
    what the model makes up, and export/1 for TensorFlow Serving.
    """
    entry = find_model(model)
    folder = _run_path(out, model, data)
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    start_tensorflow()
    import keras

    from kerasar.cli.kinds import kind_of
    from kerasar.cli.kinds.kind import for_model, sizes
    from kerasar.cli.support.data_spec import path_of

    path = path_of(data)
    kind = kind_of(model, entry.kinds, data)
    usual = entry.training_for(data, kind.name)
    settings = Training(
        usual.epochs if epochs is None else epochs,
        usual.batch_size if batch_size is None else batch_size,
        usual.learning_rate if learning_rate is None else learning_rate,
    )
    wishes = {"conditional": conditional, "column": _columns(column)}
    loaded = kind.load(data, data_dir, levels, wishes)
    keras.utils.set_random_seed(seed)
    built = entry.build(loaded.name, kind.name, **loaded.arguments)
    if conditional and not is_conditional(built):
        raise ValueError(
            f"--conditional is for models that take a class, but '{model}' takes none. Leave it "
            "out, or see kerasar models."
        )
    _check_dim(model, built, data, loaded.arguments.get("dim"))
    divided = {"train": loaded.learn, "validation": loaded.choose, "test": loaded.test}
    parts = {name: for_model(part, built) for name, part in divided.items()}
    counts = {name: sizes(part) for name, part in parts.items()}
    console.print(
        f"{model} ({built.count_params():,} weights) on {data}: {counts['train']:,} {kind.noun} to "
        f"learn from, {counts['validation']:,} to choose by, {counts['test']:,} to judge by; "
        f"{loaded.about}."
    )

    config = {
        "kerasar": kerasar.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "model": model,
        "kind": kind.name,
        **loaded.settings,
        "levels": loaded.arguments.get("levels"),
        "data": loaded.name,
        "data_path": None if path is None else str(path.absolute()),
        "data_dir": None if data_dir is None else str(data_dir.absolute()),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "conditional": conditional,
        "seed": seed,
        "examples": counts,
    }
    # From here on model and data are known to be good.
    made = [parent for parent in folder.parents if not parent.exists()]
    folder.mkdir(parents=True)
    run = RunFolder(folder, config)
    try:
        run.save_config()
        stopped = _fit(run, built, kind, parts, settings, seed, console)
        _finish(run, built, kind, loaded, parts["test"], console)
    finally:
        if not (folder / MODEL).exists():
            shutil.rmtree(folder)  # without a model a run is of no use
            for parent in made:
                parent.rmdir()
    _tell_what_next(run, built, kind, data, console)
    if isinstance(stopped, FloatingPointError):
        raise stopped


def _check_dim(model: str, built: Any, data: str, dim: int | None) -> None:
    """Raises a ValueError if a model of points is for points of another dimension."""
    if dim is not None and built.data_shape != (dim,):
        raise ValueError(
            f"Model '{model}' takes points of {built.data_shape[0]} number(s), but those of "
            f"'{data}' have {dim}. Choose columns of your own data with --column, or another "
            "model: see kerasar models."
        )


def _run_path(out: Path | None, model: str, data: str) -> Path:
    if out is not None:
        check_new(out, "--out")
        return out
    from kerasar.cli.support.data_spec import path_of

    path = path_of(data)
    name = data if path is None else path.resolve().stem
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "data"
    folder = Path("runs") / f"{model}-{name}"
    folder = next_free(Path(f"{folder}-{{}}")) if folder.exists() else folder
    check_new(folder, "--out")
    return folder


def _columns(column: list[str] | None) -> str | list[str] | None:
    """A single column gives steps that are numbers; several give vectors."""
    if not column:
        return None
    return column[0] if len(column) == 1 else column


def _fit(
    run: RunFolder,
    model: Any,
    kind: Kind,
    parts: dict[str, Any],
    settings: Training,
    seed: int,
    console: Console,
) -> FloatingPointError | KeyboardInterrupt | None:
    """Trains, and leaves the model with its best weights. Returns what ended it early, if any."""
    import keras

    from kerasar.cli.kinds.kind import sizes
    from kerasar.cli.support.callbacks import History, KeepBest, TrainingProgress
    from kerasar.data import pipeline

    learn = parts["train"]
    batches = math.ceil(sizes(learn) / settings.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, batches * settings.epochs)
    model.compile(optimizer=keras.optimizers.Adam(rate, global_clipnorm=model.clip_norm))
    best = KeepBest(run)
    best.set_model(model)
    progress = TrainingProgress(console, settings.epochs, batches, kind.unit)
    others = kind.callbacks(run, model, settings.epochs)
    began = time.monotonic()
    stopped: FloatingPointError | KeyboardInterrupt | None = None
    try:
        model.fit(
            pipeline(learn, settings.batch_size, seed=seed),
            validation_data=parts["validation"],
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            shuffle=False,  # the pipeline does it
            verbose=0,
            callbacks=[best, History(run), *others, progress],
        )
    except FloatingPointError as error:
        if best.epoch == 0:
            raise
        stopped = error
    except KeyboardInterrupt as error:
        stopped = error
        progress.stop()
        console.print("Stopped. The best model so far is kept; the run folder is being finished.")
    finally:
        progress.stop()
    best.restore()
    run.config["training"] = {
        "seconds": round(time.monotonic() - began, 1),
        "best_epoch": best.epoch,
        "validation_bits_per_dim": best.best if best.epoch else None,
        "stopped_early_by": None if stopped is None else type(stopped).__name__,
    }
    if best.epoch:
        console.print(
            f"Trained for {run.config['training']['seconds']:.0f} s. Epoch {best.epoch} was best: "
            f"{best.best:.3f} bits/{kind.unit} on the {kind.noun} to choose by."
        )
    return stopped


def _finish(
    run: RunFolder, model: Any, kind: Kind, loaded: Loaded, test: Any, console: Console
) -> None:
    """Judges the model on the test data, and writes all that a run folder holds."""
    from kerasar.cli.kinds.kind import sizes

    batch = min(32, run.config["batch_size"]) if isinstance(test, dict) else 32
    with console.status(f"looking at the test {kind.noun}"):
        judged = model.evaluate(test, batch_size=batch, verbose=0, return_dict=True)
    run.config["test"] = {"nats": judged["loss"], "bits_per_dim": judged["bits_per_dim"]}
    run.save_config()
    result = told(model, f"{judged['bits_per_dim']:.3f} bits/{kind.unit}")
    console.print(
        f"Held-out test {kind.noun} ({sizes(test):,}): [bold]{result}[/bold], "
        f"{judged['loss']:.2f} nats {_a(kind.noun)}."
    )
    with console.status("drawing samples"):
        kind.showcase(run, model, loaded, result)
    with console.status("exporting for TensorFlow Serving"):
        model.export(str(run.path / "export" / "1"))


def _a(noun: str) -> str:
    """ "images" → "an image"; "pieces of a series" → "a piece"."""
    one = noun.split()[0].removesuffix("s")
    return f"{'an' if one[0] in 'aeiou' else 'a'} {one}"


def _tell_what_next(run: RunFolder, model: Any, kind: Kind, data: str, console: Console) -> None:
    path, command = run.path, _called_as()
    shown = " and ".join(name for name in kind.pictures if (path / name).exists())
    console.print(f"\nAll of it is in [bold]{path}[/bold]: look at {shown}.")
    console.print("Next:", style="dim")
    possible = (step for step in kind.next if can(model, step[0].split()[0]))
    for arguments, what in (
        *possible,
        ("score {run} {data} --out scores.csv", "how likely is each"),
    ):
        line = f"{command} {arguments.format(run=path, data=data)}"
        console.print(f"  [bold]{line}[/bold]  [dim]{what}[/dim]")
    console.print(
        f"  [bold]tensorboard --logdir {path}/tensorboard[/bold]  "
        "[dim]curves (pip install tensorboard)[/dim]"
    )


def _called_as() -> str:
    """How to call the command again: as it was, unless its plain name does."""
    if Path(sys.argv[0]).name != "kerasar" or shutil.which("kerasar") == sys.argv[0]:
        return "kerasar"
    return sys.argv[0]
