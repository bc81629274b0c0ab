"""`kerasar models`."""

from kerasar.cli.registry import MODELS, ModelEntry
from kerasar.cli.support.outputs import print_table


def models() -> None:
    """List the models that can be trained.

        kerasar models

    The settings shown are those of kerasar train; --epochs and the like change them.
    """
    rows = [(name, model.about, _settings(model)) for name, model in MODELS.items()]
    print_table(("MODEL", "what it is", "trained, by default, with"), rows)


def _settings(model: ModelEntry) -> str:
    alone = len(model.choices) == 1
    return "\n".join(
        ("" if alone else f"{choice.what}: ")
        + f"{choice.steps:,} steps (at most {choice.passes} epochs) of {choice.batch_size}, "
        f"{choice.optimizer.capitalize()} at a rate of {choice.learning_rate:g}"
        for choice in model.choices
    )
