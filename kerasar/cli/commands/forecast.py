"""`kerasar forecast`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kerasar.cli.commands.sample import OnRunaway, check_outputs
from kerasar.cli.kinds import SamplingRequest, kind_of_run
from kerasar.cli.kinds.series import Series, series_run
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import Run, Seed, Temperature, integer_between
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


def forecast(
    run: Run,
    history: Annotated[
        Path | None,
        typer.Option(help="The series to go on with.", show_default="that of the training"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(callback=integer_between(1), help="To go on.", show_default="a season"),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(help="One of many series, by name.", show_default="all of them"),
    ] = None,
    num: Annotated[int, typer.Option(callback=integer_between(1), help="Paths.")] = 200,
    seed: Seed = 0,
    temperature: Temperature = 1.0,
    on_runaway: Annotated[
        OnRunaway,
        typer.Option(help="If paths leave ten times the range of the data: error, or held there."),
    ] = OnRunaway.error,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Where to write: .csv (quantiles if its name ends so), .png or .npz.",
            show_default="new files in RUN",
        ),
    ] = None,
) -> None:
    """Draw paths of what comes next, with their quantiles and a fan chart.

    kerasar forecast runs/forecaster-demand --steps 96
    kerasar forecast runs/forecaster-demand --history newer.csv --out paths.csv
    """
    folder = series_run(run)
    kind = kind_of_run(folder)
    if series is not None and kind.name != "panel":
        raise ValueError(
            f"--series is for models of many series, but '{run}' was trained on one. Leave it out."
        )
    files = out or [folder.free(name) for name in kind.sample_files]
    check_outputs(files, kind)
    if history is not None and not history.is_file():
        raise FileNotFoundError(f"--history must be a file, but there is no '{history}'.")
    start_tensorflow()
    model = folder.load_model()
    prompt = None if history is None else str(history)
    length = float(steps or folder.config.get("horizon", Series.usual_steps))
    options: dict[str, Any] = {"seed": seed, "temperature": temperature}
    options |= {} if series is None else {"series": series}
    request = SamplingRequest(num, length, prompt, options, on_runaway.value)
    with heartbeat("drawing paths"):
        samples = kind.draw(folder, model, request)
    for file in files:
        with atomic_write(file) as path:
            kind.write(path, samples, folder, model)
        typer.echo(plain_text(file))
