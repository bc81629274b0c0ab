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
from kerasar.cli.numbers import above_zero, whole
from kerasar.cli.options import DataDir, Seed
from kerasar.cli.outputs import check_new, next_free
from kerasar.cli.quiet import start_tensorflow
from kerasar.cli.registry import Training, find_model
from kerasar.cli.run_folder import MODEL, RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from kerasar.data import ImageData


def train(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Name of a model: see kerasar models.")
    ],
    data: Annotated[
        str, typer.Option(metavar="DATA", help="Name, file or folder of images: see kerasar data.")
    ],
    epochs: Annotated[
        int | None,
        typer.Option(
            callback=whole(1), help="How often each image is seen.", show_default="the model's"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(callback=whole(1), help="Images in one step.", show_default="the model's"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
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
            help="Grey levels of your own images.",
            show_default="by their values",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Train MODEL on the images of DATA.

    A tenth of the training images chooses the best epoch; the test images are looked at once, at
    the end. Ctrl-C ends training early and keeps the best so far.

        kerasar train shifted-pixelcnn --data digits
        kerasar train shifted-pixelcnn --data mnist --epochs 1 --out runs/quick

    The run folder holds model.keras, config.json, history.csv, logs for TensorBoard, samples.png,
    inpainting.png, and export/1 for TensorFlow Serving.
    """
    entry = find_model(model)
    folder = _run_path(out, model, data)
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    usual = entry.training_for(data)
    settings = Training(
        usual.epochs if epochs is None else epochs,
        usual.batch_size if batch_size is None else batch_size,
        usual.learning_rate if learning_rate is None else learning_rate,
    )

    start_tensorflow()
    import keras

    from kerasar.cli.specs import path_of
    from kerasar.data import load_images

    path = path_of(data)
    images = load_images(data, data_dir, levels)
    keras.utils.set_random_seed(seed)
    network = entry.build(image_shape=images.train.shape[1:], levels=images.levels)
    learn, choose = _hold_out(images.train)
    height, width = images.train.shape[1:3]
    console.print(
        f"{model} ({network.count_params():,} weights) on {data}: {len(learn):,} images to learn "
        f"from, {len(choose):,} to choose by, {len(images.test):,} to judge by; "
        f"{height}×{width}, {images.levels} levels."
    )

    config = {
        "kerasar": kerasar.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "model": model,
        "image_shape": list(images.train.shape[1:]),
        "levels": images.levels,
        "data": images.name,
        "data_path": None if path is None else str(path.absolute()),
        "data_dir": None if data_dir is None else str(data_dir.absolute()),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "seed": seed,
        "images": {"train": len(learn), "validation": len(choose), "test": len(images.test)},
    }
    # From here on model and data are known to be good.
    made = [parent for parent in folder.parents if not parent.exists()]
    folder.mkdir(parents=True)
    run = RunFolder(folder, config)
    try:
        run.save_config()
        stopped = _fit(run, network, learn, choose, settings, seed, console)
        _finish(run, network, images, console)
    finally:
        if not (folder / MODEL).exists():
            shutil.rmtree(folder)  # without a model a run is of no use
            for parent in made:
                parent.rmdir()
    _tell_what_next(run, data, console)
    if isinstance(stopped, FloatingPointError):
        raise stopped


def _run_path(out: Path | None, model: str, data: str) -> Path:
    if out is not None:
        check_new(out, "--out")
        return out
    from kerasar.cli.specs import path_of

    path = path_of(data)
    name = data if path is None else path.resolve().stem
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "data"
    folder = Path("runs") / f"{model}-{name}"
    folder = next_free(Path(f"{folder}-{{}}")) if folder.exists() else folder
    check_new(folder, "--out")
    return folder


def _hold_out(images: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Most images to learn from, and a tenth (at most 5,000) to choose the best epoch by."""
    import numpy as np

    if len(images) < 2:
        raise ValueError(
            "DATA must hold at least 2 images to train on, one to learn from and one to choose "
            f"the best epoch by, but holds {len(images)}. Add images."
        )
    count = min(max(1, len(images) // 10), 5000)
    order = np.random.RandomState(0).permutation(len(images))
    return images[np.sort(order[count:])], images[np.sort(order[:count])]


def _fit(
    run: RunFolder,
    model: Any,
    learn: NDArray[Any],
    choose: NDArray[Any],
    settings: Training,
    seed: int,
    console: Console,
) -> FloatingPointError | KeyboardInterrupt | None:
    """Trains, and leaves the model with its best weights. Returns what ended it early, if any."""
    import keras

    from kerasar.cli.callbacks import History, KeepBest, SampleImages, TrainingProgress
    from kerasar.data import pipeline

    batches = math.ceil(len(learn) / settings.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, batches * settings.epochs)
    model.compile(optimizer=keras.optimizers.Adam(rate))
    best = KeepBest(run)
    best.set_model(model)
    progress = TrainingProgress(console, settings.epochs, batches)
    samples = SampleImages(
        run.path / "tensorboard" / "samples", model.data_levels, max(1, settings.epochs // 10)
    )
    began = time.monotonic()
    stopped: FloatingPointError | KeyboardInterrupt | None = None
    try:
        model.fit(
            pipeline(learn, settings.batch_size, seed=seed),
            validation_data=choose,
            epochs=settings.epochs,
            shuffle=False,  # the pipeline does it
            verbose=0,
            callbacks=[best, History(run), samples, progress],
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
            f"{best.best:.3f} bits/dim on the images to choose by."
        )
    return stopped


def _finish(run: RunFolder, model: Any, images: ImageData, console: Console) -> None:
    """Judges the model on the test images, and writes all that a run folder holds."""
    from kerasar.cli.showcase import draw_pictures

    with console.status("looking at the test images"):
        judged = model.evaluate(images.test, batch_size=32, verbose=0, return_dict=True)
    run.config["test"] = {"nats": judged["loss"], "bits_per_dim": judged["bits_per_dim"]}
    run.save_config()
    console.print(
        f"Held-out test images ({len(images.test):,}): "
        f"[bold]{judged['bits_per_dim']:.3f} bits/dim[/bold], {judged['loss']:.2f} nats an image."
    )
    with console.status("drawing samples, filling in hidden pixels"):
        draw_pictures(run, model, images, judged["bits_per_dim"])
    with console.status("exporting for TensorFlow Serving"):
        model.export(str(run.path / "export" / "1"))


def _tell_what_next(run: RunFolder, data: str, console: Console) -> None:
    path, command = run.path, _called_as()
    console.print(f"\nAll of it is in [bold]{path}[/bold]: look at samples.png and inpainting.png.")
    console.print("Next:", style="dim")
    for line, what in (
        (f"{command} sample {path} --num 64", "draw new images"),
        (f"{command} inpaint {path} --hide right", "fill in what is hidden"),
        (f"{command} score {path} {data} --out scores.csv", "how likely is each image"),
        (f"tensorboard --logdir {path}/tensorboard", "curves (pip install tensorboard)"),
    ):
        console.print(f"  [bold]{line}[/bold]  [dim]{what}[/dim]")


def _called_as() -> str:
    """How to call the command again: as it was, unless its plain name does."""
    if Path(sys.argv[0]).name != "kerasar" or shutil.which("kerasar") == sys.argv[0]:
        return "kerasar"
    return sys.argv[0]
