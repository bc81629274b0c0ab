"""Readers that leave examples in files: what they give is what is read at once."""

import errno
import os
from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf
from small_entries import small_entry
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app, registry
from kerasar.cli.kinds.audio import pieces
from kerasar.data import load_audio, load_images, pipeline
from kerasar.data.lazy_rows import is_lazy
from kerasar.data.row_file import Spool, array_rows

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 200, (30, 4, 5, 3)).astype("uint8")


def saved(folder, kind):
    """The same images in a file of that kind."""
    path = folder / f"images.{kind.split()[0]}"
    if kind == "npy":
        np.save(path, IMAGES)
    elif kind == "npz":
        np.savez(path, x_train=IMAGES, y_train=np.arange(30) % 3)
    elif kind == "npz with tests":
        np.savez(path, other=[1], x_test=IMAGES[20:], x_train=IMAGES[:20])
    elif kind == "npz compressed":
        np.savez_compressed(path, IMAGES)
    elif kind == "npy of whole floats":
        np.save(path, IMAGES.astype("float64"))
    elif kind == "npy of 16 bits, gray":
        np.save(path, 300 * IMAGES[..., 0].astype(">u2"))
    elif kind == "npy in Fortran's order":
        np.save(path, np.asfortranarray(IMAGES))
    else:
        raise ValueError(kind)
    return path


KINDS = [
    "npy", "npz", "npz with tests", "npz compressed", "npy of whole floats", "npy of 16 bits, gray",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_in_files_are_the_arrays_that_are_read(tmp_path, kind):
    path = saved(tmp_path, kind)
    lazy, whole = load_images(path, stream_above=0), load_images(path)
    assert is_lazy(lazy.train) and lazy.levels == whole.levels
    for one, other in ((lazy.train, whole.train), (lazy.test, whole.test)):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_array_equal(one[:], other)
        np.testing.assert_array_equal(one[[2, 0, 1, 2]], other[[2, 0, 1, 2]])
    np.testing.assert_array_equal(lazy.train_labels, whole.train_labels)
    for one, other in zip(pipeline(lazy.train, 7), pipeline(whole.train, 7), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_has_no_rows_in_its_file_is_read_at_once(tmp_path):
    found = load_images(saved(tmp_path, "npy in Fortran's order"), stream_above=0)
    assert not is_lazy(found.train) and found.train.shape == (27, 4, 5, 3)


def test_few_bytes_are_read_at_once(tmp_path):
    for kind in ("npy", "npz"):
        assert not is_lazy(load_images(saved(tmp_path, kind), stream_above=10_000).train)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_folder_of_arrays_is_one_set_of_images(tmp_path, compressed):
    save = np.savez_compressed if compressed else np.savez
    for i in range(3):
        save(tmp_path / f"{i}.npz", x=IMAGES[10 * i : 10 * i + 10], y=np.arange(10) % (i + 1))
    lazy, whole = load_images(tmp_path, stream_above=0), load_images(tmp_path)
    assert is_lazy(lazy.train) and not is_lazy(whole.train)
    rest = np.concatenate([lazy.train[:], lazy.test[:]])
    assert sorted(map(bytes, rest)) == sorted(map(bytes, IMAGES))
    np.testing.assert_array_equal(lazy.train[[17, 3, 25]], whole.train[[17, 3, 25]])
    np.testing.assert_array_equal(lazy.train_labels, whole.train_labels)


def test_pictures_beside_arrays_are_what_is_meant(tmp_path):
    np.save(tmp_path / "arrays.npy", IMAGES)
    (tmp_path / "cats").mkdir()
    for i in range(3):
        picture = tf.io.encode_png(IMAGES[i]).numpy()
        (tmp_path / "cats" / f"{i}.PNG").write_bytes(picture)
    assert len(load_images(tmp_path).train) == 2


def test_what_a_folder_unpacks_to_counts(tmp_path):
    for name in "ab":
        np.savez_compressed(tmp_path / f"{name}.npz", np.zeros((20, 40, 40), "uint8"))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10_000
    assert is_lazy(load_images(tmp_path, stream_above=60_000).train)
    assert not is_lazy(load_images(tmp_path, stream_above=70_000).train)


@pytest.mark.parametrize("above", [None, 0])
def test_a_damaged_file_of_arrays_is_named_or_left_out(tmp_path, above):
    for i in range(3):
        np.savez(tmp_path / f"{i}.npz", IMAGES[10 * i : 10 * i + 10])
    content = (tmp_path / "1.npz").read_bytes()
    (tmp_path / "1.npz").write_bytes(content[:400] + bytes([content[400] ^ 1]) + content[401:])
    with pytest.raises(ValueError, match=r"1.npz' cannot be read as arrays.*Bad CRC"):
        load_images(tmp_path, stream_above=above)
    found = load_images(tmp_path, stream_above=above, skip_corrupt=True)
    assert len(found.train) + len(found.test) == 20 and "1.npz" in found.skipped[0]


@pytest.mark.parametrize(
    "others, message",
    [
        ({"x": IMAGES[:, :3]}, r"a.npz' have \(4, 5, 3\) and those of .*b.npz' \(3, 5, 3\)"),
        ({"x": IMAGES, "y": np.zeros(30, int)}, "b.npz' has some and .*a.npz' has none"),
        ({"x": IMAGES, "z": IMAGES}, r"b.npz' holds \['x', 'z'\]"),
        ({"x": IMAGES + 0.5}, "whole numbers, but 'x' in .*b.npz'"),
    ],
)
def test_files_that_do_not_fit_each_other_are_named(tmp_path, others, message):
    np.savez(tmp_path / "a.npz", IMAGES)
    np.savez(tmp_path / "b.npz", **others)
    for above in (None, 0):
        with pytest.raises(ValueError, match=message):
            load_images(tmp_path, stream_above=above)


def test_a_value_that_is_no_image_is_found_in_the_midst_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasar.data.row_file._BLOCK", 60 * 8)
    values = IMAGES[:3].astype("float64")
    values[2, 1, 1, 1] = np.nan
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=r"from index 2 on holds nan at index \(0, 1, 1, 1\)"):
        load_images(tmp_path / "a.npy", stream_above=0)


def test_a_file_that_becomes_shorter_is_named(tmp_path):
    path = saved(tmp_path, "npy")
    rows = load_images(path, stream_above=0).train
    os.truncate(path, 500)
    with pytest.raises(ValueError, match="images.npy' has become shorter"):
        rows[20:]


def test_no_room_for_a_temporary_file_is_told(tmp_path, monkeypatch):
    path = saved(tmp_path, "npz compressed")

    class Full:
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kerasar.data.row_file.tempfile.TemporaryFile", lambda prefix: Full())
    with pytest.raises(OSError, match=r"TMPDIR.*no space left"):
        Spool().add(IMAGES)
    with pytest.raises(OSError, match="no space left"):
        load_images(path, stream_above=0)


def test_temporary_files_leave_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path, "npz compressed")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    assert len(load_images(path, stream_above=0).train) == 27
    assert not list((tmp_path / "other").iterdir())


def test_rows_of_one_and_of_no_bytes_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6, dtype="uint8").reshape(6, 1))
    rows = array_rows(tmp_path / "a.npy")
    assert rows.read(np.array([4, 5, 0])).tolist() == [[4], [5], [0]]
    assert rows.read(np.array([], int)).shape == (0, 1)


# Recordings.


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    import soundfile

    folder = tmp_path_factory.mktemp("recordings")
    for i, length in enumerate(RNG.integers(300, 900, 24)):
        sound = 0.5 * np.sin(np.arange(length) * (0.1 + 0.01 * i)) + 0.01 * RNG.normal(size=length)
        soundfile.write(folder / f"{i % 3}_{i}.wav", sound, 4000, subtype="PCM_16")
    return folder


def test_recordings_in_a_file_are_those_that_are_read(recordings):
    lazy, whole = load_audio(recordings, stream_above=0), load_audio(recordings)
    assert is_lazy(lazy.x) and not is_lazy(whole.x)
    np.testing.assert_array_equal(lazy.x[:], whole.x)
    np.testing.assert_array_equal(lazy.x[3], whole.x[3])
    for one, other in zip(lazy.divide(), whole.divide(), strict=True):
        np.testing.assert_array_equal(one.x[:], other.x)
        np.testing.assert_array_equal(one.length, other.length)
        np.testing.assert_array_equal(one.sound(1), other.sound(1))
        assert one.names == other.names
    some = load_audio(recordings, stream_above=3000)  # the first ones were in memory
    np.testing.assert_array_equal(some.x[:], whole.x)


def test_pieces_of_recordings_are_the_same(recordings):
    one, other = (
        pieces(load_audio(recordings, stream_above=above).batch(), 256) for above in (0, None)
    )
    assert is_lazy(one["x"]) and one["x"].shape == other["x"].shape
    np.testing.assert_array_equal(one["length"], other["length"])
    np.testing.assert_array_equal(one["condition"], other["condition"])
    real = np.arange(256) < other["length"][:, None]
    np.testing.assert_array_equal(one["x"][:][real], other["x"][real])


def test_recordings_that_cannot_be_read_are_named_or_left_out(recordings, tmp_path):
    for file in sorted(recordings.iterdir())[:6]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    bad = sorted(tmp_path.iterdir())[2]
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(ValueError, match=f"{bad.name}' is cut short"):
        load_audio(tmp_path)
    found = load_audio(tmp_path, skip_corrupt=True)
    assert len(found) == 5 and bad.name not in found.names and "cut short" in found.skipped[0]
    for file in tmp_path.iterdir():
        file.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="None of 6 recordings can be read"):
        load_audio(tmp_path, skip_corrupt=True)


def test_a_model_trains_on_recordings_in_a_file_as_on_arrays(recordings):
    losses = []
    for above in (0, None):
        tf.keras.utils.set_random_seed(1)
        batch = pieces(load_audio(recordings, stream_above=above, levels=8).batch(False), 128)
        model = kerasar.models.WaveNet(None, 8, filters=4, skip_filters=4, cycles=1, cycle_length=2)
        model.compile("adam", jit_compile=False)
        losses.append(model.fit(pipeline(batch, 8), verbose=0).history["loss"])
    assert losses[0] == losses[1]


def test_the_command_says_that_recordings_stay_in_files(recordings, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasar.cli.kinds.audio.STREAMED", 0)
    (tmp_path / "sounds").mkdir()
    for file in recordings.iterdir():
        (tmp_path / "sounds" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "sounds" / "0_bad.wav").write_bytes(b"no sound")
    monkeypatch.setattr("kerasar.cli.support.training_job.TrainingJob.finish", lambda job: None)
    sizes = dict(filters=4, skip_filters=4, cycles=1, cycle_length=3)
    small = {"wavenet": small_entry("wavenet", {"audio": sizes})}
    monkeypatch.setattr(registry, "MODELS", MappingProxyType({**registry.MODELS, **small}))
    arguments = f"train wavenet --data {tmp_path}/sounds --epochs 1 --out {tmp_path}/run".split()
    done = CliRunner().invoke(app, [*arguments, "--levels", "8", "--skip-corrupt"])
    assert done.exit_code == 0, done.output
    assert "read from their files; 1 unreadable files left out" in done.stdout
