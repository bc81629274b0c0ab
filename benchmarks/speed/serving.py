"""Exports of every kind of model through the C library that TensorFlow Serving uses.

The models have the sizes that `kerasar train` takes for images of 8×8, and those of `kerasar
inspect` for other data, with drawn weights. An export is loaded in a process without Python's
TensorFlow; the time to its first answer is from the start of that process, warm-up included. It
and the first `log_prob` are medians of several processes. Sampling alternates with Python's.

    python -m benchmarks.speed.serving
    python -m benchmarks.speed.serving --jit-compile  # XLA compiles the samplers of both sides
    python -m benchmarks.speed.serving --tiny  # seconds, to see that it runs
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import parse, speed_parser
from benchmarks.common.report import median, write_report
from benchmarks.speed.streams import recurrent

#: How many samples are drawn at once, and by what factor an export may be slower than Python.
_SAMPLES, _TARGET = 16, 1.15
#: How many processes the time to a first answer is taken of.
_STARTS = 3
#: A network that is not one of `kerasar models`.
OWN = "own network"
#: A client: loads an export, warms up, and times requests for as long as it is given some.
_CLIENT = """
import json, sys, time
begin = time.perf_counter()
from pathlib import Path
from kerasar.cli.server.export_folder import ExportFolder, client
folder = ExportFolder(Path(sys.argv[1]))
with client().ServedModel(folder.path, allow_xla=folder.config["jit_compile"]) as served:
    requests = dict(folder.warm_up_requests())
    for signature, inputs in requests.items():
        served.run(signature, **inputs)
    for line in sys.stdin:
        signature, changed = json.loads(line)
        start = time.perf_counter()
        served.run(signature, **{**requests[signature], **changed})
        now = time.perf_counter()
        print(json.dumps([now - start, now - begin]), flush=True)
"""


class Client:
    """The client in a process of its own."""

    def __init__(self, export: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CLIENT, str(export)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def ask(self, signature: str, **changed: Any) -> tuple[float, float]:
        """Seconds of a request of the warm-up, and since the process began."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the client has no pipes")
        print(json.dumps([signature, changed]), file=stdin, flush=True)
        seconds, since = json.loads(stdout.readline())
        return seconds, since


def build(name: str) -> Any:
    """A kind of model for small data, with drawn weights."""
    from kerasar.cli.defaults import Facts
    from kerasar.cli.kinds import KINDS
    from kerasar.cli.registry import find_model
    from kerasar.testing import randomize

    if name == OWN:
        model = recurrent()
        randomize(model.network)
        return model
    entry = find_model(name)
    kind = KINDS[entry.kinds[0]]
    if entry.kinds[0] == "images":
        size = 16 if name == "masked-input-lenet" else 8  # the least that its layers can take
        facts = Facts("images", 1000, (size, size, 1), 16)
        model = entry.build(facts, image_shape=(size, size, 1), levels=16)
    else:
        model = entry.build(kind.example_facts(), **kind.example)
    shape = tuple(size or 16 for size in model.data_shape)
    model.log_prob(np.zeros((1, *shape), "float32" if model.data_levels is None else "int32"))
    randomize(getattr(model, "network", None) or getattr(model, "bijection", model))
    return model


def measure(name: str, repeat: int, folder: Path) -> list[str]:
    """A row of the table of exports as they are."""
    import kerasar

    model = build(name)
    start = time.perf_counter()
    model.export(str(folder / name))
    exported = time.perf_counter() - start
    firsts = []
    for _ in range(_STARTS - 1):
        with Client(folder / name) as client:
            firsts.append(client.ask("log_prob"))
    with Client(folder / name) as client:
        firsts.append(client.ask("log_prob"))
        later = median([client.ask("log_prob")[0] for _ in range(max(5, repeat))])
        first, begun = (median(list(times)) for times in zip(*firsts, strict=True))
        row = [name, f"{exported:.1f}", f"{begun:.1f}", f"{1e3 * first:.1f}", f"{1e3 * later:.1f}"]
        if not hasattr(model, "sample") or getattr(model, "prior", True) is None:
            return [*row, "", "", ""]
        # Masked inputs have no loop to compile.
        given = {} if isinstance(model, kerasar.MaskedInputModel) else {"jit_compile": False}
        return [*row, *_compare(client, model, repeat, given)]


def measure_compiled(name: str, repeat: int, folder: Path) -> list[str] | None:
    """A row of the table of compiled exports; None where nothing can be compiled."""
    model = build(name)
    if getattr(model, "prior", True) is None:
        return None
    start = time.perf_counter()
    try:
        model.export(str(folder / name), jit_compile=True)
    except ValueError as error:
        print(error)
        return None
    exported = time.perf_counter() - start
    with Client(folder / name) as client:
        _, begun = client.ask("log_prob")
        compared = _compare(client, model, repeat, {"jit_compile": True})
        return [name, f"{exported:.1f}", f"{begun:.1f}", *compared]


def _compare(client: Client, model: Any, repeat: int, given: dict[str, Any]) -> list[str]:
    """Milliseconds that the export and Python take for samples, in turn, and their ratio."""
    length = {"length": 16} if model.data_shape[0] is None else {}
    served, python = [], []
    for turn in range(2 + repeat):
        served.append(client.ask("sample", num_samples=_SAMPLES, seed=turn)[0])
        start = time.perf_counter()
        model.sample(_SAMPLES, seed=turn, **length, **given)
        python.append(time.perf_counter() - start)
    ours, theirs = median(served[2:]), median(python[2:])
    ratio = f"{ours / theirs:.2f}"
    shown = f"**{ratio}**" if ours / theirs <= _TARGET else ratio
    return [f"{1e3 * ours:.1f}", f"{1e3 * theirs:.1f}", shown]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = speed_parser(__doc__, repeat=21)
    parser.add_argument("--only", default="", help="part of a kind's name")
    parser.add_argument("--jit-compile", action="store_true", help="compile the samplers by XLA")
    options = parse(parser, arguments)
    from kerasar.cli.registry import MODELS

    compared = [f"{_SAMPLES} samples ms", "in Python ms", "ratio"]
    header = ["kind", "export s", "start to first answer s"]
    if not options.jit_compile:
        header += ["first log_prob ms", "later ms"]
    measured = measure_compiled if options.jit_compile else measure
    names = ("nade", "nice", "causal-conv-net") if options.tiny else (*MODELS, OWN)
    rows = []
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        for name in names:
            if options.only in name and (row := measured(name, options.repeat, folder)):
                rows.append(row)
                print(row, flush=True)
    report = "serving_compiled" if options.jit_compile else "serving"
    write_report(report, [*header, *compared], rows, options.out)


if __name__ == "__main__":
    main()
