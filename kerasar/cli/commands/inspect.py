"""`kerasar inspect`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kerasar.cli.kinds import KINDS
from kerasar.cli.registry import MODELS, find_model
from kerasar.cli.support.outputs import (
    atomic_write,
    check_ending,
    check_new,
    next_free,
    print_table,
)
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


def inspect(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_MODEL", help="A run folder, a .keras file, or the name of a model."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to draw the receptive field, .png.",
            show_default="receptive_field.png in RUN, or here",
        ),
    ] = None,
) -> None:
    """Show what each layer of a model sees, and draw the receptive field.

        kerasar inspect runs/shifted-pixelcnn-digits
        kerasar inspect shifted-pixelcnn --out field.png

    For autoregressive models: others have no causality to prove. Positions are relative to the
    one predicted. The proof of causality follows from the same
    table: the output must see earlier positions only. Pixels that should be seen and are not (a
    blind spot) are hatched.
    """
    path = Path(what)
    is_path = path.exists() or "/" in what or path.suffix == ".keras"
    if not is_path:
        find_model(what)
    home = path if path.is_dir() else Path()
    target = out
    if target is None:
        target = home / "receptive_field.png"
        target = target if not target.exists() else next_free(home / "receptive_field-{}.png")
    check_ending(target, (".png",), "--out")
    check_new(target, "--out")
    start_tensorflow()
    model = _model(what, path, is_path)
    import kerasar

    model = getattr(model, "decoder", model)  # of an autoencoder
    if not isinstance(model, kerasar.AutoregressiveModel):
        raise ValueError(
            "kerasar inspect shows what the positions of an autoregressive network see, but "
            f"'{what}' is a {type(model).__name__}. It has no causality to prove."
        )

    from kerasar.causality import check_causal, layer_receptive_fields, receptive_field
    from kerasar.pictures import receptive_field_figure, save

    rank = model.likelihood.event_rank
    layers = layer_receptive_fields(model.network, rank)
    print_table(("LAYER", "kind", "sees"), [(s.name, s.kind, s.text) for s in layers])
    check_causal(model.network, rank)
    if any(s.field is None and s.text.startswith("unknown") for s in layers):
        typer.echo("Not proven: a layer is unknown, and was probed numerically.")
        return
    field = receptive_field(model.network, rank)
    blind = f", {len(field.blind_spot)} in blind spots" if field.blind_spot else ""
    typer.echo(f"Proven causal. The output sees {len(field.offsets)} positions{blind}.")
    figure = receptive_field_figure(field, heading=plain_text(model.name))
    with atomic_write(target) as file:
        save(figure, file)
    typer.echo(plain_text(target))


def _model(what: str, path: Path, is_path: bool) -> Any:
    if not is_path:
        entry = MODELS[what]
        kind = KINDS[entry.kinds[0]]
        return entry.build(kind.example_facts(), **kind.example)
    if path.is_dir():
        return RunFolder.open(path).load_model()
    import kerasar

    return kerasar.load(path)
