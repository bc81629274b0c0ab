"""What the functions behind the page take and give: filled fields, and errors in words."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

Answer = TypeVar("Answer", bound=Callable[..., Any])

#: What bad input raises, in the library and in reading files.
_ERRORS = (ValueError, TypeError, OSError, FloatingPointError, MemoryError)


def bare_picture(label: str, elem_id: str) -> gr.Image:
    """A place for a picture, whose label is read aloud but does not cover the picture's corner."""
    return gr.Image(label=label, show_label=False, elem_id=elem_id)


def in_words(function: Answer) -> Answer:
    """Shows the errors of bad input on the page; Gradio by itself shows the word "Error"."""

    @functools.wraps(function)
    def answer(*values: Any) -> Any:
        try:
            return function(*values)
        except _ERRORS as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error

    return answer  # type: ignore[return-value]


def filled(**fields: float | None) -> list[float]:
    """The values of fields that hold numbers.

    Raises:
        ValueError: if somebody emptied one.
    """
    for name, value in fields.items():
        if value is None:
            raise ValueError(f"The field '{name}' is empty. Write a number into it.")
    return [value for value in fields.values() if value is not None]


def read_back(write: Callable[[Path], None], ending: str) -> Any:
    """What a function writes into a file, as Gradio takes it; the file is gone thereafter.

    Args:
        write: takes the path of the file.
        ending: ".png", ".wav" or that of a text.

    Returns:
        A picture as uint8 `(height, width, 3)`, a recording as its rate in samples per second and
        int16 `(samples,)`, or a string.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"samples{ending}")
        write(file)
        if ending == ".png":
            import numpy as np
            from PIL import Image

            with Image.open(file) as picture:
                return np.asarray(picture.convert("RGB"))
        if ending == ".wav":
            import soundfile

            wave, rate = soundfile.read(file, dtype="int16")
            return rate, wave
        return file.read_text("utf-8", "replace")
