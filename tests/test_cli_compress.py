"""`kerasar compress` and `decompress`: what comes back, what is told, what is refused."""

import shutil
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image
from small_entries import small_entry
from test_cli_kinds import SMALL, recordings, refuse, succeed

import kerasar
from kerasar.cli import registry
from kerasar.cli.support.compression import load_coding_model
from kerasar.cli.support.run_folder import RunFolder
from kerasar.cli.support.training_job import TrainingJob

pytest.importorskip("constriction")
pytestmark = pytest.mark.usefixtures("loaded_once")
SIZES = {
    "pixelcnn": {"images": dict(filters=4, blocks=1)},
    "wavenet": {"audio": {**SMALL, "input_encoding": "embedding"}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Runs of one epoch on PNGs and recordings, and the folder of one on a series."""
    home = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    (home / "photos").mkdir()
    for number in range(24):
        pixels = rng.integers(100, 140, (4, 5)).astype("uint8")
        Image.fromarray(pixels).save(home / "photos" / f"{number}.png")
    recordings(home / "voices")
    about = {"length": 9, "column": "metres", "data_path": "tide.csv", "range": [0.0, 1.0]}
    series = RunFolder(home / "series", {"model": "wavenet", "kind": "series", **about})
    series.path.mkdir()
    series.save_config()
    (series.path / "model.keras").touch()
    with pytest.MonkeyPatch.context() as patch:
        small = {name: small_entry(name, sizes) for name, sizes in SIZES.items()}
        patch.setattr(registry, "MODELS", MappingProxyType({**registry.MODELS, **small}))
        patch.setattr(TrainingJob, "finish", lambda job: None)  # no pictures and no export
        for model, data, name, *options in (
            ("pixelcnn", "photos", "images"),
            ("wavenet", "voices", "audio", "--conditional"),
        ):
            common = ("--epochs", 1, "--batch-size", 4, "--out", home / name)
            succeed("train", model, "--data", home / data, *common, *options)
    return home


def test_images_come_back_as_they_were(home):
    file, photos = home / "photos.ksr", home / "photos"
    told = succeed("compress", home / "images", photos, "--out", file, "--report")
    assert "24 images in" in told.stderr
    assert all(name in told.stdout for name in ("png, a file each", "xz, all in one", "raw"))
    succeed("decompress", home / "images", file, "--out", home / "back")
    originals = sorted(photos.iterdir(), key=lambda path: path.name)
    for number, original in enumerate(originals):
        found = np.asarray(Image.open(home / "back" / f"{number}.png"))
        np.testing.assert_array_equal(found, np.asarray(Image.open(original)))
    succeed("decompress", home / "images", file, "--out", home / "back.npy")
    assert np.load(home / "back.npy").shape == (24, 4, 5, 1)


def test_recordings_keep_their_lengths_their_classes_and_their_silence(home):
    quiet, file = home / "quiet", home / "voices.ksr"
    shutil.copytree(home / "voices", quiet)
    codes = np.full(900, 128)
    codes[400:500] = 255
    kerasar.data.write_wav(quiet / "low" / "silence.wav", codes, 8000)
    succeed("compress", home / "audio", quiet, "--out", file, "--report")
    succeed("decompress", home / "audio", file, "--out", home / "sounds.npz")
    data = kerasar.data.load_audio(quiet, trim_db=None)
    assert data.length.max() == 900
    with np.load(home / "sounds.npz") as arrays:
        np.testing.assert_array_equal(arrays["length"], data.length)
        np.testing.assert_array_equal(arrays["condition"], data.labels)
        for row, other, length in zip(arrays["x"], data.x, data.length, strict=True):
            np.testing.assert_array_equal(row[:length], other[:length])
    succeed("decompress", home / "audio", file, "--out", home / "sounds")
    again = kerasar.data.load_audio(home / "sounds", trim_db=None)
    assert again.classes == data.classes
    assert sorted(again.length) == sorted(data.length)
    assert "--out NAME.npz" in refuse(
        "decompress", home / "audio", file, "--out", home / "sounds.npy"
    )


def test_what_cannot_be_done_is_refused_and_writes_nothing(home, tmp_path):
    file = home / "kept.ksr"
    succeed("compress", home / "images", home / "photos", "--out", file)
    out = tmp_path / "new"
    damaged, foreign = tmp_path / "damaged.ksr", tmp_path / "foreign.ksr"
    damaged.write_bytes(file.read_bytes()[:-2])
    foreign.write_bytes(b"GIF89a")
    voices, rates = home / "other.ksr", home / "rates"
    rates.mkdir()
    kerasar.data.write_wav(rates / "fast.wav", np.full(100, 128), 16000)
    succeed("compress", home / "audio", home / "voices", "--out", voices)
    for arguments, message in (
        (("decompress", home / "images", damaged, "--out", out), "damaged"),
        (("decompress", home / "images", foreign, "--out", out), "no file of compress"),
        (("decompress", home / "images", voices, "--out", out), "another model"),
        (("decompress", home / "images", tmp_path / "none.ksr", "--out", out), "no file"),
        (("decompress", home / "images", file, "--out", home / "photos"), "nothing is overwritten"),
        (("compress", home / "images", home / "photos", "--out", out), ".ksr"),
        (("compress", home / "images", home / "photos", "--out", file), "nothing is overwritten"),
        (
            ("compress", home / "audio", rates, "--out", tmp_path / "r.ksr"),
            "16000 samples a second",
        ),
        (("compress", home / "series", home / "photos", "--out", tmp_path / "t.ksr"), "series"),
    ):
        assert message in refuse(*arguments), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.ksr", "foreign.ksr"]


def test_a_missing_library_is_named_before_work_starts(home, tmp_path, monkeypatch):
    from kerasar.cli.support import compression

    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    told = refuse("compress", home / "images", home / "photos", "--out", tmp_path / "x.ksr")
    assert "pip install 'kerasar[compress]'" in told


def test_runs_whose_model_is_no_coder_say_so():
    class Run:
        path = "runs/other"

        def __init__(self, model):
            self.load_model = lambda: model

    with pytest.raises(ValueError, match="real numbers"):
        load_coding_model(Run(kerasar.models.RealNVP(2)))
    size = dict(filters=4, blocks=1, skip_filters=4, local_features=2)
    with pytest.raises(ValueError, match=r"conditioned on local.*model.compress"):
        load_coding_model(Run(kerasar.models.GatedPixelCNN((4, 4, 1), 3, **size)))
