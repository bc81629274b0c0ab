"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.numbers import above_zero, probability, whole

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that kerasar train made.")]
Seed = Annotated[
    int, typer.Option(callback=whole(0, 2**31 - 1), help="The same seed gives the same result.")
]
Temperature = Annotated[
    float,
    typer.Option(
        callback=above_zero, help="Above 0. Below 1 likelier, above 1 more varied values."
    ),
]
TopK = Annotated[
    int | None, typer.Option(callback=whole(1), help="Draw among this many likeliest values only.")
]
TopP = Annotated[
    float | None,
    typer.Option(
        callback=probability, help="Draw among the likeliest values of this total probability."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where TensorFlow Datasets keeps its data.", show_default="$TFDS_DATA_DIR"),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Sampler: cached, parallel or sequential; the same result at another speed.",
        show_default="the fastest that the model has",
    ),
]
PictureOrArrays = Annotated[
    list[Path] | None,
    typer.Option(
        help="Where to write, .png or .npz; may be given twice.",
        show_default="a new .png in RUN",
    ),
]
