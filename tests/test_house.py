"""The house: imports run one way, packages are complete, doors are doors, one backend."""

import ast
import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kerasar

PACKAGE = Path(kerasar.__file__).parent
TOP = PACKAGE.parent

#: Each level may import from itself and from those below.
LEVELS = [
    {"cli"},
    {"loading"},
    {"models"},
    {"autoencoder", "vae"},
    {"encoded", "ordered"},
    {"autoregressive", "masked_input", "flow"},
    {"serving"},
    {"sampling"},
    {"causality"},
    {"training"},
    {"layers"},
    {"typing"},
]
#: What models, layers and the rooms between them never import.
LEAVES = {"data", "forecasting", "pictures", "testing"}


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(source):
    """The rooms of kerasar that some code imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "kerasar":
            names = [f"kerasar.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names = [node.module]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "kerasar":
                yield parts[1] if len(parts) > 1 else "kerasar"


def faults(room, source):
    level = {name: i for i, names in enumerate(LEVELS) for name in names}
    for other in imported_rooms(source):
        if other == room or room == "__init__":
            continue
        if room in LEAVES:
            wrong = other == "cli"
        elif room in ("cli", "loading"):
            wrong = other != "typing" and room == "loading" and other not in level
        else:
            wrong = other not in level or level[other] < level[room]
        if wrong:
            yield f"{room} imports {other}"


def test_imports_run_one_way():
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = room_of(path)
        known = LEAVES.union(*LEVELS, {"__init__"})
        assert room in known, f"{path} is in no room of the house: add it to this test"
        found += [f"{path}: {fault}" for fault in faults(room, path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("layers", "import kerasar.training"),
        ("layers", "from kerasar import training"),
        ("training", "from kerasar.causality import check_causal"),
        ("training", "def f():\n    from kerasar.sampling import noise"),
        ("models", "from kerasar.data import load_digits"),
        ("models", "import kerasar"),
        ("autoregressive", "from kerasar.testing import randomise"),
        ("testing", "import kerasar.cli"),
    ],
)
def test_the_rule_can_fail(room, line):
    assert list(faults(room, line))


def test_every_folder_of_code_is_a_package_and_is_packed():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    for folder in folders:
        assert (folder / "__init__.py").exists(), f"{folder} would vanish from the wheel"
    config = configparser.ConfigParser()
    config.read(TOP / "setup.cfg")
    assert config["options"]["packages"] == "find:"
    include = config["options.packages.find"]["include"]
    from setuptools import find_packages

    packed = set(find_packages(str(TOP), include=[include]))
    assert packed == {".".join(f.relative_to(TOP).parts) for f in folders}


def python(code, cwd=TOP, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_import_kerasar_imports_no_tensorflow():
    code = (
        "import sys, kerasar; dir(kerasar)\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    run = python(code)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy"])
def test_another_backend_is_refused_with_a_sentence(backend):
    run = python("import kerasar", KERAS_BACKEND=backend)
    assert run.returncode != 0
    assert f"TensorFlow backend only, but KERAS_BACKEND is '{backend}'" in run.stderr
    assert "Set KERAS_BACKEND=tensorflow" in run.stderr


@pytest.mark.parametrize("door", ["layers", "training"])
def test_the_doors_at_the_top_are_not_packages(door):
    if not (TOP / door).exists():
        pytest.skip("installed without the repository")
    run = python(f"import {door}")
    assert run.returncode != 0
    assert f"ImportError: This folder is the package kerasar.{door}" in run.stderr
    assert f"import kerasar.{door}" in run.stderr
    assert (TOP / door).is_symlink() and (TOP / door).resolve() == PACKAGE / door


def test_public_names_exist():
    for name in dir(kerasar):
        assert getattr(kerasar, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'modles'"):
        kerasar.modles  # noqa: B018
