"""`kerasar sample`."""

from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.numbers import whole
from kerasar.cli.options import Method, PictureOrArrays, Run, Seed, Temperature, TopK, TopP
from kerasar.cli.outputs import check_ending, check_new, written
from kerasar.cli.quiet import start_tensorflow
from kerasar.cli.run_folder import RunFolder


def sample(
    run: Run,
    num: Annotated[int, typer.Option(callback=whole(1), help="How many images.")] = 64,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    method: Method = None,
    out: PictureOrArrays = None,
) -> None:
    """Draw new images from a trained model.

        kerasar sample runs/shifted-pixelcnn-digits --num 64 --seed 1
        kerasar sample runs/shifted-pixelcnn-digits --num 1000 --out drawn.npz

    A .png shows them in a grid; an .npz holds the integers, as the array "samples".
    """
    folder = RunFolder.open(run)
    files = out or [folder.free("samples.png")]
    check_outputs(files)
    start_tensorflow()
    model = folder.load_model()
    samples = model.sample(
        num,
        seed=seed,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        method=method,
    )
    from kerasar.pictures import image_grid, save

    for file in files:
        with written(file) as path:
            if path.suffix.lower() == ".npz":
                import numpy as np

                np.savez_compressed(path, samples=samples)
            else:
                # Beyond a hundred nobody reads them, and they take longer than the images.
                titles = [f"sample {i}" for i in range(num)] if num <= 100 else None
                heading = f"{folder.title}: samples (seed {seed}, temperature {temperature:g})"
                save(image_grid(samples, model.data_levels, titles, heading=heading), path)
        typer.echo(str(file))


def check_outputs(files: list[Path]) -> None:
    """Raises an error unless each can be written: an ending we know, and nothing there yet."""
    for file in files:
        check_ending(file, (".png", ".npz"), "--out")
        check_new(file, "--out")
