"""Files from strangers: nothing is run, no size is believed, a sentence answers each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import CASES, write

#: Without those that take long to write.
QUICK = [case for case in CASES if not {"bomb", "endless", "blank"} & set(case[1].split())]


@pytest.mark.parametrize(("kind", "name"), QUICK[::3], ids=lambda part: repr(part)[1:-1])
def test_a_hostile_file_is_refused(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        write(kind, name, tmp_path)()
    assert_clear([type(caught.value).__name__, str(caught.value)], name)
    assert not Path("executed").exists()


def assert_clear(error, name):
    kind, message = error
    assert kind == "ValueError" and 40 < len(message) < 1_000, f"{name}: {error}"
    assert "/" in message and "Traceback" not in message, f"{name} is not named: {error}"


@pytest.mark.long
def test_all_hostile_files_are_refused_in_little_memory_and_time(tmp_path):
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(here / "hostile_files.py"), str(tmp_path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) > 110
    for name, error, seconds, peak, executed in lines:
        assert not executed, f"{name}: {executed}"
        assert seconds < 20 and peak < 1_000, f"{name}: {seconds:.1f} s, {peak:.0f} MB"
        assert error is not None, f"{name} is accepted"
        assert_clear(error, name)
    assert not (tmp_path / "executed").exists()
    print(f"{len(lines)} files, {max(line[3] for line in lines):.0f} MB")  # for docs/results.md
