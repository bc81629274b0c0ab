"""The page of a run: what to draw, complete and look at. Gradio serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from kerasar.cli.kinds import DataKind, SamplingRequest
from kerasar.cli.kinds.kind import check_drawn
from kerasar.cli.show.answers import bare_picture, filled, in_words, read_back
from kerasar.cli.show.images import add_completion, add_reconstruction, add_surprise
from kerasar.cli.support.capabilities import is_conditional, supports
from kerasar.cli.support.run_folder import RunFolder

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: How many are drawn at first: enough to judge, few enough to wait for.
_FEW = {"images": 16, "audio": 1, "text": 1, "series": 200, "vectors": 1000, "sequences": 16}
#: Gradio looks so often, in seconds, for copies of pictures that are as old, and removes them; at
#: the end it removes all.
_CACHE = (600, 600)


def build(
    run: RunFolder, kind: DataKind, model: DensityModel, examples: Any = None, classes: Any = None
) -> gr.Blocks:
    """Makes the page.

    Args:
        run: the folder.
        kind: of its data.
        model: its model.
        examples: images to complete and to look at, `(n, height, width, channels)`; None for other
            data.
        classes: the class of each image, for a model that takes one.
    """
    with gr.Blocks(title=run.title, analytics_enabled=False, delete_cache=_CACHE) as page:
        gr.Markdown(f"# {run.title}")
        if supports(model, "sample"):
            with gr.Tab("Sample"):
                _add_samples(run, kind, model)
        if examples is not None and supports(model, "inpaint"):
            with gr.Tab("Complete"):
                add_completion(model, examples, classes)
        if examples is not None and supports(model, "reconstruct"):
            with gr.Tab("Reconstruct"):
                add_reconstruction(model, examples)
        if examples is not None and hasattr(model, "likelihood"):
            with gr.Tab("Surprise"):
                add_surprise(model, examples, classes)
    return page


def _add_samples(run: RunFolder, kind: DataKind, model: DensityModel) -> None:
    ending = ".png" if ".png" in kind.endings else kind.endings[0]
    with gr.Row():
        num = gr.Slider(1, 1000 if kind.name in ("series", "vectors") else 64, step=1,
                        value=_FEW.get(kind.name, 16), label="how many")  # fmt: skip
        temperature = gr.Slider(0.1, 2.0, value=1.0, step=0.05, label="temperature")
        seed = gr.Number(0, precision=0, minimum=0, label="seed")
        inputs: list[Any] = [num, temperature, seed]
        if is_conditional(model):
            inputs.append(gr.Dropdown(["all", *run.setting("classes")], value="all", label="class"))
        if kind.name == "text":
            inputs.append(gr.Textbox("", label="what to continue"))
    button = gr.Button("Draw", variant="primary", elem_id="draw")
    shown: Any
    if ending == ".png":
        shown = bare_picture("samples", "samples")
    elif kind.name == "audio":
        shown = gr.Audio(label="samples", elem_id="samples")
    else:
        shown = gr.Textbox(label="samples", lines=12, elem_id="samples")

    @in_words
    def draw(num: float, temperature: float, seed: float, extra: str | None = None) -> Any:
        num, temperature, seed = filled(
            **{"how many": num, "temperature": temperature, "seed": seed}
        )
        options: dict[str, Any] = {"temperature": temperature, "seed": int(seed)}
        prompt = (extra or None) if kind.name == "text" else None
        if is_conditional(model):
            import numpy as np

            wanted = run.classes(None if extra in (None, "all") else extra, conditional=True)
            options["condition"] = np.resize(wanted or [0], int(num))
        request = SamplingRequest(int(num), None, prompt, options)
        samples = kind.draw(run, model, request)
        check_drawn(samples)
        return read_back(lambda file: kind.write(file, samples, run, model), ending)

    button.click(draw, inputs, shown)
