"""`kerasar train`: from data to a run folder with a model that is ready to serve."""

from collections.abc import Mapping
from typing import Any

from kerasar.cli.registry import find_model
from kerasar.cli.support import training_options as ask
from kerasar.cli.support.new_run import new_run_path
from kerasar.cli.support.options import DataDir, Seed
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.together import Together, scope_of
from kerasar.cli.support.training_process import carry_out, follow
from kerasar.cli.support.training_setup import OPTIONS, set_up


def train(
    model: ask.Model = None,
    data: ask.Data = None,
    epochs: ask.Epochs = None,
    minutes: ask.Minutes = None,
    batch_size: ask.BatchSize = None,
    learning_rate: ask.LearningRate = None,
    seed: Seed = 0,
    out: ask.Out = None,
    levels: ask.Levels = None,
    likelihood: ask.Likelihood = None,
    conditional: ask.Conditional = False,
    column: ask.Column = None,
    series: ask.Series = None,
    covariate: ask.Covariate = None,
    calendar: ask.Calendar = False,
    static: ask.Static = None,
    wide: ask.Wide = False,
    embed_series: ask.EmbedSeries = False,
    tokens: ask.Tokens = None,
    context: ask.Context = None,
    data_dir: DataDir = None,
    optimizer: ask.TrainedBy = None,
    schedule: ask.Schedule = None,
    warmup_steps: ask.WarmupSteps = None,
    clip_norm: ask.ClipNorm = None,
    ema: ask.Ema = None,
    patience: ask.Patience = None,
    precision: ask.Precision = None,
    deterministic: ask.Deterministic = False,
    skip_corrupt: ask.SkipCorrupt = False,
    restart: ask.Restart = False,
    resume: ask.Resume = None,
    checkpoint_minutes: ask.CheckpointMinutes = 2.0,
    checkpoint_steps: ask.CheckpointSteps = None,
    workers: ask.Workers = None,
    index: ask.Index = None,
) -> None:
    """Train MODEL on DATA: images, sequences, recordings, a text, a series or points.

    Sizes, batches and rates are chosen by the kind, the size and the number of the data. A tenth
    of the training data is for validation and selects the best epoch; the test data are evaluated
    once, at the end. Ctrl-C and SIGTERM save the training, and --resume goes on with it as if
    nothing had ended it; after a crash or a power cut it goes on from the last checkpoint.

        kerasar train shifted-pixelcnn --data digits
        kerasar train gated-pixelcnn --data images/ --minutes 12
        kerasar train causal-conv-net --data pianoroll.npz --likelihood nade
        kerasar train wavenet --data recordings/ --conditional
        kerasar train causal-conv-net --data tide.csv --column metres
        kerasar train forecaster --data sales-of-shops.csv
        kerasar train transformer --data shakespeare.txt
        kerasar train realnvp --data moons
        kerasar train --resume runs/realnvp-moons

    The run folder holds model.keras, config.json, history.csv, logs for TensorBoard, pictures of
    samples, and export/1 for TensorFlow Serving.
    """
    given = {name: value for name, value in locals().items() if name in OPTIONS}
    options = {name: getattr(value, "value", value) for name, value in given.items()}
    intervals = {"every_minutes": checkpoint_minutes, "every_steps": checkpoint_steps}
    if resume is not None:
        _refuse_beside_resume({**options, "out": out, "restart": restart})
    else:
        _refuse_at_begin(options)
    together = Together.of(workers, index)
    if together is not None:
        together.refuse_options(out if resume is None else resume, minutes, restart)
        together.meet()
        if not together.is_chief:
            follow(together, options, out, resume, intervals)
            return
    if resume is not None:
        with RunFolder.resume(resume) as run:
            setup = set_up(run.setting("options"), scope_of(together))
            carry_out(run, setup, intervals, together)
        return
    folder = new_run_path(out, str(model), str(data), restart)
    setup = set_up(options, scope_of(together))
    # Only now: model and data are known to be good.
    RunFolder.remove_killed(folder)
    with RunFolder.create(folder, setup.config) as run:
        carry_out(run, setup, intervals, together)


def _refuse_at_begin(options: Mapping[str, Any]) -> None:
    """Raises a ValueError for options that say too little, or two things."""
    if options["model"] is None or options["data"] is None:
        missing = "MODEL" if options["model"] is None else "--data DATA"
        raise ValueError(
            f"{missing} is missing: kerasar train MODEL --data DATA begins a training, and kerasar "
            "train --resume RUN goes on with one."
        )
    find_model(options["model"])
    if options["minutes"] is not None and options["epochs"] is not None:
        raise ValueError("Pass --epochs or --minutes, not both: each says when training ends.")


def _refuse_beside_resume(given: Mapping[str, Any]) -> None:
    """Raises a ValueError for options that a training has from its beginning."""
    for name, value in given.items():
        if value not in (None, [], False):  # a seed of 0 is none
            what = name.upper() if name == "model" else f"--{name.replace('_', '-')}"
            raise ValueError(
                f"--resume goes on with a training as it was begun, so {what} cannot be given. "
                "Leave it out, or begin a new training without --resume."
            )
