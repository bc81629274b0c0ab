"""Vectors from a CSV: what is read, what is held out, what is refused."""

import numpy as np
import pytest

from kerasar.data import load_vectors

ROWS = np.arange(40, dtype="float32").reshape(20, 2) ** 1.5


def write(tmp_path, text, name="wine.csv", **kwargs):
    (tmp_path / name).write_text(text, **kwargs)
    return tmp_path / name


def table(separator=",", header="acid{}sugar\n"):
    lines = [separator.join(map(str, row)) for row in ROWS.tolist()]
    return header.format(separator) + "\n".join(lines) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["acid{}sugar\n", ""])
def test_rows_are_divided_and_complete(tmp_path, separator, header):
    data = load_vectors(write(tmp_path, table(separator, header)))
    assert data.name == "wine" and data.columns == (("acid", "sugar") if header else ("0", "1"))
    assert data.train.shape == (18, 2) and data.test.shape == (2, 2)
    assert data.train.dtype == data.test.dtype == np.float32
    together = np.concatenate([data.train, data.test])
    np.testing.assert_allclose(together[np.argsort(together[:, 0])], ROWS, rtol=1e-6)


def test_the_same_rows_are_held_out_each_time(tmp_path):
    path = write(tmp_path, table())
    np.testing.assert_array_equal(load_vectors(path).test, load_vectors(path).test)


def test_columns_are_chosen_by_name_and_others_may_hold_anything(tmp_path):
    path = write(tmp_path, "name,a,b\n" + "".join(f"n{i},{i},{i * i}\n" for i in range(9)))
    data = load_vectors(path, columns=["b", "a"])
    assert data.columns == ("b", "a")
    np.testing.assert_allclose(data.train[:, 0], data.train[:, 1] ** 2)


def test_columns_of_text_are_left_out(tmp_path):
    data = load_vectors(write(tmp_path, "name,a\n" + "".join(f"n{i},{i}\n" for i in range(9))))
    assert data.columns == ("a",) and data.train.shape == (8, 1)


def test_marks_of_spreadsheets_do_no_harm(tmp_path):
    path = write(tmp_path, '"a" , b\r\n1, 2\r\n3, 5\r\n\r\n', encoding="utf-8-sig")
    data = load_vectors(path)
    assert data.columns == ("a", "b") and len(data.train) == len(data.test) == 1


BAD = {
    "word": ("a,b\n1,2\n3,x\n", "column 'b' is 'x' in line 3"),
    "too large": (
        "a,b\n1,2\n3,1e300\n",
        "column 'b' .* holds 1e\\+300, .* float32",
    ),
    "missing": ("a,b\n1,2\n,4\n", "column 'a' is missing in line 3"),
    "nan": ("1,2\n3,nan\n", r"column '1' is missing in line 2 \('nan'\)"),
    "infinite": ("1,2\n3,inf\n", "column '1' is 'inf' in line 2"),
    "ragged": ("a,b\n1,2\n3\n", "as the first, 2, but line 3 .* has 1"),
    "empty": ("", "is empty"),
    "one row": ("a,b\n1,2\n", "at least 2, but .* holds 1"),
    "constant": ("a,b\n1,2\n3,2\n4,2\n", r"Column 'b' .* is 2 in every row.*columns=\['a'\]"),
    "same names": ("a,a\n1,2\n3,4\n", "different names"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(tmp_path, name):
    text, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        load_vectors(write(tmp_path, text))


def test_a_missing_file_and_wrong_columns_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_vectors(tmp_path / "none.csv")
    path = write(tmp_path, table())
    with pytest.raises(ValueError, match=r"one of \['acid', 'sugar'\]"):
        load_vectors(path, columns=["salt"])
    with pytest.raises(TypeError, match="a list of names"):
        load_vectors(path, columns="acid")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="Save it as CSV in UTF-8"):
        load_vectors(tmp_path / "bytes.csv")
