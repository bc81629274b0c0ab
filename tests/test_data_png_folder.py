"""Folders of PNGs: read exactly, in the order of their names; anything odd is refused by name."""

import struct
import zlib

import numpy as np
import pytest

from kerasar.data import load_images

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def png(pixels, colour=None, bits=8, palette=None):
    """Encodes `(h, w, c)` values by hand, so that our reader is not checked against itself."""
    height, width, channels = pixels.shape
    if colour is None:
        colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}[channels]
    rows = pixels.astype(">u2" if bits == 16 else np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"".join(b"\0" + r.tobytes() for r in rows))),
    ]
    if palette is not None:
        chunks.insert(1, (b"PLTE", palette.astype(np.uint8).tobytes()))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )


def pictures(count, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 4, channels), dtype=np.uint8)


def fill(folder, images, suffix=".png"):
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        (folder / f"{i:03}{suffix}").write_bytes(png(image))
    return folder


def in_order(data):
    """All images again, in the order of their files, with the help of the held-out names."""
    held = sorted(int(name[:3]) for name in data.names)
    images = np.zeros((len(data.train) + len(data.test), *data.train.shape[1:]), np.uint8)
    images[held] = data.test
    images[np.setdiff1d(np.arange(len(images)), held)] = data.train
    return images


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])
def test_pixels_and_names_are_read_exactly(tmp_path, channels):
    images = pictures(12, channels)
    data = load_images(fill(tmp_path / "faces", images, suffix=".PNG"))
    np.testing.assert_array_equal(in_order(data), images)
    assert (data.name, data.levels, len(data.names)) == ("faces", 256, 1)
    assert data.train_labels is None and data.test_labels is None


def test_an_alpha_channel_that_hides_nothing_is_dropped(tmp_path):
    """matplotlib saves such images."""
    images = pictures(4, 4)
    images[..., 3] = 255
    np.testing.assert_array_equal(in_order(load_images(fill(tmp_path, images))), images[..., :3])


def test_palette_images_become_rgb(tmp_path):
    palette = np.random.default_rng(1).integers(0, 256, (256, 3))
    images = pictures(3)
    for i, image in enumerate(images):
        (tmp_path / f"{i:03}.png").write_bytes(png(image, PALETTE, palette=palette))
    np.testing.assert_array_equal(in_order(load_images(tmp_path)), palette[images[..., 0]])


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path):
    for number, name in enumerate(["ant", "bee", "cat"]):
        fill(tmp_path / name, np.full((10, 2, 2, 1), number, np.uint8))
    (tmp_path / "notes").mkdir()  # a folder without images is no class
    data = load_images(tmp_path)
    np.testing.assert_array_equal(data.train_labels, data.train[:, 0, 0, 0])
    np.testing.assert_array_equal(data.test_labels, data.test[:, 0, 0, 0])
    assert [["ant", "bee", "cat"].index(name[:3]) for name in data.names] == list(data.test_labels)
    assert sorted(np.bincount(np.append(data.train_labels, data.test_labels))) == [10, 10, 10]


def test_hidden_and_other_files_are_left_alone(tmp_path):
    fill(tmp_path, pictures(4))
    (tmp_path / "._000.png").write_bytes(b"left by another system")
    (tmp_path / "README.txt").write_text("four pictures")
    assert len(load_images(tmp_path).train) == 3


def test_black_and_white_becomes_two_levels_on_demand(tmp_path):
    images = pictures(6) // 128 * 255
    data = load_images(fill(tmp_path, images), levels=2)
    np.testing.assert_array_equal(in_order(data), images // 255)


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    fill(tmp_path / "digits", pictures(4))
    monkeypatch.chdir(tmp_path)
    assert len(load_images("digits").train) == 1500
    assert len(load_images("./digits").train) == 3


def half_transparent():
    image = pictures(1, 4)[0]
    image[..., 3] = 128
    return png(image)


@pytest.mark.parametrize(
    "odd, match",
    [
        (png(pictures(1, 3)[0]), r"'.*000.png' has \(5, 4, 1\) and '.*odd.png' has \(5, 4, 3\)"),
        (png(pictures(1)[0, :4]), r"odd.png' has \(4, 4, 1\)"),
        (png(pictures(1)[0], bits=16), r"at most 8 bits a channel, but '.*odd.png' has 16"),
        (half_transparent(), r"odd.png' is transparent in places \(alpha 128"),
        (b"\xff\xd8\xff\xe0 JFIF", r"odd.png' is not a PNG image"),
        (b"", r"odd.png' is not a PNG image"),
    ],
    ids=["colour", "size", "16 bits", "transparent", "jpeg", "empty"],
)
def test_an_odd_image_is_refused_by_name(tmp_path, odd, match):
    fill(tmp_path, pictures(3))
    (tmp_path / "odd.png").write_bytes(odd)
    with pytest.raises(ValueError, match=match):
        load_images(tmp_path)


def test_a_damaged_or_cut_image_is_refused_wherever_the_damage_is(tmp_path):
    fill(tmp_path, pictures(2))
    file, whole = tmp_path / "001.png", png(pictures(1)[0])
    cut = [whole[:size] for size in range(0, len(whole), 5)]
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    for data in cut + flipped:
        file.write_bytes(data)
        with pytest.raises(ValueError, match="001.png"):
            load_images(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ValueError, match=r"holds no PNG images"):
        load_images(tmp_path)


def test_images_beside_class_folders_are_refused(tmp_path):
    fill(tmp_path, pictures(2))
    fill(tmp_path / "ant", pictures(2))
    with pytest.raises(ValueError, match=r"has both: '000.png' and 'ant/'"):
        load_images(tmp_path)
