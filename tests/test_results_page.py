"""The page of results is what its script makes of the benchmarks' files."""

import json
import re
import shutil

import pytest

from benchmarks.common.results_page import DOCS, page


def test_the_page_is_what_the_script_writes():
    written = (DOCS / "results.md").read_text(encoding="utf-8")
    assert written == page(), "run python -m benchmarks.common.results_page"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DOCS / "benchmarks", tmp_path / "benchmarks")


def test_a_new_result_changes_the_page(folder):
    file = folder / "images_gated_mnist.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "test_bits_per_dim": 0.7654}))
    assert "**0.765** bits/dim" in page(folder) != page()


def test_a_result_without_a_file_is_not_made_up(folder):
    (folder / "images_gated_mnist.json").unlink()
    with pytest.raises(KeyError, match="images_gated_mnist"):
        page(folder)


def test_each_picture_on_the_page_exists():
    pictures = [line.split("](")[1].rstrip(")") for line in page().split("\n") if line[:2] == "!["]
    assert len(pictures) > 5 and all((DOCS / picture).is_file() for picture in pictures)


def test_what_readme_says_was_reached_is_measured():
    rows = re.findall(
        r"^\| `[A-Z].*\| (.*) \|$", (DOCS.parent / "README.md").read_text("utf-8"), re.M
    )
    measured = (DOCS / "results.md").read_text("utf-8")
    figures = [re.findall(r"\d+\.\d+", row) for row in rows]
    assert len(rows) == 8 and all(len(found) == 1 for found in figures), rows
    assert not [found for (found,) in figures if found not in measured]
