"""`kerasar compress`."""

import lzma
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from kerasar.cli.commands.score import Part
from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.compression import check_can_compress, load_coding_model, parts_of
from kerasar.cli.support.options import DataDir, Run
from kerasar.cli.support.outputs import atomic_write, check_ending, check_new, print_table
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.tensorflow_startup import start_tensorflow
from kerasar.data.plain_text import plain_text


def compress(
    run: Run,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Name, file or folder, as for train.")
    ],
    out: Annotated[Path, typer.Option(help="The .ksr file to write, which must be new.")],
    part: Annotated[
        Part,
        typer.Option(help="Which examples. auto: test data if DATA has its own, else all."),
    ] = Part.auto,
    data_dir: DataDir = None,
    report: Annotated[
        bool, typer.Option("--report", help="Compare with PNG, WebP, FLAC and xz, as they apply.")
    ] = False,
) -> None:
    """Compress images, recordings or arrays by a trained model, without loss.

    An example takes its nats in bits: what the model expects takes little. All share one file,
    which kerasar decompress reads with the same RUN, on a machine that computes the same bits.
    Names are not kept, only the order; the classes of a conditional run are. Recordings are kept as
    the µ-law codes of the run.

        kerasar compress runs/pixelcnn-digits digits --out digits.ksr --report
        kerasar decompress runs/pixelcnn-digits digits.ksr --out digits/

    Needs pip install 'kerasar[compress]'. docs/compression.md says what it costs and when it pays.
    """
    folder = RunFolder.open(run)
    kind = kind_of_run(folder)
    check_ending(out, (".ksr",), "--out")
    check_new(out, "--out")
    check_can_compress(folder, kind)
    start_tensorflow()
    model = load_coding_model(folder)
    batch, names = kind.load_whole(folder, model, data, data_dir, part.value)
    made = model.compress(batch)
    with atomic_write(out) as path:
        path.write_bytes(made)
    typer.echo(
        f"{len(names):,} {kind.noun} in {len(made):,} bytes, {len(made) / len(names):.1f} each: "
        f"{plain_text(out)}",
        err=True,
    )
    if report:
        x, lengths, _ = parts_of(batch)
        parts = list(x) if lengths is None else [x[i, :n] for i, n in enumerate(lengths)]
        raw = _raw_bytes(parts, model.data_levels)
        sizes = {"this file": len(made), **_others(parts, raw, model.data_levels, kind.name)}
        rows = [[what, f"{size:,}", f"{size / len(raw):.3f}"] for what, size in sizes.items()]
        print_table(["", "bytes", "of raw"], [*rows, ["raw", f"{len(raw):,}", "1.000"]])


def _raw_bytes(parts: list[NDArray[Any]], levels: int) -> bytes:
    """All values, a byte each, or two."""
    kind = "u1" if levels <= 2**8 else "<u2" if levels <= 2**16 else "<u4"
    return b"".join(np.ascontiguousarray(part, kind).tobytes() for part in parts)


def _others(parts: list[NDArray[Any]], raw: bytes, levels: int, kind: str) -> dict[str, int]:
    """What other formats take: a file for each example, or all in one."""
    from kerasar.scores.codecs import CODECS

    names = {"images": ["png", "webp"], "audio": ["flac"]}.get(kind, [])
    found = {}
    for name in names if levels <= 256 else []:
        try:
            sizes = [len(CODECS[name](part, levels, name)) for part in parts]
        except ImportError as error:
            typer.echo(f"Left out: {error}", err=True)
            continue
        found[f"{name}, a file each"] = sum(sizes)
    return {**found, "xz, all in one": len(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))}
