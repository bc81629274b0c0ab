"""A stranger's walk: from the README's installation through all that the guide shows, by commands.

Everything happens in an empty folder and an environment of its own; `pytest -m long` walks it.
"""

import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave

TOP = Path(__file__).parents[1]


def command(*arguments, cwd):
    """Runs a command as a user does, without what the tests set."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KERASAR"))}
    done = subprocess.run(
        [*map(str, arguments)], cwd=cwd, capture_output=True, text=True, env=inherited
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with photographs and a table, and the commands of a fresh installation."""
    home = tmp_path_factory.mktemp("stranger")
    rng = np.random.default_rng(0)
    (home / "photos").mkdir()
    for i in range(200):
        row, column = rng.integers(2, 9, 2)
        picture = rng.integers(0, 30, (12, 12)).astype("uint8")
        picture[row : row + 3, column : column + 2] = rng.integers(180, 220)
        imsave(home / "photos" / f"{i:03}.png", picture, cmap="gray", vmin=0, vmax=255)
    with open(home / "sales.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["month", "sold"])
        for t in range(120):
            sold = 100 + t + 15 * np.sin(t * np.pi / 6) + rng.normal(0, 3)
            table.writerow([f"{2015 + t // 12}-{t % 12 + 1:02}", round(sold, 1)])
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    install = re.search(r"^python3 -m venv \.venv && \.venv/bin/pip install \.", readme, re.M)
    assert install is not None
    command(sys.executable, "-m", "venv", ".venv", cwd=home)
    command(".venv/bin/pip", "install", "--quiet", f"{TOP}[compress]", cwd=home)
    return home


@pytest.mark.long
def test_from_installation_to_a_forecast(home):
    def kerasar(*arguments):
        return command(".venv/bin/kerasar", *arguments, cwd=home)

    start = time.monotonic()
    kerasar("train", "pixelcnn", "--data", "photos", "--minutes", "2")
    run = "runs/pixelcnn-photos"
    for picture in ("samples.png", "inpainting.png"):
        assert (home / run / picture).stat().st_size > 1000
    kerasar("sample", run, "--num", "16", "--seed", "1", "--out", "drawn.png")
    kerasar("score", run, "photos", "--out", "scores.csv")
    assert len((home / "scores.csv").read_text().splitlines()) == 201
    kerasar("inpaint", run, "--hide", "right", "--out", "completed.png")
    assert "log_prob" in kerasar("export", run, "--out", "exported")
    said = kerasar("compress", run, "photos", "--out", "photos.ksr")
    assert "photos.ksr" in said
    kerasar("decompress", run, "photos.ksr", "--out", "again.npy")
    assert np.load(home / "again.npy").shape[0] == 200
    kerasar("train", "forecaster", "--data", "sales.csv", "--minutes", "1")
    kerasar("forecast", "runs/forecaster-sales", "--steps", "12", "--out", "quantiles.csv")
    assert len((home / "quantiles.csv").read_text().splitlines()) == 13
    assert time.monotonic() - start < 15 * 60
