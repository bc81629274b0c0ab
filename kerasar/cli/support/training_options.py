"""The options of `kerasar train`, by what they are about: what is trained, how, and where."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from kerasar.cli.support.options import fraction, integer_between, positive


class RateSchedule(Enum):
    """How the learning rate runs."""

    cosine = "cosine"
    constant = "constant"


class Optimizer(Enum):
    """What turns gradients into steps."""

    adam = "adam"
    muon = "muon"


class ComputedIn(Enum):
    """What networks are computed in; weights, likelihoods and metrics are in float32 always."""

    float32 = "float32"
    mixed_bfloat16 = "mixed_bfloat16"


# What is trained on what.

Model = Annotated[
    str | None, typer.Argument(metavar="MODEL", help="Name of a model: see kerasar models.")
]
Data = Annotated[
    str | None, typer.Option(metavar="DATA", help="Name, file or folder: see kerasar data.")
]
Levels = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(2),
        help="Number of values of your own data; a series is quantized to them.",
        show_default="by their values",
    ),
]
Likelihood = Annotated[
    str | None,
    typer.Option(
        help="Of a value or a step: categorical, logistic-mixture, bernoulli, nade, …",
        show_default="by the data",
    ),
]
Conditional = Annotated[
    bool, typer.Option("--conditional", help="Condition the model on the class of each example.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(help="Column of a CSV file; may be given several times.", show_default="all"),
]
Series = Annotated[
    str | None,
    typer.Option(
        help="One of the series of a long table, by name.", show_default="all, in one model"
    ),
]
Covariate = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of a series that is known ahead; may be given several times.",
        show_default="none",
    ),
]
Calendar = Annotated[
    bool,
    typer.Option("--calendar", help="Let a series depend on hour, weekday and month."),
]
Static = Annotated[
    list[str] | None,
    typer.Option(
        help="Column that holds for a whole series of many; may be given several times.",
        show_default="none",
    ),
]
Wide = Annotated[bool, typer.Option("--wide", help="Each row of the table is a series.")]
EmbedSeries = Annotated[
    bool,
    typer.Option("--embed-series", help="Let the model know which of many series is which."),
]
Tokens = Annotated[
    str | None,
    typer.Option(
        help="Of a text: characters, or bytes, which know every text.",
        show_default="characters, if there are at most 256",
    ),
]
Context = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(2),
        help="Tokens of a text that are seen at once.",
        show_default="128",
    ),
]
SkipCorrupt = Annotated[
    bool,
    typer.Option("--skip-corrupt", help="Leave out and count files that cannot be read."),
]

# How it is trained.

Epochs = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(1),
        help="Passes over the training examples.",
        show_default="by the data",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        callback=positive,
        help="Train so long, instead of --epochs; the learning rate is 0 when time is up.",
        show_default="by --epochs",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(1), help="Examples in one step.", show_default="by the data"
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(callback=positive, help="Adam's, at its highest.", show_default="by the data"),
]
TrainedBy = Annotated[
    Optimizer | None,
    typer.Option(
        "--optimizer",
        help="muon: steps of whole kernels, kerasar.training.Muon.",
        show_default="by model and data",
    ),
]
Schedule = Annotated[
    RateSchedule | None,
    typer.Option(help="How the rate runs: it falls to 0 or stays.", show_default="cosine"),
]
WarmupSteps = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(1),
        help="Steps in which the rate rises from 0.",
        show_default="none",
    ),
]
ClipNorm = Annotated[
    float | None,
    typer.Option(
        callback=positive, help="Norm that gradients are clipped to.", show_default="by the model"
    ),
]
Ema = Annotated[
    float | None,
    typer.Option(
        callback=fraction,
        help="Judge and keep averages of the weights, of this momentum, such as 0.999.",
        show_default="no averages",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(1),
        help="Stop after so many epochs in which the validation did not get better.",
        show_default="all epochs",
    ),
]
Precision = Annotated[
    ComputedIn | None,
    typer.Option(
        help="mixed_bfloat16: networks in bfloat16, the likelihood in float32.",
        show_default="float32",
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="Only operations that repeat, perhaps slower."),
]

# Where, and together with whom.

Out = Annotated[
    Path | None,
    typer.Option(help="The run folder, which must be new.", show_default="runs/MODEL-DATA"),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Replace the run at --out if its training did not end.")
]
Resume = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Go on with a training that was stopped or killed."),
]
CheckpointMinutes = Annotated[
    float, typer.Option(callback=positive, help="Time from one checkpoint to the next.")
]
CheckpointSteps = Annotated[
    int | None,
    typer.Option(
        callback=integer_between(1),
        help="Steps from one checkpoint to the next.",
        show_default="only by time",
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT,…",
        help="Train together with these: the same command on each, with its --index.",
        show_default="TF_CONFIG, if it is set",
    ),
]
Index = Annotated[
    int | None,
    typer.Option(callback=integer_between(0), help="Which of --workers this one is, from 0."),
]
