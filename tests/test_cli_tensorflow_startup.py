"""TensorFlow's notes are dropped, and nothing else is."""

import os
import subprocess
import sys

import pytest

from kerasar.cli.support.tensorflow_startup import _is_noise

NOISY_TENSORFLOW = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written\\n")
os.write(2, b"I0000 00:00:17.04 15313 port.cc:153] oneDNN custom operations are on.\\n")
class config: list_physical_devices = staticmethod(lambda: [])
def zeros(shape): return 0
"""


def run(code, **environment):
    clean = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, **environment},
    )


def inside(body):
    lines = "\n    ".join(body.split("\n"))
    return (
        "import os, sys\n"
        "from kerasar.cli.support.tensorflow_startup import _filtered_stderr, _is_noise\n"
        f"with _filtered_stderr(_is_noise):\n    {lines}\n"
        "sys.stderr.write('after\\n')\n"
    )


@pytest.fixture
def stand_in(tmp_path):
    """A module that makes TensorFlow's noise and starts at once."""
    (tmp_path / "tensorflow.py").write_text(NOISY_TENSORFLOW)
    return {"PYTHONPATH": str(tmp_path)}


START = "from kerasar.cli.support.tensorflow_startup import start_tensorflow\nstart_tensorflow()"


def test_tensorflow_starts_without_a_word(stand_in):
    done = run(START, **stand_in)
    assert done.returncode == 0 and done.stderr == ""


def test_whoever_sets_the_log_level_gets_all_of_it(stand_in):
    assert "oneDNN" in run(START, TF_CPP_MIN_LOG_LEVEL="0", **stand_in).stderr


def test_errors_go_through_in_their_order():
    done = run(inside("os.write(2, b'E0000 real\\nI0000 note\\nplain\\n')"))
    assert done.stderr == "E0000 real\nplain\nafter\n"


def test_the_last_words_of_a_crash_go_through():
    done = run(inside("os.write(2, b'F0000 fatal\\n')\nos.abort()"))
    assert done.returncode != 0 and "F0000 fatal" in done.stderr


def test_an_exception_goes_through():
    assert "ZeroDivisionError" in run(inside("1 / 0")).stderr


@pytest.mark.parametrize(
    "line, noise",
    [
        (
            b"I0000 00:00:1795324992.043504 15313 port.cc:153] oneDNN custom operations are on.",
            True,
        ),
        (b"WARNING: All log messages before absl::InitializeLog() is called are written", True),
        (b"W0000 00:00:1795324992.043504 15313 some.cc:1] something is odd", False),
        (b"E0000 00:00:1795324992.043504 15313 some.cc:1] something is wrong", False),
        (b"Traceback (most recent call last):", False),
    ],
)
def test_only_notes_are_noise(line, noise):
    assert _is_noise(line) == noise
