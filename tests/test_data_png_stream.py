"""Images that stay in their files: the same as those that are read at once."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.data import load_images, pipeline
from kerasar.data.lazy_rows import LazyRows


def write(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        (folder / f"{i:03}.png").write_bytes(tf.io.encode_png(image).numpy())


def toy_images(count, high=200):
    return np.random.default_rng(0).integers(0, high, (count, 4, 5, 1)).astype("uint8")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "images", toy_images(40))
    return tmp_path / "images"


def streamed(folder, **options):
    return load_images(folder, stream_above=0, **options)


def test_they_are_the_images_that_are_read_at_once(folder):
    lazy, whole = streamed(folder), load_images(folder)
    assert isinstance(lazy.train, LazyRows) and lazy.levels == whole.levels == 256
    assert lazy.train.shape == whole.train.shape and lazy.names == whole.names
    np.testing.assert_array_equal(lazy.train[:], whole.train)
    np.testing.assert_array_equal(lazy.test[3], whole.test[3])
    np.testing.assert_array_equal(lazy.train[[5, 2]], whole.train[[5, 2]])


def test_their_batches_come_in_the_same_order(folder):
    lazy, whole = streamed(folder), load_images(folder)
    for one, other in zip(pipeline(lazy.train, 7), pipeline(whole.train, 7), strict=True):
        np.testing.assert_array_equal(one, other)


def test_classes_go_with_them(tmp_path):
    for name in ("cats", "dogs"):
        write(tmp_path / name, toy_images(10))
    lazy, whole = streamed(tmp_path), load_images(tmp_path)
    np.testing.assert_array_equal(lazy.train_labels, whole.train_labels)


def test_black_and_white_become_0_and_1(tmp_path):
    write(tmp_path, 255 * toy_images(20, high=2))
    lazy, whole = streamed(tmp_path, levels=2), load_images(tmp_path, levels=2)
    np.testing.assert_array_equal(lazy.train[:], whole.train)
    assert lazy.train[:].max() == 1


def test_few_bytes_are_read_at_once(folder):
    assert isinstance(load_images(folder, stream_above=10**6).train, np.ndarray)


def test_the_first_corrupt_file_is_named(folder):
    (folder / "007.png").write_bytes((folder / "007.png").read_bytes()[:40])
    with pytest.raises(ValueError, match="007.png' cannot be read as a PNG image"):
        streamed(folder)


@pytest.mark.parametrize("above", [None, 0])
def test_corrupt_files_are_left_out_and_told(folder, above):
    (folder / "000.png").write_bytes(b"no image")
    (folder / "007.png").write_bytes((folder / "007.png").read_bytes()[:40])
    found = load_images(folder, stream_above=above, skip_corrupt=True)
    assert len(found.train) + len(found.test) == 38 and len(found.skipped) == 2
    assert "000.png' is not a PNG image" in found.skipped[0]
    assert not {"000.png", "007.png"} & set(found.names)


def test_nothing_but_corrupt_files_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="None of 1 images can be read: .*a.png"):
        load_images(tmp_path, skip_corrupt=True)


def test_images_of_another_shape_are_named(folder):
    (folder / "x.png").write_bytes(tf.io.encode_png(np.zeros((2, 2, 1), "uint8")).numpy())
    with pytest.raises(ValueError, match=r"000.png' has \(4, 5, 1\) and .*x.png' has \(2, 2, 1\)"):
        streamed(folder)


def test_a_file_that_goes_bad_while_training_is_named(folder):
    images = streamed(folder).train
    for file in folder.iterdir():
        file.write_bytes(b"no image")
    model = kerasar.models.ShiftedPixelCNN((4, 5, 1), 256, filters=(2, 2), head_filters=2)
    model.compile("adam")
    with pytest.raises(ValueError, match="png' is not a PNG image"):
        model.fit(pipeline(images, 8), verbose=0)


def test_the_command_trains_on_them_as_on_arrays(tmp_path, monkeypatch):
    write(tmp_path / "images", toy_images(40, high=3))
    (tmp_path / "images" / "bad.png").write_bytes(b"no image")
    monkeypatch.setattr(
        "kerasar.cli.kinds.images.showcase.draw_pictures",
        lambda run, *arguments: (run.path / "samples.png").touch(),
    )
    monkeypatch.setattr(
        kerasar.AutoregressiveModel, "export", lambda model, path, **_: os.makedirs(path)
    )
    results = []
    for name, above in (("lazy", 0), ("whole", 10**9)):
        monkeypatch.setattr("kerasar.cli.kinds.images.images.STREAMED", above)
        arguments = ["train", "shifted-pixelcnn", "--data", str(tmp_path / "images")]
        arguments += ["--epochs", "1", "--skip-corrupt", "--out", str(tmp_path / name)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert ("read from their files" in done.stdout) == (name == "lazy")
        assert "1 unreadable files left out" in done.stdout
        results.append(json.loads((tmp_path / name / "config.json").read_text())["test"])
    assert results[0] == results[1]
