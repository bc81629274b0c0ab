"""How runs end: stopped, killed, on a full disk; and what the next command makes of it."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from drawing import some
from test_cli_kinds import refuse, succeed

import kerasar
from kerasar.cli.support.disk import staging_folder, sweep
from kerasar.cli.support.new_run import new_run_path
from kerasar.cli.support.outputs import atomic_write, check_new
from kerasar.cli.support.run_config import read_config
from kerasar.cli.support.run_folder import UNFINISHED, RunFolder, RunState
from kerasar.cli.support.signals import uninterrupted
from kerasar.disk import NotWrittenError, disk_errors, lock

SHAPE, LEVELS = (4, 6, 1), 5


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("run"), {"model": "shifted-pixelcnn", "kind": "images", "data": "digits"})
    run.path.mkdir()
    run.save_config()
    run.save_model(kerasar.models.ShiftedPixelCNN(SHAPE, LEVELS))
    return run


def left_behind(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


# Staging folders.


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit])
def test_no_end_of_a_process_leaves_a_staging_folder(tmp_path, stop):
    with pytest.raises(stop), atomic_write(tmp_path / "a" / "b" / "file.txt") as path:
        path.write_text("half")
        raise stop
    assert not left_behind(tmp_path)


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(tmp_path):
    code = (
        "import os, pathlib, signal\n"
        "from kerasar.cli.support.disk import staging_folder\n"
        f"with staging_folder(pathlib.Path({str(tmp_path)!r})) as folder:\n"
        "    (folder / 'half').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60)
    (tmp_path / ".kerasar-tmp-of-mine").mkdir()
    assert len(left_behind(tmp_path)) == 3
    with staging_folder(tmp_path) as used:
        sweep(tmp_path)
        assert left_behind(tmp_path) == sorted([".kerasar-tmp-of-mine", used.name])


def test_a_signal_waits_for_what_is_made_whole():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        _interrupt()
    finally:
        signal.signal(signal.SIGINT, before)


DROPS = {
    "while an object is deleted": """
class Deleted:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
Deleted()
time.sleep(60)
""",
    "in a bare except": """
for i in range(3):  # dropped more than once
    try:
        signal.raise_signal(signal.SIGTERM)
    except:
        pass
time.sleep(60)
""",
    "in the midst of C": """
class Element:
    def __eq__(self, other):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.2)
ctypes.CFUNCTYPE(None)(lambda: Element() == 1)()
time.sleep(60)
""",
    "as another error": """
try:
    signal.raise_signal(signal.SIGTERM)
except BaseException as error:
    raise ValueError("another") from None
""",
    "while it is on its way for long": """
try:
    signal.raise_signal(signal.SIGTERM)
finally:
    try:
        time.sleep(1)
        open("cleaned", "w")
    except KeyboardInterrupt:
        print("asked twice")
""",
    "and held back": """
try:
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
except BaseException:
    pass
time.sleep(60)
""",
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_no_request_to_end_is_lost(tmp_path, drop):
    code = (
        "import ctypes, signal, time\n"
        "from kerasar.cli.support.signals import *\n"
        "end_as_ctrl_c()\n"
        f"def work():\n{textwrap.indent(drop, '    ')}\n"
        "try:\n"
        "    with requests_arrive():\n"
        "        work()\n"
        "except KeyboardInterrupt:\n"
        "    answered()\n"
        "    time.sleep(0.8)\n"  # an answered request is not made again
        "    print('ended')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("ended\n", "")
    assert "cleaned" not in drop or (tmp_path / "cleaned").exists()


@pytest.mark.long
def test_a_request_that_a_training_step_drops_ends_the_command(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=np.arange(40 * 16).reshape(40, 4, 4) % 3)
    code = (
        "import signal, sys, time\n"
        "from kerasar.cli.app import main\n"
        "from kerasar.cli.support.callbacks import TrainingProgress\n"
        "def drops(*arguments, **options):\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    except BaseException:\n"
        "        time.sleep(0.1)\n"  # nothing is asked again while this one is handled
        "TrainingProgress.on_train_batch_end = drops\n"
        "sys.argv[1:] = 'train shifted-pixelcnn --data x.npz --batch-size 4 --out run'.split()\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 130 and "train --resume run" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and RunFolder(tmp_path / "run", {}).can_resume


def _interrupt():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("whole")
    assert done == ["whole"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # the handler is back


# A full disk.


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("Can't decrement id ref count (errno = 28, 'No space left on device')"),
        OSError(122, os.strerror(122)),
    ],
    ids=["system", "h5py", "quota"],
)
def test_a_full_disk_is_named_with_its_file(error):
    with pytest.raises(NotWrittenError, match=r"^'here/model.keras' cannot be written: "):
        with disk_errors("here/model.keras"), disk_errors("here/inner"):
            with disk_errors("here/model.keras"):
                raise error


def test_other_errors_are_not_the_disks():
    with pytest.raises(ValueError, match="^mine$"), disk_errors("file"):
        raise ValueError("mine")


@pytest.mark.parametrize(
    "command", some(["score run x.npy", "models", "--help"], ["models", "--help"])
)
def test_output_to_a_full_device_is_a_sentence(run, command):
    np.save("x.npy", np.zeros((3, *SHAPE), "uint8"))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kerasar", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2, done.stderr
    assert "Error: The output cannot be written: no space left on device." in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", ["sample", "export"])
def test_a_file_that_grows_too_large_is_named(run, command):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        said = refuse(command, "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written: file too large" in said and "'run/" in said
    assert left_behind("run") == ["config.json", "model.keras"]


def test_an_output_that_cannot_be_made_is_noticed_first(tmp_path):
    for path, why in (
        (Path("/proc/kerasar/run"), "cannot be made"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(OSError, match=f"--out must be where files can be written.*{why}"):
            check_new(path, "--out")
    assert not left_behind(tmp_path)


# Runs whose training did not end.


def begin(path, *files):
    """What a killed training leaves."""
    RunFolder(Path(path), {"data": "digits"})._begin()
    for file in files:
        (Path(path) / file).touch()


def kill(path):
    """The lock ends with a process; here, with its descriptor."""
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}") == str(Path(path, UNFINISHED).resolve()):
                os.close(int(descriptor))
        except OSError:
            pass


def test_the_state_of_a_run_is_in_its_folder(run):
    assert RunState.of(run.path) is RunState.finished
    assert RunState.of(Path("nowhere")) is None and RunState.of(Path(".")) is None
    begin("new")
    assert RunState.of(Path("new")) is RunState.training
    kill("new")
    assert RunState.of(Path("new")) is RunState.killed


def test_a_killed_run_says_so_and_does_not_name_itself(run):
    begin("killed")
    assert "still being trained" in refuse("sample", "killed")
    kill("killed")
    said = refuse("sample", "killed")
    assert "never finished" in said and "--resume killed" in said and "mean" not in said


def test_a_killed_run_with_a_model_is_taken_with_a_note(run):
    begin("killed")
    kill("killed")
    os.replace("run/model.keras", "killed/model.keras")
    done = succeed("sample", "killed", "--num", 2, "--out", "a.npz")
    assert "never finished" in done.stderr and done.stdout.strip() == "a.npz"


def test_the_folder_of_an_export_that_was_killed_is_gone(run):
    begin("killed")
    kill("killed")
    os.replace("run/model.keras", "killed/model.keras")
    os.makedirs("killed/export/.kerasar-tmp-abcdefgh/1")
    RunFolder.open(Path("killed"))
    assert not Path("killed/export").exists()


def test_a_killed_run_blocks_no_output(run):
    begin("killed")
    with pytest.raises(FileExistsError, match="being trained by another process"):
        new_run_path(Path("killed"), "shifted-pixelcnn", "digits")
    kill("killed")
    assert new_run_path(Path("killed"), "shifted-pixelcnn", "digits") == Path("killed")
    Path("killed", "model.keras").touch()
    with pytest.raises(FileExistsError, match="never finished.*--restart.*killed-2"):
        new_run_path(Path("killed"), "shifted-pixelcnn", "digits")
    assert new_run_path(Path("killed"), "m", "digits", restart=True) == Path("killed")
    with pytest.raises(FileExistsError, match="'run' exists"):
        new_run_path(Path("run"), "m", "digits", restart=True)
    RunFolder.remove_killed(Path("killed"))
    RunFolder.remove_killed(Path("run"))
    assert not Path("killed").exists() and Path("run").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_the_real_command_ends_whole_at_each_signal(tmp_path, number):
    out = tmp_path / "run"
    command = "train shifted-pixelcnn --data digits --epochs 40 --checkpoint-steps 5 --out".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasar", *command, str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    while not RunFolder(out, {}).can_resume and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and f"train --resume {out}" in said, said
    assert RunState.of(out) is RunState.killed
    assert not [name for name in left_behind(out) if "tmp" in name or "writing" in name]


def test_what_comes_after_training_may_fail_and_says_what_is_kept(tmp_path):
    with pytest.raises(OSError, match="mine") as caught:
        with RunFolder.create(tmp_path / "run", {"data": "digits"}) as run:
            run.config["training"] = {"best_epoch": 3}
            raise OSError("mine")
    assert "the model of epoch 3" in caught.value.__notes__[0]
    assert left_behind(tmp_path) == ["run", "run/config.json"]


def test_a_failure_shows_its_own_error_whatever_is_in_the_way(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with RunFolder.create(tmp_path / "new" / "run", {"data": "digits"}):
            (tmp_path / "new" / "mine.txt").touch()
            raise ZeroDivisionError
    assert left_behind(tmp_path) == ["new", "new/mine.txt"]


def test_a_lock_is_held_once(tmp_path):
    held = lock(tmp_path)
    assert held is not None and lock(tmp_path) is None
    os.close(held)
    assert lock(tmp_path / "missing") is None


# config.json.

WHOLE = {
    "audio": {"sample_rate": 8000, "length": 9, "classes": ["a"]},
    "series": {"length": 9, "column": "a", "data_path": "a.csv", "range": [0.0, 1.0]},
    "vectors": {"column": ["a", "b"]},
    "sequences": {"length": 9},
    "images": {},
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_config_lacks_nothing_that_its_kind_needs(tmp_path, kind):
    file = tmp_path / "config.json"
    whole = {"kind": kind, "data": "x", "kerasar": "0.1.0", **WHOLE[kind]}
    file.write_text(json.dumps(whole))
    assert read_config(file) == whole
    for name in {*WHOLE[kind], "data"} - {"range"}:
        file.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))
        with pytest.raises(ValueError, match=f'"{name}" is missing'):
            read_config(file)
    for name in whole:
        for wrong in ({}, [[]], -1, True, 1e300):
            file.write_text(json.dumps({**whole, name: wrong}))
            with pytest.raises(ValueError, match=f'"{name}" is .*Restore it, or train again'):
                read_config(file)


@pytest.mark.parametrize(
    "text, why",
    [
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"data": ' + "9" * 5000 + "}", "not JSON"),
        ("[]", "holds no object"),
        ('{"data": "x", "kind": "poems"}', '"kind" is "poems"'),
        ('{"data": "x", "kind": ["images"]}', '"kind" is a list'),
        ('{"data": "x", "kerasar": "x"}', "instead of a version"),
        ('{"data": "x", "kerasar": "0.1.1"}', "later than this one.*Update"),
        ('{"data": "x", "kerasar": "9.0.0.dev1"}', "later than this one.*Update"),
        ("\ud800", "UTF-8"),
        (" " * 10_000_001, "10,000,001 bytes"),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
def test_a_config_is_refused_with_its_cause(tmp_path, text, why):
    file = tmp_path / "config.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=why):
        read_config(file)


# What strangers tried.


def test_paths_begin_at_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    os.rename("run", "home/run")
    done = succeed("sample", "~/run", "--num", 2, "--out=~/a.npz")
    assert done.stdout.strip() == str(tmp_path / "home" / "a.npz")
    assert left_behind(tmp_path) == [
        "home", "home/a.npz", "home/run", "home/run/config.json", "home/run/model.keras",
    ]  # fmt: skip
    said = refuse("sample", "~/run", "--out=~nobody-of-that-name/a.npz")
    assert "--out begins with the home folder of a user who is not known here" in said


@pytest.mark.parametrize("out", ["", ".", "/"])
@pytest.mark.parametrize("command", ["export run", "train shifted-pixelcnn --data digits"])
def test_an_output_without_a_name_is_refused(run, command, out):
    before = left_behind(".")
    said = refuse(*command.split(), "--out", out)
    assert "--out must name something new, but '" in said and "Add a name, such as" in said
    assert left_behind(".") == before


def test_scores_are_csv(run):
    np.save("x.npy", np.zeros((3, *SHAPE), "uint8"))
    said = refuse("score", "run", "x.npy", "--out", "scores.xlsx")
    assert "--out must end in .csv, the format to write, but got 'scores.xlsx'" in said


@pytest.mark.parametrize("command", ["sample", "inpaint", "export", "inspect"])
def test_files_of_two_runs_are_noticed(run, command):
    config = json.loads(Path("run/config.json").read_text())
    Path("run/config.json").write_text(json.dumps({**config, "kind": "sequences", "length": 9}))
    said = refuse(command, "run")
    assert (
        "config.json in 'run' says that its data are sequences, but model.keras is a model of "
        "examples of shape (4, 6, 1)"
    ) in said or "was trained on sequences" in said
