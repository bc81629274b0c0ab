"""Ends `kerasar train` at random moments, and on full disks, and looks at what is left.

Twenty trainings are ended by SIGTERM, SIGINT or SIGKILL at random moments, every other one counted
from when its folder is there; four run on disks that are too small (where none can be mounted, with
files that may not grow beyond that). After each, the next command must explain what is there,
without a traceback; the same `--out` must be free again (for a killed training that had kept a
model, by `--restart`); no file may be half-written and no temporary file left, those of a SIGKILL
by the next command.

    python -m benchmarks.quality.kills
    python -m benchmarks.quality.kills --tiny  # two kills and one disk
"""

import contextlib
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import machine, write_report

_KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
#: Kilobytes of the disks: too few for the model, what goes with it, pictures, and the export.
_DISKS = (40, 400, 900, 1_200)
_TRAIN = "train shifted-pixelcnn --data digits --epochs 2 --out run".split()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--disks", type=int, default=len(_DISKS), help="that are too small")
    parser.add_argument("--seconds", type=float, default=30.0, help="until the latest kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser, arguments, kills=2, disks=1, seconds=12.0)
    draw = random.Random(options.seed)
    rows = []
    for i in range(options.kills):
        kind, wait = _KINDS[i % len(_KINDS)], draw.uniform(0.0, options.seconds)
        while not (row := _killed(kind, wait, begun=i % 2 == 1)):
            wait *= 0.7  # the training had ended
        rows.append(row)
        print(*rows[-1], sep=" | ", flush=True)
    for kilobytes in _DISKS[: options.disks]:
        rows.append(_on_full_disk(kilobytes))
        print(*rows[-1], sep=" | ", flush=True)
    header = ["what ended it", "exit status", "what the next command said", "wrong"]
    write_report("kills", header, rows, options.out)
    wrong = sum(bool(row[-1]) for row in rows)
    summary = {"kills": options.kills, "disks": len(rows) - options.kills, "wrong": wrong}
    (options.out / "kills.json").write_text(json.dumps({**summary, "machine": machine()}) + "\n")
    if wrong:
        raise SystemExit("something was wrong: see the last column")


def _killed(kind: signal.Signals, wait: float, begun: bool) -> list[str]:
    """A row; none if the training ended before the signal came."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        # Python's own answer to Ctrl-C, which a shell's background jobs ignore.
        process = _start(_TRAIN, folder, lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        while begun and process.poll() is None and not Path(folder, "run").exists():
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        if process.poll() is not None:
            return []
        process.send_signal(kind)
        said = process.communicate()[0]
        what = f"{kind.name} after {wait:.1f} s" + " of training" * begun
        return [what, str(process.returncode), *_aftermath(Path(folder), said, kind)]


def _on_full_disk(kilobytes: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
        is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
        most = resource.RLIM_INFINITY if is_mounted else 200 * kilobytes
        try:
            process = _start(
                _TRAIN, folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            )
            said = process.communicate()[0]
            wrong = [] if "cannot be written" in said and process.returncode == 2 else [said[-300:]]
            next_said, found = _aftermath(Path(folder), said, None)
        finally:
            if is_mounted:
                subprocess.run(["umount", folder], check=True)
        what = f"a disk of {kilobytes:,} kB"
        return [what, str(process.returncode), next_said, "; ".join(filter(None, [*wrong, found]))]


def _aftermath(folder: Path, said: str, kind: signal.Signals | None) -> list[str]:
    """What the next command said, and what was wrong."""
    wrong = []
    if "Traceback" in said:
        wrong.append("a traceback: " + " ".join(said.split("Traceback")[-1].split())[-200:])
    if kind is not signal.SIGKILL:
        wrong += _left_behind(folder)
    next_one = _run(["sample", "run", "--num", "1", "--out", "samples.npz"], folder)
    if "Traceback" in next_one or not next_one.strip():
        wrong.append("the next command does not explain")
    wrong += _left_behind(folder) + _half_written(folder)
    again = _run([*_TRAIN, "--restart"], folder, limit_seconds=4.0)
    if "must name something new" in again and not _is_finished(folder / "run"):
        wrong.append("--out is blocked")
    last = next_one.strip().splitlines()[-1] if next_one.strip() else ""
    return [last.replace("|", "/"), "; ".join(wrong)]


def _left_behind(folder: Path) -> list[str]:
    return [f"'{path.name}' is left" for path in folder.rglob(".kerasar-tmp-*")]


def _half_written(folder: Path) -> list[str]:
    """Files that cannot be read."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix in (".keras", ".npz") and zipfile.ZipFile(path).testzip() is not None:
                raise ValueError("damaged")
            elif path.suffix == ".png" and not path.read_bytes().endswith(b"IEND\xaeB`\x82"):
                raise ValueError("cut short")
        except (ValueError, zipfile.BadZipFile, EOFError) as error:
            found.append(f"'{path.name}' is half-written: {error}")
    export = folder / "run" / "export"
    if export.is_dir() and not (export / "1" / "saved_model.pb").is_file():
        found.append("the export is half-written")
    return found


def _is_finished(run: Path) -> bool:
    return (run / "model.keras").is_file() and not (run / "UNFINISHED.txt").exists()


def _start(command: Sequence[str], folder: Path | str, before: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "kerasar", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,  # type: ignore[arg-type]
    )


def _run(command: Sequence[str], folder: Path, limit_seconds: float | None = None) -> str:
    """What a command prints, ended after a while as Ctrl-C ends it."""
    process = _start(command, folder, lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    began = time.monotonic()
    while process.poll() is None and limit_seconds is not None:
        if time.monotonic() - began > limit_seconds:
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.1)
    return process.communicate()[0]


if __name__ == "__main__":
    main()
