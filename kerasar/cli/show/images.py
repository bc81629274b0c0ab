"""Images in the browser: what is painted over is drawn anew, and surprise is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from kerasar.cli.show.answers import bare_picture, filled, in_words
from kerasar.cli.support.capabilities import levels_of
from kerasar.pictures import surprise_image
from kerasar.pictures.pixels import enlarge, factor_for, mosaic, to_rgb

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: The longer side of an image on the page, in pixels, about.
_SIZE = 280


def hidden_pixels(layers: Any, height: int, width: int) -> Any:
    """Which pixels of an image were painted over on its enlarged picture.

    Args:
        layers: what was painted, RGBA, each `(factor * height, factor * width, 4)`.
        height, width: of the image.

    Returns:
        Boolean, `(height, width)`: those of which at least a quarter is painted.
    """
    painted = np.zeros((height, width), "float64")
    for layer in layers:
        opaque = np.asarray(layer)[..., 3] > 0
        rows = np.arange(opaque.shape[0]) * height // opaque.shape[0]
        columns = np.arange(opaque.shape[1]) * width // opaque.shape[1]
        counts, sizes = np.zeros((height, width)), np.zeros((height, width))
        np.add.at(counts, (rows[:, None], columns[None]), opaque)
        np.add.at(sizes, (rows[:, None], columns[None]), 1)
        painted = np.maximum(painted, counts / np.maximum(sizes, 1))
    return painted >= 0.25


def add_completion(model: DensityModel, examples: Any, classes: Any) -> None:
    """A picture to paint on with the mouse, and completions of what is under the paint.

    Args:
        model: autoregressive, of images of integers.
        examples: `(n, height, width, channels)`.
        classes: the class of each, for a model that takes one; else None.
    """
    height, width = examples.shape[1:3]
    levels = levels_of(model)
    factor = factor_for(height, width, _SIZE)

    @in_words
    def picture(index: float) -> Any:
        (index,) = filled(**{"test image": index})
        return enlarge(to_rgb(examples[int(index)][None], levels), factor)[0]

    gr.Markdown(
        "Paint over what the model should draw anew, then press **Complete**: there will be three "
        "completions, and lower right the original."
    )
    index = gr.Slider(0, len(examples) - 1, value=0, step=1, label="test image")
    with gr.Row():
        editor = gr.ImageEditor(
            picture(0),
            type="numpy",
            image_mode="RGBA",
            label="paint here",
            elem_id="editor",
            brush=gr.Brush(default_size=factor, colors=["#e45756"], color_mode="fixed"),
            layers=False,
            sources=(),
            transforms=(),
            canvas_size=(factor * width, factor * height),
        )
        shown = bare_picture("three completions, and lower right the original", "completed")
    with gr.Row():
        temperature = gr.Slider(0.1, 2.0, value=1.0, step=0.05, label="temperature")
        seed = gr.Number(0, precision=0, minimum=0, label="seed")
    button = gr.Button("Complete", variant="primary", elem_id="complete")

    @in_words
    def complete(index: float, painted: Any, temperature: float, seed: float) -> Any:
        index, temperature, seed = filled(
            **{"test image": index, "temperature": temperature, "seed": seed}
        )
        hidden = hidden_pixels((painted or {}).get("layers") or (), height, width)
        if not hidden.any():
            raise ValueError("Nothing is painted over. Paint on the image to the left.")
        image = examples[int(index)][None]
        known = np.broadcast_to(~hidden[None, ..., None], image.shape)
        options = {"temperature": temperature, "seed": int(seed), **_class_of(classes, index)}
        drawn = model.inpaint(image, known, num_completions=3, **options)
        cells = to_rgb(np.concatenate([np.asarray(drawn)[0], image]), levels)
        return mosaic(enlarge(cells, factor), columns=2, gap=factor)

    index.change(picture, index, editor)
    button.click(complete, [index, editor, temperature, seed], shown)


def _class_of(classes: Any, index: float) -> dict[str, Any]:
    return {} if classes is None else {"condition": classes[int(index)][None]}


def add_reconstruction(model: DensityModel, examples: Any) -> None:
    """A test image, and what an autoencoder draws from its latent; arguments as above."""
    levels = levels_of(model)
    factor = factor_for(examples.shape[1], examples.shape[2], _SIZE)
    gr.Markdown("Upper left a test image; the others are drawn from its latent.")
    with gr.Row():
        index = gr.Slider(0, len(examples) - 1, value=0, step=1, label="test image")
        temperature = gr.Slider(0.1, 2.0, value=1.0, step=0.05, label="temperature")
        seed = gr.Number(0, precision=0, minimum=0, label="seed")
    button = gr.Button("Reconstruct", variant="primary", elem_id="reconstruct")
    shown = bare_picture("a test image, and three drawings from its latent", "reconstructed")

    @in_words
    def reconstruct(index: float, temperature: float, seed: float) -> Any:
        fields = {"test image": index, "temperature": temperature, "seed": seed}
        index, temperature, seed = filled(**fields)
        image = examples[int(index)][None]
        copies = np.repeat(image, 3, axis=0)
        drawn = model.reconstruct(copies, seed=int(seed), temperature=temperature)
        cells = to_rgb(np.concatenate([image, drawn]), levels)
        return mosaic(enlarge(cells, factor), columns=2, gap=factor)

    button.click(reconstruct, [index, temperature, seed], shown)


def add_surprise(model: DensityModel, examples: Any, classes: Any) -> None:
    """The bits that each pixel of a test image costs; arguments as for `add_completion`."""
    gr.Markdown(
        "To the left the image, to the right its bits. Bright pixels cost many: the model did not "
        "expect them."
    )
    index = gr.Slider(0, len(examples) - 1, value=0, step=1, label="test image")
    words = gr.Markdown()
    shown = bare_picture("a test image, and the bits of each pixel", "surprise")

    @in_words
    def surprise(index: float) -> Any:
        (index,) = filled(**{"test image": index})
        image = examples[int(index)]
        terms = model.log_prob_map(image[None], **_class_of(classes, index))[0]
        bits = -np.asarray(terms, "float64") / np.log(2)
        most = max(float(bits.max()), 1e-3)
        picture = surprise_image(image, terms, levels_of(model), most)
        summary = (
            f"{bits.sum() / image.size:.3f} bits/dim; the brightest pixel costs {most:.1f} bits."
        )
        return summary, picture

    index.change(surprise, index, [words, shown])
    gr.on(None, lambda: surprise(0), None, [words, shown])
