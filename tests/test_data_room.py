"""The data room stands alone: it starts without TensorFlow and leans on the ground floor only."""

import ast
import subprocess
import sys
from pathlib import Path

import kerasar.data
from kerasar.data import DATASETS, load_images

ROOM = Path(kerasar.data.__file__).parent


def test_import_and_list_need_no_tensorflow():
    program = (
        "import sys, kerasar.data; print(dict(kerasar.data.DATASETS)); kerasar.data.load_digits();"
        "print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "keras", "tensorflow_datasets", "matplotlib"}
    assert not heavy & set(ast.literal_eval(run.stdout.splitlines()[-1]))


def test_it_imports_only_itself_and_the_ground_floor():
    for file in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                ground = ("arguments", "checks", "disk", "typing")
                allowed = ("kerasar.data.", *(f"kerasar.{name}" for name in ground))
                assert not name.startswith("kerasar") or name.startswith(allowed), (file, name)


def test_each_data_set_has_one_line_and_the_named_ones_are_real():
    assert list(DATASETS)[:3] == ["digits", "mnist", "binarized_mnist"]
    assert all(line and "\n" not in line for line in DATASETS.values())
    assert load_images(list(DATASETS)[0]).levels == 17
