"""The pictures of a run: samples of the model, and completions of half-hidden images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerasar.cli.kinds.images.masks import Hide, known_pixels
from kerasar.cli.support.capabilities import is_conditional, supports
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.quick import fast_start_options, portions, quick_samples
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import ImageData
from kerasar.pictures import image_grid, inpainting_figure, save

if TYPE_CHECKING:
    from kerasar.training import DensityModel

_HIDDEN = (Hide.bottom, Hide.bottom, Hide.right, Hide.top, Hide.center, Hide.random)


def draw_pictures(run: RunFolder, model: DensityModel, data: ImageData, result: str) -> None:
    """Writes `samples.png`, `inpainting.png`, `reconstructions.png`: what the model supports."""
    if supports(model, "sample"):
        _draw_samples(run, model, data, result)
    if supports(model, "inpaint"):
        _draw_inpainting(run, model, data)
    if supports(model, "reconstruct"):
        _draw_reconstructions(run, model, data)


def _draw_samples(run: RunFolder, model: DensityModel, data: ImageData, result: str) -> None:
    samples = quick_samples(run, model, 40)
    figure = image_grid(
        samples,
        data.levels,
        titles=[f"sample {i}" for i in range(len(samples))],
        columns=8,
        heading=f"{run.title}: samples (seed 0; {result} on test images)",
    )
    with atomic_write(run.path / "samples.png") as file:
        save(figure, file)


def _draw_inpainting(run: RunFolder, model: DensityModel, data: ImageData) -> None:
    images = data.test[: len(_HIDDEN)]
    masks = [
        known_pixels(hide, (1, *images.shape[1:])) for hide, _ in zip(_HIDDEN, images, strict=False)
    ]
    known = np.concatenate(masks)
    # How much the completions of an image differ shows how uncertain the model is.
    options = fast_start_options(model)
    found = []
    for rows in portions(model, len(images), each=3):
        if is_conditional(model) and data.test_labels is not None:
            options["condition"] = data.test_labels[rows]
        found.append(model.inpaint(images[rows], known[rows], num_completions=3, **options))
    completed = np.concatenate(found)
    figure = inpainting_figure(
        known,
        images,
        completed,
        data.levels,
        original=images,
        row_labels=[hide.value for hide in _HIDDEN[: len(images)]],
        heading=f"{run.title}: test images, what is hidden, and three completions of each",
    )
    with atomic_write(run.path / "inpainting.png") as file:
        save(figure, file)


def _draw_reconstructions(run: RunFolder, model: DensityModel, data: ImageData) -> None:
    images = data.test[:8]
    rows = [images, *(model.reconstruct(images, seed) for seed in range(3))]
    labels = ["test image", "reconstruction", "another", "another"]
    figure = image_grid(
        np.concatenate(rows),
        data.levels,
        titles=[label for label in labels for _ in images],
        columns=len(images),
        heading=f"{run.title}: test images, and samples given their latents",
    )
    with atomic_write(run.path / "reconstructions.png") as file:
        save(figure, file)
