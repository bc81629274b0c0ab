"""`kerasar decompress`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.compression import check_can_compress, load_coding_model, parts_of
from kerasar.cli.support.options import Run
from kerasar.cli.support.outputs import atomic_write, check_new
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data import write_wav
from kerasar.data.plain_text import plain_text

#: With so many levels pixels are written as they are, or as black and white.
_PNG_LEVELS = (2, 256)


def decompress(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What kerasar compress wrote.")],
    out: Annotated[
        Path,
        typer.Option(help="NAME.npz or NAME.npy, or a folder of images or recordings; new."),
    ],
    force: Annotated[
        bool, typer.Option("--try", help="Try with another model or machine; checked at the end.")
    ] = False,
) -> None:
    """Restore what kerasar compress wrote, bit by bit as it was.

    RUN must be the one that compressed it. Files by other weights, or from a machine that computes
    other bits, are refused before work starts; --try tries all the same, and the checksum of the
    examples has the last word.

        kerasar decompress runs/pixelcnn-digits digits.ksr --out digits.npz
        kerasar decompress runs/wavenet-sounds sounds.ksr --out sounds/

    A folder gets 0.png, 1.png, … or 0.wav, 1.wav, … in the order of the examples, in a subfolder
    for each class where the file holds classes; an .npz the array "x", and "length" and
    "condition" where examples have their own.
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    check_new(out, "--out")
    check_can_compress(folder, kind)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file '{file}'.")
    ending = out.suffix.lower()
    if ending not in (".npz", ".npy") and kind.name not in ("images", "audio"):
        raise ValueError(
            f"--out must end in .npz or .npy, for '{run}' was trained on {kind.noun}, but got "
            f"'{out}'. Write '{out.stem}.npz', say."
        )
    start_tensorflow()
    model = load_coding_model(folder)
    if ending not in (".npz", ".npy") and kind.name == "images":
        if model.data_levels not in _PNG_LEVELS:
            raise ValueError(
                f"A PNG holds 2 or 256 levels exactly, but the images of '{run}' have "
                f"{model.data_levels}. Write an array: --out {out.name}.npz."
            )
    found = model.decompress(file.read_bytes(), force=force)
    x, lengths, classes = parts_of(found)
    if ending == ".npy" and isinstance(found, dict):
        beside = ", ".join(f'"{name}"' for name in found if name != "x")
        raise ValueError(
            f"A .npy has no room for {beside} beside the examples: use --out NAME.npz."
        )
    with atomic_write(out) as path:
        if ending == ".npy":
            np.save(path, x)
        elif ending == ".npz":
            np.savez_compressed(path, **(found if isinstance(found, dict) else {"x": x}))
        else:
            path.mkdir()
            for file, example in _files(path, x, lengths, _names(folder, classes)):
                _write_one(file, example, model.data_levels, folder)
    typer.echo(f"{len(x):,} {kind.noun}: {plain_text(out)}", err=True)


def _names(run: RunFolder, classes: NDArray[Any] | None) -> list[str] | None:
    """The name of the class of each example, if they have some."""
    if classes is None:
        return None
    known = run.config.get("classes") or []
    return [known[number] if number < len(known) else str(number) for number in classes]


def _files(
    path: Path, x: NDArray[Any], lengths: NDArray[Any] | None, classes: list[str] | None
) -> Iterator[tuple[Path, NDArray[Any]]]:
    """A file for each example, without its ending; in a subfolder for each class."""
    for number, example in enumerate(x):
        folder = path if classes is None else path / classes[number]
        folder.mkdir(exist_ok=True)
        yield folder / str(number), example if lengths is None else example[: lengths[number]]


def _write_one(file: Path, example: NDArray[Any], levels: int, run: RunFolder) -> None:
    """A recording or an image."""
    if example.ndim == 1:
        write_wav(file.with_suffix(".wav"), example, run.config["sample_rate"], levels)
        return
    from PIL import Image

    pixels = (example * (255 // (levels - 1))).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(file.with_suffix(".png"))
