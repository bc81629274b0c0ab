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


def test_steps_that_become_longer_are_no_gaps(tmp_path):
    days = [str(np.datetime64("2023-01-01") + i) for i in range(40)]
    days += [f"2024-{month:02d}-01" for month in range(1, 13)]
    rows = [f"{day},{i % 7}" for i, day in enumerate(days)]
    (tmp_path / "mixed.csv").write_text("\n".join(["ds,y", *rows]) + "\n")
    with pytest.raises(
        ValueError, match="goes by a day, and from 2023-02-09 on by more in line 41"
    ):
        load_series(tmp_path / "mixed.csv", gaps=True)


def test_values_that_are_all_missing_are_named(tmp_path):
    rows = [f"2023-01-{day:02d},{'' if day < 25 else day}" for day in range(1, 29)]
    (tmp_path / "gone.csv").write_text("\n".join(["ds,y", *rows]) + "\n")
    with pytest.raises(ValueError, match="Column 'y' .*all its values are missing in the first"):
        load_series(tmp_path / "gone.csv", column="y", gaps=True, held_out=0.2)


def test_a_fan_chart_shows_a_future_with_gaps():
    from kerasar.pictures import fan_chart

    figure = fan_chart([1.0, np.nan], np.ones((4, 3)), np.array([1.0, np.nan, 2.0]))
    line = next(line for line in figure.axes[0].lines if line.get_label() == "actual")
    assert np.isnan(line.get_ydata()[2]) and line.get_ydata()[3] == 2
    assert line.get_marker() == ".", "values that no line joins are points"
