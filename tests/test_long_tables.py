"""Files with many series, one below the other."""

import numpy as np
import pytest

from kerasar.data import load_series


@pytest.fixture
def table(tmp_path):
    """Prices of three shares by month, of unequal lengths, the column that names them `symbol`."""
    lines = ["symbol,date,price"]
    for share, (name, steps) in enumerate((("MSFT", 30), ("AMZN", 24), ("IBM", 12))):
        months = np.datetime64("2000-01") + np.arange(steps)
        lines += [f"{name},{month}-01,{100 * share + i**2}" for i, month in enumerate(months)]
    (tmp_path / "shares.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "shares.csv"


def test_one_series_of_a_long_table_is_read_by_its_name(table):
    data = load_series(table, series="AMZN", gaps=True)
    assert data.columns == ("price",) and data.name == "AMZN"
    np.testing.assert_array_equal(data.whole, 100 + np.arange(24.0) ** 2)
    assert str(data.times[-1]).startswith("2001-12-01") and str(data.frequency) == "month"


def test_a_column_called_unique_id_names_series_without_times(tmp_path):
    rows = [f"{name},{value}" for name in (7, 8) for value in (1.5, 2.5, 2.0, name)]
    (tmp_path / "long.csv").write_text("\n".join(["unique_id,y", *rows]) + "\n")
    data = load_series(tmp_path / "long.csv", series="8", held_out=0.25)
    np.testing.assert_array_equal(data.whole, np.float32([1.5, 2.5, 2.0, 8]))


@pytest.mark.parametrize(
    ("series", "match"),
    [
        (None, "3 series, one below the other, which column 'symbol' names: 'MSFT', 'AMZN', 'IBM'"),
        ("MSTF", "no series 'MSTF'.*Did you mean 'MSFT'"),
    ],
)
def test_a_series_that_is_not_chosen_or_not_there_is_named(table, series, match):
    with pytest.raises(ValueError, match=match):
        load_series(table, series=series, gaps=True)


def test_a_file_with_a_single_series_takes_no_name(tmp_path):
    (tmp_path / "one.csv").write_text("y\n1.5\n2.5\n2\n")
    with pytest.raises(ValueError, match="no column that names such"):
        load_series(tmp_path / "one.csv", series="a")
