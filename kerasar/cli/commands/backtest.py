"""`kerasar backtest`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kerasar.cli.kinds.panel import Panel, panel_backtest_in_words, read_panel
from kerasar.cli.kinds.series import (
    ORIGINS,
    Series,
    backtest_in_words,
    read_for_run,
    series_run,
    write_backtest,
)
from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.options import Run, Seed, integer_between
from kerasar.cli.support.outputs import atomic_write, check_ending, check_new
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import picture_text, plain_text


def backtest(
    run: Run,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Another file, of which the later half is judged.", show_default="the test part"
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1), help="Of each forecast.", show_default="a season"
        ),
    ] = None,
    origins: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(1),
            help="How many places to forecast from.",
            show_default=f"{ORIGINS}; of many series 1 each",
        ),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(
            callback=integer_between(2),
            help="Paths of each forecast.",
            show_default="200, more of few forecasts",
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The scores, a new .json; the picture gets the same name.",
            show_default="a new backtest-N.json in RUN",
        ),
    ] = None,
) -> None:
    """Judge a forecaster by what came: CRPS, coverage of its bands and more.

    Paths are drawn from many places of the held-out part and compared with the values that
    followed, beside those of the seasonal naive forecast. The file holds all scores, also for each
    step ahead; the picture how often bands of each probability held, and some forecasts.

        kerasar backtest runs/forecaster-demand
        kerasar backtest runs/forecaster-demand --steps 336 --origins 50
    """
    folder = series_run(run)
    target = out or folder.free("backtest.json")
    picture = target.with_suffix(".png")
    check_ending(target, (".json",), "--out")
    for file in (target, picture):
        check_new(file, "--out")
    start_tensorflow()
    model: Any = folder.load_model()
    options: dict[str, Any] = {"seed": seed} | ({} if num is None else {"num_paths": num})
    judge = _judge_panel if folder.config["kind"] == "panel" else _judge_series
    with heartbeat("drawing forecasts"):
        found, words, figure = judge(folder, model, data, steps, origins, options)
    from kerasar.pictures import save

    write_backtest(target, found)
    with atomic_write(picture) as path:
        save(figure, path)
    typer.echo(words, err=True)
    for file in (target, picture):
        typer.echo(plain_text(file))


def _judge_series(
    folder: RunFolder,
    model: Any,
    data: Path | None,
    steps: int | None,
    origins: int | None,
    options: dict[str, Any],
) -> tuple[Any, str, Any]:
    """A backtest of a series, in words and as a picture."""
    from kerasar.pictures import backtest_figure

    series = read_for_run(data, folder, model)
    first = len(series.train) if data is None else max(len(series.train) // 2, 1)
    count = ORIGINS if origins is None else origins
    found = Series().backtest(folder, model, series, first, steps, count, **options)
    whole = series.whole.reshape(len(series.whole), -1)[:, 0]
    heading = picture_text(f"{folder.title}: {series.columns[0]}")
    paths, actual = found.paths[..., 0], found.actual[..., 0]
    figure = backtest_figure(whole, found.origins, paths, actual, heading)
    return found, backtest_in_words(found), figure


def _judge_panel(
    folder: RunFolder,
    model: Any,
    data: Path | None,
    steps: int | None,
    origins: int | None,
    options: dict[str, Any],
) -> tuple[Any, str, Any]:
    """The same of a panel."""
    from kerasar.pictures import backtest_figure

    panel = read_panel(data or folder.config["data_path"], folder)
    found = Panel().backtest(folder, model, panel, steps, origins or 1, **options)
    whole = panel.whole
    names = tuple(map(picture_text, found.names))
    figure = backtest_figure(
        [whole[name] for name in found.names],
        found.origins,
        found.paths,
        found.actual,
        picture_text(folder.title),
        names,
    )
    return found, panel_backtest_in_words(found), figure
