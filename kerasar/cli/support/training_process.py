"""What a process of `kerasar train` does: it trains alone, as the chief of workers, or as one."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.shell import called_as
from kerasar.cli.support.together import Together, scope_of
from kerasar.cli.support.training_setup import Setup, set_up


def carry_out(
    run: RunFolder, setup: Setup, intervals: Mapping[str, Any], together: Together | None
) -> None:
    """Trains as was set up, and writes what a finished run holds."""
    from kerasar.cli.support.training_job import TrainingJob

    console = Console(soft_wrap=True, highlight=False, emoji=False)
    job = TrainingJob(run, setup.kind, setup.model, setup.data, console, run.checkpoints, intervals)
    job.print_summary(setup.spec)
    stopped_by = job.fit()
    if together is not None:  # the others have ended
        job = dataclasses.replace(job, model=run.load_model())
    job.finish()
    job.print_next_steps(setup.spec, called_as())
    if isinstance(stopped_by, FloatingPointError):
        raise stopped_by


def follow(
    together: Together,
    options: Mapping[str, Any],
    out: Path | None,
    resume: Path | None,
    intervals: Mapping[str, Any],
) -> None:
    """Trains together with the chief, which alone writes the run."""
    from kerasar.cli.support.training_job import TrainingJob

    shared = RunFolder(out or resume or Path(), {})
    if resume is not None:
        shared = RunFolder.read(resume)
        options = shared.setting("options")
    setup = set_up(options, scope_of(together))
    with tempfile.TemporaryDirectory(prefix="kerasar-worker-") as folder:
        with RunFolder.create(Path(folder, "run"), setup.config) as run:
            job = TrainingJob(
                run,
                setup.kind,
                setup.model,
                setup.data,
                Console(quiet=True),
                shared.checkpoints,
                intervals,
            )
            stopped_by = job.fit()
    if isinstance(stopped_by, FloatingPointError):
        raise stopped_by
    typer.echo(f"Worker {together.index} has trained; worker 0 writes the run.")
