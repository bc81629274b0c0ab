"""Images from .npz and .npy files: whole numbers come in, everything else is refused by name."""

import re
import zipfile

import numpy as np
import pytest

from kerasar.data import load_images, load_sequences, load_series


def images(count, *shape, top=255, dtype=np.uint8):
    """Images that are all different, and reach `top`."""
    x = np.random.default_rng(0).integers(0, top + 1, (count, *shape))
    x.flat[0] = top
    return x.astype(dtype)


def saved(tmp_path, x, name="faces.npy"):
    np.save(tmp_path / name, x)
    return tmp_path / name


def multiset(*parts):
    return sorted(image.tobytes() for part in parts for image in part)


@pytest.mark.parametrize("train, test", [("x_train", "x_test"), ("train", "test")])
def test_an_npz_with_a_test_set_keeps_it(tmp_path, train, test):
    x, held = images(7, 4, 5, 3), images(3, 4, 5, 3)
    labels = {"y_train": np.arange(7)[:, None], "y_test": np.arange(3)}  # keras' two shapes
    np.savez(tmp_path / "faces.npz", **{train: x, test: held}, **labels)
    data = load_images(tmp_path / "faces.npz")
    np.testing.assert_array_equal(data.train, x)
    np.testing.assert_array_equal(data.test, held)
    np.testing.assert_array_equal(data.train_labels, np.arange(7))
    np.testing.assert_array_equal(data.test_labels, np.arange(3))
    assert (data.name, data.levels, data.names) == ("faces", 256, None)


@pytest.mark.parametrize("count, held", [(2, 1), (9, 1), (20, 2), (105, 10)])
def test_without_a_test_set_a_tenth_is_held_out_and_nothing_lost(tmp_path, count, held):
    x = images(count, 4, 4)
    data = load_images(saved(tmp_path, x))
    assert (len(data.train), len(data.test)) == (count - held, held)
    assert multiset(data.train, data.test) == multiset(x)


def test_the_same_images_are_held_out_each_time(tmp_path):
    x = np.arange(30, dtype=np.uint8).reshape(30, 1, 1) * np.ones((30, 2, 2), np.uint8)
    first, second = (load_images(saved(tmp_path, x, n)) for n in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(first.test, second.test)
    # Stated, so that results stay comparable from one release to the next.
    assert first.test[:, 0, 0, 0].tolist() == [2, 13, 28]


def test_labels_follow_their_images_into_the_held_out_part(tmp_path):
    x = images(40, 3, 3)
    np.savez(tmp_path / "x.npz", x_train=x, y_train=x[:, 0, 0])
    data = load_images(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.train_labels, data.train[:, 0, 0, 0])
    np.testing.assert_array_equal(data.test_labels, data.test[:, 0, 0, 0])


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (1, 1)])
def test_a_channel_axis_is_added_only_where_there_is_none(tmp_path, shape):
    data = load_images(saved(tmp_path, images(6, *shape)))
    assert data.train.shape[1:] == (shape if len(shape) == 3 else (*shape, 1))


@pytest.mark.parametrize("dtype", [bool, np.int8, ">u2", np.int64, np.float16, np.float64])
def test_any_numeric_type_of_whole_numbers_gives_the_same_images(tmp_path, dtype):
    x = images(10, 4, 4, top=1)
    data = load_images(saved(tmp_path, x.astype(dtype)))
    assert data.train.dtype == data.test.dtype == np.uint8
    assert multiset(data.train, data.test) == multiset(x)


@pytest.mark.parametrize(
    "top, levels, dtype",
    [
        (0, 2, np.uint8),
        (1, 2, np.uint8),
        (9, 10, np.uint8),
        (16, 17, np.uint8),
        (17, 256, np.uint8),
        (255, 256, np.uint8),
        (256, 512, np.int32),
        (4095, 4096, np.int32),
        (65535, 65536, np.int32),
    ],
)
def test_levels_follow_the_stated_rule(tmp_path, top, levels, dtype):
    data = load_images(saved(tmp_path, images(10, 4, 4, top=top, dtype=np.int64)))
    assert (data.levels, data.train.dtype) == (levels, dtype)


def test_levels_count_the_larger_values_of_the_test_set(tmp_path):
    np.savez(tmp_path / "x.npz", train=images(4, 2, 2, top=3), test=images(4, 2, 2, top=9))
    assert load_images(tmp_path / "x.npz").levels == 10


def test_given_levels_win(tmp_path):
    assert load_images(saved(tmp_path, images(10, 4, 4, top=3)), levels=8).levels == 8


def test_two_levels_read_0_and_255_as_0_and_1(tmp_path):
    x = images(10, 4, 4, top=1)
    data = load_images(saved(tmp_path, x * 255), levels=2)
    assert data.levels == 2 and multiset(data.train, data.test) == multiset(x)


@pytest.mark.parametrize(
    "levels, error, match",
    [
        (200, ValueError, r"below 200, but '.*faces.npy' holds the value 255. Pass levels=256"),
        (2, ValueError, r"below 2, but .* holds the value 255"),
        (1, ValueError, r"levels, .* must be at least 2, but got 1"),
        (2.5, TypeError, r"levels must be an integer or None, but got 2.5"),
    ],
)
def test_levels_that_do_not_fit_are_refused(tmp_path, levels, error, match):
    with pytest.raises(error, match=match):
        load_images(saved(tmp_path, images(10, 4, 4)), levels=levels)


def spoilt(value):
    x = images(4, 2, 2).astype(np.float32)
    x[1, 0, 1] = value
    return x


@pytest.mark.parametrize(
    "x, match",
    [
        (spoilt(np.nan), r"'.*faces.npy' holds nan at index \(1, 0, 1, 0\)"),
        (spoilt(np.inf), r"holds inf at index"),
        (spoilt(7.5), r"holds 7.5 at index.*Undo any scaling"),
        (images(4, 2, 2) / 255, r"scaled to \[0, 1\], undo it: np.round\(images \* 255\)"),
        (spoilt(-3), r"from 0 to 65,535, but .* holds values from -3"),
        (images(4, 2, 2, top=70_000, dtype=np.int64), r"holds values from \d+ to 70000"),
        (images(4, 2, 2).astype(complex), r"has dtype complex128"),
        (images(4, 2, 2).astype(str), r"has dtype <U"),
        (np.zeros((4, 2, 2), [("a", "u1")]), r"has dtype \[\('a'"),
        (images(4, 2), r"has shape \(4, 2\). Reshape"),
        (np.uint8(3), r"has shape \(\)"),
        (images(4, 2, 2, 2, 2), r"has shape \(4, 2, 2, 2, 2\)"),
        (np.zeros((0, 2, 2), np.uint8), r"is empty: its shape is \(0, 2, 2\)"),
        (np.zeros((2, 0, 2), np.uint8), r"is empty"),
        (images(1, 2, 2), r"at least 2, but '.*faces.npy' holds 1"),
        (images(4, 3, 8, 8), r"Channels must come last.*np.moveaxis\(images, 1, -1\)"),
    ],
)
def test_what_is_not_images_of_whole_numbers_is_refused(tmp_path, x, match):
    with pytest.raises(ValueError, match=match):
        load_images(saved(tmp_path, x))


@pytest.mark.parametrize(
    "arrays, match",
    [
        ({"a": images(3, 2, 2), "b": images(3, 2, 2)}, r"holds \['a', 'b'\]. Save it again"),
        ({}, r"holds \[\]"),
        ({"train": images(3, 2, 2), "test": images(3, 2, 4)}, r"\(2, 2, 1\) and \(2, 4, 1\)"),
        ({"train": images(3, 2, 2), "test": images(3, 2)}, r"'test' in '.*x.npz' has shape"),
        (
            {"x_train": images(3, 2, 2), "y_train": np.arange(4)},
            r"one label for each of the 3 images.*'y_train' in .* has shape \(4,\)",
        ),
        ({"x_train": images(3, 2, 2), "y_train": np.full(3, -1)}, r"'y_train'.*from -1 to -1"),
    ],
)
def test_an_npz_of_another_layout_is_refused(tmp_path, arrays, match):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=match):
        load_images(tmp_path / "x.npz")


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a stranger's code was run",)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_python_objects_are_never_loaded(tmp_path, name):
    x = np.array([[[Bomb()]]], dtype=object)
    if name == "x.npy":
        np.save(tmp_path / name, x, allow_pickle=True)
    else:
        np.savez(tmp_path / name, x_train=x)
    with pytest.raises(ValueError, match=rf"{name}' cannot be read.*never loads.*can run code"):
        load_images(tmp_path / name)


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_a_file_cut_short_anywhere_is_refused_by_name(tmp_path, save):
    whole = tmp_path / ("x.npy" if save is np.save else "x.npz")
    save(whole, images(6, 4, 4))
    data = whole.read_bytes()
    for size in range(0, len(data), 7):
        whole.write_bytes(data[:size])
        with pytest.raises(ValueError, match=re.escape(f"'{whole}'")):
            load_images(whole)


def test_a_damaged_npz_is_refused_or_read_unchanged(tmp_path):
    """Every byte flipped in turn: the checksum of the format finds what matters."""
    path = tmp_path / "x.npz"
    x = images(6, 4, 4)
    np.savez_compressed(path, x)
    data = path.read_bytes()
    refused = 0
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1 :])
        try:
            read = load_images(path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert multiset(read.train, read.test) == multiset(x)
    assert refused > len(data) / 2


def test_an_npz_that_claims_to_be_huge_is_refused(tmp_path):
    path = saved(tmp_path, images(6, 4, 4), "x.npy")
    data = path.read_bytes().replace(b"(6, 4, 4), }" + b" " * 10, b"(6000000000000, 4, 4), }"[:22])
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read"):
        load_images(path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("letter.txt", "Dear reader")
    with pytest.raises(ValueError, match=r"x.npz' is a zip file, but 'letter.txt' in it"):
        load_images(tmp_path / "x.npz")


@pytest.mark.parametrize("spec", ["gone.npz", "gone/", "no/such/folder"])
def test_a_missing_path_is_named(tmp_path, spec):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        load_images(f"{tmp_path}/{spec}")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(ValueError, match=r"ends in '.jpg'. Convert it"):
        load_images(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    "spec, near",
    [("digit", "'digits'"), ("MNIST", "'mnist'"), ("cifar10", "'tfds:cifar10'")],
)
def test_an_unknown_name_gets_near_matches(spec, near):
    with pytest.raises(ValueError, match=f"'{spec}' is neither.*Did you mean .*{near}"):
        load_images(spec)


@pytest.mark.parametrize("spec", ["qqqqqqqqqqqq", ""])
def test_a_name_like_nothing_gets_the_list_of_what_there_is(spec):
    with pytest.raises(ValueError, match=r"exists. Pass 'digits'"):
        load_images(spec)


def header(shape, descr="|u1"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def bomb(tmp_path, name, content):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.npy", content)
    return tmp_path / name


READERS = {".npz": (load_images, load_sequences), ".npy": (load_images, load_series)}


@pytest.mark.parametrize("shape", [(10**9, 10**3), (2**40,), (10**30, 2)])
def test_a_shape_that_the_file_does_not_hold_is_refused(tmp_path, shape):
    bomb(tmp_path, "a.npz", header(shape) + bytes(1000))
    (tmp_path / "a.npy").write_bytes(header(shape) + bytes(1000))
    for ending, readers in READERS.items():
        for reader in readers:
            with pytest.raises(ValueError, match="states shape .*, but has 1,128 bytes"):
                reader(tmp_path / f"a{ending}")


def test_what_unpacks_to_more_than_it_may_is_refused(tmp_path):
    path = bomb(tmp_path, "a.npz", header((300 << 20,)) + bytes(300 << 20))
    for reader in READERS[".npz"]:
        with pytest.raises(ValueError, match="314,572,928 bytes together are more than"):
            reader(path)
