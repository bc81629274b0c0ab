"""The embedded digits are the UCI digits, whole and in their order."""

import hashlib
import re
from importlib import resources

import numpy as np
import pytest

from kerasar.data import load_digits, load_images


def test_they_have_the_promised_shapes_and_types():
    (x_train, y_train), (x_test, y_test) = load_digits()
    assert (x_train.shape, y_train.shape) == ((1500, 8, 8, 1), (1500,))
    assert (x_test.shape, y_test.shape) == ((297, 8, 8, 1), (297,))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}


def test_they_are_the_published_digits():
    (x_train, y_train), (x_test, y_test) = load_digits()
    labels = np.concatenate([y_train, y_test])
    # Published for this set: examples per class, and 17 levels.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.unique(x_train).tolist() == np.unique(x_test).tolist() == list(range(17))
    # The first row of the published file: a zero.
    assert y_train[0] == 0
    assert x_train[0, :3, :, 0].tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
    ]


def test_no_digit_is_in_both_parts():
    (x_train, _), (x_test, _) = load_digits()
    assert not {x.tobytes() for x in x_train} & {x.tobytes() for x in x_test}


def test_changing_them_does_not_change_the_next_copy():
    (x_train, _), _ = load_digits()
    x_train[:] = 0
    assert load_digits()[0][0].max() == 16


def test_the_page_beside_the_file_states_its_hash():
    folder = resources.files("kerasar.data")
    digest = hashlib.sha256((folder / "digits.npz").read_bytes()).hexdigest()
    page = (folder / "DIGITS.md").read_text()
    assert re.search(rf"`digits.npz` \|.*{digest}", page)
    assert "CC BY 4.0" in page and "10.24432/C50P49" in page


@pytest.mark.parametrize("levels", [None, 32])
def test_load_images_gives_the_same_digits(levels):
    data = load_images("digits", levels=levels)
    (x_train, y_train), (x_test, y_test) = load_digits()
    assert (data.name, data.levels, data.names) == ("digits", levels or 17, None)
    for ours, theirs in (
        (data.train, x_train),
        (data.test, x_test),
        (data.train_labels, y_train),
        (data.test_labels, y_test),
    ):
        np.testing.assert_array_equal(ours, theirs)
