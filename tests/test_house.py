"""The house: imports run one way, packages are complete, doors are doors, one backend."""

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kerasar

PACKAGE = Path(kerasar.__file__).parent
TOP = PACKAGE.parent

#: The floors of the house, from the top down. A file imports from its own room and from the floors
#: below; rooms of one floor leave each other alone.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"loading"},
    {"models"},
    {"density_models", "scores"},
    {"compression", "serving", "testing"},
    {"sampling", "training"},
    {"forecasting"},
    {"stepwise", "convolutionalize"},
    {"causality", "distributions"},
    {"layers", "data", "pictures"},
    {"function_cache"},
    {"checks", "noise", "statistics", "keras_internals", "replicas"},
    {"typing", "arguments", "memory", "disk", "version", "varint"},
]
#: Private names of Keras and TensorFlow, which only `keras_internals.py` may know.
PRIVATE = re.compile(
    r"keras\.src|\b_nodes\b|_nodes_by_depth|_inbound_nodes|_outbound_nodes|\._functional\b"
    r"|_flatten_layers|_call_context_args|_keras_history|tensorflow\.(python|compiler|core)\b"
)


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_names(source):
    """The modules of kerasar that some code imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            # What is imported may be a module or a name in one.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if node.module == "kerasar":
                names = names[1:]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "kerasar")


def faults(room, source):
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    for name in imported_names(source):
        other = name.split(".")[1] if "." in name else "kerasar"
        if other == room or room == "__init__":
            continue
        if other == "kerasar":
            wrong = room != "cli"  # the package itself opens every door
        else:
            wrong = other in floor and floor[other] <= floor[room]
        if wrong:
            yield f"{room} imports {other}"


def test_imports_run_one_way():
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = room_of(path)
        known = set.union(*FLOORS, {"__init__"})
        assert room in known, f"{path} is in no room of the house: add it to this test"
        found += [f"{path}: {fault}" for fault in faults(room, path.read_text())]
    assert not found, "\n".join(found)


def module_of(path):
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circle(imports):
    """A list of modules of which each imports the next, and the last the first; None if none."""
    done, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return None
        path.append(module)
        for other in imports[module]:
            found = visit(other)
            if found:
                return found
        done.add(path.pop())
        return None

    return next(filter(None, map(visit, imports)), None)


def test_no_two_files_import_each_other():
    files = {module_of(path): path for path in PACKAGE.rglob("*.py")}
    imports = {}
    for module, path in files.items():
        if module == "kerasar":  # its names are fetched when they are used
            imports[module] = set()
            continue
        names = set(imported_names(path.read_text())) & set(files)
        # A room hands its files out: they do not need it, and it needs them.
        imports[module] = names - {module, *(".".join(module.split(".")[:i]) for i in range(1, 9))}
    found = circle(imports)
    assert not found, "a circle: " + " -> ".join(found)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_private_names_of_keras_are_in_one_file():
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "keras_internals.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if PRIVATE.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ["from keras.src.ops import nn", "layer._flatten_layers()", "model._functional"]
)
def test_a_private_name_is_found(line):
    assert PRIVATE.search(line)


#: Identifiers of 0.1 that the field's reader could not guess, and that others have replaced.
RETIRED = frozenset(
    """randomise hide_present layer_sights Sight windowed check_signature parameters_of latent_of
    elbo_of log_prob_map_of centred places Reading Seen tainted untainted Mixing Job WholeForm
    NoStepForm step_form Weigh as_data as_latent add_state spread_weights move_back
    parameters_per_number transformed_shape original_shape Draft InOrder SurestFirst Graphs
    best_graph ImageEnds SequenceEnds LatentEnds told_position told visited unvisited visits
    above_zero wishes Loaded Named Drawn colours shortfalls temper settle""".split()
)


def identifiers(source):
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)


def test_retired_words_are_gone():
    found = {
        f"{path.relative_to(TOP)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in identifiers(path.read_text())
        if name in RETIRED
    }
    assert not found, sorted(found)


def test_a_retired_word_is_found():
    assert RETIRED & set(identifiers("def f(colours): return x.visits"))


def test_the_linter_sees_every_file_of_the_package():
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "."],
        capture_output=True,
        text=True,
        cwd=TOP,
    )
    if run.returncode:
        pytest.skip(f"no ruff here: {run.stderr}")
    unseen = {str(path) for path in PACKAGE.rglob("*.py")} - set(run.stdout.splitlines())
    assert not unseen, unseen


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("layers", "import kerasar.training"),
        ("layers", "from kerasar import training"),
        ("layers", "from kerasar.data import load_digits"),
        ("causality", "from kerasar.training import DensityModel"),
        ("training", "def f():\n    from kerasar.sampling import METHODS"),
        ("models", "import kerasar"),
        ("models", "from kerasar.loading import load"),
        ("serving", "from kerasar.testing import randomize"),
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
