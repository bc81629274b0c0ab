"""`kerasar inpaint`."""

from typing import Annotated

import numpy as np
import typer

from kerasar.cli.commands.sample import check_outputs
from kerasar.cli.kinds import kind_of_run
from kerasar.cli.kinds.images.masks import Hide, known_pixels
from kerasar.cli.kinds.images.run_data import load_for
from kerasar.cli.support.capabilities import is_conditional, supports
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import (
    DataDir,
    Method,
    PictureOrArrays,
    Run,
    Seed,
    Temperature,
    TopK,
    TopP,
    integer_between,
    without_none,
)
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


def inpaint(
    run: Run,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Whose test images.", show_default="the run's"),
    ] = None,
    hide: Annotated[Hide, typer.Option(help="Which pixels are hidden.")] = Hide.bottom,
    images: Annotated[
        int, typer.Option(callback=integer_between(1), help="Number of images, from the first.")
    ] = 6,
    num: Annotated[
        int, typer.Option(callback=integer_between(1), help="Completions of each image.")
    ] = 3,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    method: Method = None,
    data_dir: DataDir = None,
    out: PictureOrArrays = None,
) -> None:
    """Hide part of some images and let a trained model fill it in.

        kerasar inpaint runs/shifted-pixelcnn-digits --hide right --num 5
        kerasar inpaint runs/shifted-pixelcnn-digits --hide random --out filled.npz

    Pixels are filled in row by row from the top left, each conditioned on those before it: known
    pixels further down are kept, but not conditioned on. So --hide bottom suits these models best.
    An .npz holds the arrays "known", "given", "completed" and "original".
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    if kind.name != "images":
        raise ValueError(
            f"kerasar inpaint hides part of images, but '{run}' was trained on "
            f"{kind.noun}. kerasar sample --prompt continues such data."
        )
    files = out or [folder.free(f"inpainting-{hide.value}.png")]
    check_outputs(files, kind)
    start_tensorflow()
    from kerasar.pictures import inpainting_figure, save

    model = folder.load_model()
    if not supports(model, "inpaint"):
        raise ValueError(
            f"kerasar inpaint draws pixels one after the other given those before, which a "
            f"{type(model).__name__} cannot. Take a run of an autoregressive model, as "
            "gated-pixelcnn."
        )
    loaded = load_for(model, *folder.data_source(data, data_dir))
    original = loaded.test[:images]
    known = known_pixels(hide, original.shape, seed)
    given = np.where(known, original, 0).astype(original.dtype)
    options = without_none(top_k=top_k, top_p=top_p, method=method)
    if is_conditional(model) and loaded.test_labels is not None:
        options["condition"] = loaded.test_labels[:images]
    with heartbeat("filling in"):
        completed = model.inpaint(
            given, known, seed=seed, num_completions=num, temperature=temperature, **options
        )
    for file in files:
        with atomic_write(file) as path:
            if path.suffix.lower() == ".npz":
                np.savez_compressed(
                    path, known=known, given=given, completed=completed, original=original
                )
            else:
                heading = f"{folder.title}: hidden pixels ({hide.value}) filled in, seed {seed}"
                labels = [f"test {i}" for i in range(len(original))]
                figure = inpainting_figure(
                    known, given, completed, model.data_levels, original, labels, heading
                )
                save(figure, path)
        typer.echo(plain_text(file))
