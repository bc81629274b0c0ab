"""Sequences of unequal length from .npz files: three forms, parts, levels, and what is refused."""

import numpy as np
import pytest

from kerasar.data import load_sequences

PIECES = [np.array([3, 1, 2]), np.array([0, 4]), np.array([1]), np.array([2, 2, 2, 0])]
OFFSETS = np.cumsum([0, *map(len, PIECES)])
JOINED = np.concatenate(PIECES)
PADDED = np.array([[3, 1, 2, 9], [0, 4, 9, 9], [1, 9, 9, 9], [2, 2, 2, 0]])
LENGTH = np.array([3, 2, 1, 4])
ZEROS = np.array([[3, 1, 2, 0], [0, 4, 0, 0], [1, 0, 0, 0], [2, 2, 2, 0]])


@pytest.fixture
def file(tmp_path):
    def write(**arrays):
        np.savez_compressed(tmp_path / "some.npz", **arrays)
        return tmp_path / "some.npz"

    return write


FORMS = {
    "end to end": dict(train=JOINED, train_offsets=OFFSETS),
    "padded": dict(train=PADDED, train_length=LENGTH),
}


@pytest.mark.parametrize("form", FORMS)
def test_sequences_come_padded_with_zeros_and_their_lengths(file, form):
    data = load_sequences(file(**FORMS[form], test=[[1, 1]]))
    np.testing.assert_array_equal(data.train["x"], ZEROS)
    np.testing.assert_array_equal(data.train["length"], LENGTH)
    assert (data.train["x"].dtype, data.train["length"].dtype) == ("uint8", "int32")
    assert (data.name, data.levels, data.valid) == ("some", 5, None)


def test_all_parts_are_padded_alike(file):
    data = load_sequences(
        file(
            **FORMS["padded"], valid=[[1, 2], [3, 4]], test=[1, 1, 1, 1, 1, 1], test_offsets=[0, 6]
        )
    )
    shapes = [part["x"].shape for part in (data.train, data.valid, data.test)]
    assert shapes == [(4, 6), (2, 6), (1, 6)]
    np.testing.assert_array_equal(data.valid["length"], [2, 2])


def test_steps_may_be_vectors(file):
    rolls = np.random.default_rng(0).integers(0, 2, (10, 3)).astype(bool)
    data = load_sequences(file(train=rolls, train_offsets=[0, 4, 5, 7, 9, 10], test=rolls[None]))
    assert data.train["x"].shape == (5, 10, 3) and data.levels == 2
    np.testing.assert_array_equal(data.train["x"][0, :4], rolls[:4])
    np.testing.assert_array_equal(data.train["x"][2, :2], rolls[5:7])


def test_a_tenth_is_held_out_where_there_is_no_test_set(file):
    x = np.arange(30).reshape(30, 1)
    data, again = (load_sequences(file(train=x)) for _ in range(2))
    held, kept = data.test["x"][:, 0], data.train["x"][:, 0]
    assert len(held) == 3 and sorted([*held, *kept]) == list(range(30))
    assert (np.diff(kept) > 0).all() and (np.diff(held.astype(int)) > 0).all()
    np.testing.assert_array_equal(held, again.test["x"][:, 0])


@pytest.mark.parametrize(
    ("largest", "levels", "dtype"), [(0, 2, "uint8"), (255, 256, "uint8"), (256, 257, "int32")]
)
def test_levels_go_by_the_largest_value(file, largest, levels, dtype):
    data = load_sequences(file(train=[[0, 0]], test=[[0, largest]]))
    assert (data.levels, data.train["x"].dtype) == (levels, dtype)


def test_levels_may_be_given(file):
    data = load_sequences(file(train=[[0.0, 1.0], [2.0, 0.0]]), levels=7)
    assert (data.levels, data.train["x"].dtype) == (7, "uint8")


def test_floats_are_real_numbers(file):
    data = load_sequences(file(train=[0.5, -1.0, 2.0], train_offsets=[0, 1, 3]))
    assert (data.levels, data.train["x"].dtype) == (None, "float32")
    values = [*data.train["x"].ravel(), *data.test["x"].ravel()]
    assert sorted(values) == [-1.0, 0.0, 0.5, 2.0]


def test_a_model_takes_it_as_it_comes(file, sequences):
    model = sequences(length=None, levels=5)
    data = load_sequences(file(**FORMS["padded"], test=[[1, 1]]))
    model.compile(jit_compile=False)
    model.fit(data.train, validation_data=data.test, verbose=0)
    terms = model.log_prob_map(data.train)
    for row, piece in enumerate(PIECES):
        alone = model.log_prob_map(piece[None])[0]
        np.testing.assert_allclose(terms[row, : len(piece)], alone, atol=1e-5)


BAD = {
    "objects": (
        dict(train=np.array([np.zeros(2), np.zeros(3)], object)),
        r"Python objects.*can run code.*np.savez_compressed\(path, train=joined, train_offsets",
    ),
    "other names": (dict(x=[[1]]), r"must hold 'train'.*holds \['x'\].*savez_compressed"),
    "a stranger": (dict(train=[[1]], labels=[1]), r"holds \['labels', 'train'\]"),
    "text": (dict(train=np.array([["a"]])), "'train' in .* must hold numbers, but is <U1"),
    "both": (dict(FORMS["padded"], train_offsets=[0, 4]), "holds both. Leave one"),
    "no offsets": (dict(train=JOINED), r"not empty, but .*\(10,\).*need their offsets"),
    "empty": (dict(train=np.zeros((0, 3))), r"not empty, but .*\(0, 3\)"),
    "late": (dict(train=JOINED, train_offsets=OFFSETS[1:]), r"begin with 0.*of 10 steps.*\[3, 5"),
    "early": (dict(train=JOINED, train_offsets=OFFSETS[:-1]), "end with the total number of steps"),
    "falling": (dict(train=JOINED, train_offsets=[0, 5, 3, 10]), r"rise.*\[0, 5, 3, 10\]"),
    "no step": (dict(train=JOINED, train_offsets=[0, 5, 5, 10]), r"rise.*\[0, 5, 5, 10\]"),
    "half": (dict(train=JOINED, train_offsets=OFFSETS / 1), "must be integers.*float64"),
    "no sequence": (dict(train=np.zeros(0), train_offsets=[0]), "must be integers that begin"),
    "long": (dict(train=PADDED, train_length=LENGTH + 1), r"from 1 to 4.*\[4, 3, 2, 5\]"),
    "zero": (dict(train=PADDED, train_length=LENGTH - 1), r"from 1 to 4.*\[2, 1, 0, 3\]"),
    "few": (dict(train=PADDED, train_length=LENGTH[:2]), r"each of the 4 sequences.*\(2,\)"),
    "another shape": (dict(train=[[[1, 2]]], test=[[[1]]]), r"\(2,\) and those of 'test' \(1,\)"),
    "NaN": (dict(train=[[0.5, np.nan]], test=[[1.0]]), "finite, but 'train' in .*holds NaN"),
    "negative": (dict(train=[[0, -3]], test=[[1]]), "0, 1, 2, …, but 'train'.*values from -3 to 0"),
    "one": (dict(train=[[1, 2]]), "at least 2, but .* holds 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_refuses(file, name):
    arrays, message = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_sequences(file(**arrays))


@pytest.mark.parametrize(
    ("train", "message"),
    [([[0, 7]], "0 … 6, but 'train'.*values from 0 to 7"), ([[0.5, 1]], "fractions from 0.5 to 1")],
)
def test_levels_that_do_not_fit_are_refused(file, train, message):
    with pytest.raises(ValueError, match=message):
        load_sequences(file(train=train, test=[[0]]), levels=7)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "some.npz"
    np.savez_compressed(path, train=PADDED)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged, cut short.*train=joined, train_offsets"):
        load_sequences(path)


def test_one_array_is_refused(tmp_path):
    np.save(tmp_path / "some.npy", PADDED)
    with pytest.raises(ValueError, match=r"with the array 'train', but .*\(4, 4\)"):
        load_sequences(tmp_path / "some.npy")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file '.*none.npz'.*savez_compressed"):
        load_sequences(tmp_path / "none.npz")
