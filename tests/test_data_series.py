"""Series from files: every value in its place, or a refusal that names the row."""

import tracemalloc

import numpy as np
import pytest

import kerasar
from kerasar.data import Quantizer, load_series, mean_and_scale, windows

ROWS = [("2020-01-01", 1.5, 10), ("2020-01-02", -2.5, 30), ("2020-01-03", 2e3, 20), ("x", 0, 40)]
TABLE = "date,level,rain\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS)


def write(tmp_path, text, name="series.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def whole(series):
    return np.concatenate([series.train, series.test])


@pytest.mark.parametrize("column", ["level", 1, ["level"], np.int64(1)])
def test_a_column_is_found_by_name_and_by_number(tmp_path, column):
    series = load_series(write(tmp_path, TABLE), column)
    expected = np.float32([1.5, -2.5, 2000, 0])
    if isinstance(column, list):  # a list gives steps that are vectors, also of one
        expected = expected[:, None]
    np.testing.assert_array_equal(whole(series), expected)
    assert whole(series).dtype == np.float32 and series.columns == ("level",)
    assert series.name == "series" and series.levels is None


def test_several_columns_keep_the_order_that_was_asked_for(tmp_path):
    series = load_series(write(tmp_path, TABLE), ["rain", "level"])
    np.testing.assert_array_equal(whole(series)[1], [30, -2.5])
    assert series.columns == ("rain", "level") and series.num_variables == 2


def test_without_a_column_all_columns_of_numbers_are_taken(tmp_path):
    assert load_series(write(tmp_path, TABLE)).columns == ("level", "rain")
    one = load_series(write(tmp_path, "day,metres\nmo,1\ntu,2\nwe,4\n"))
    assert one.columns == ("metres",) and one.train.ndim == 1 and one.num_variables is None


@pytest.mark.parametrize(
    "text",
    ["1;2\n3;4\n5;7\n", "1\t2\n3\t4\n5\t7\n", "1,2\r\n3,4\r\n5,7\r\n\r\n", '"1","2"\n3,4\n 5 ,7'],
    ids=["semicolons", "tabs", "windows", "quotes"],
)
def test_tables_as_programs_write_them(tmp_path, text):
    series = load_series(write(tmp_path, text))
    np.testing.assert_array_equal(whole(series), [[1, 2], [3, 4], [5, 7]])
    assert series.columns == ("0", "1"), "a first row of numbers is no header"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("time;value\n2024-01-01;3,25\n2024-01-02;4,5\n2024-01-03;5\n", {}),
        ("value\tx,y\n3,25\ta\n4,5\tb,c\n5\td\n", {}),
        ("value\n3,25\n4,5\n5\n", {"delimiter": ";"}),
        ("0,1\nmo,3.25\ntu,4.5\nwe,5\n", {}),
        (",0\n0,3.25\n1,4.5\n2,5\n", {"column": "0"}),
        ("day;value\n1.x;3,250\n2.x;4,500\n3.x;5\n", {"decimal": ","}),
    ],
)
def test_signs_are_found_from_all_rows(tmp_path, text, arguments):
    series = load_series(write(tmp_path, text), **arguments)
    np.testing.assert_array_equal(whole(series), np.float32([3.25, 4.5, 5]))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    series = load_series(write(tmp_path, "level\n1\n2\n3\n", encoding="utf-8-sig"), "level")
    np.testing.assert_array_equal(whole(series), [1, 2, 3])


def test_the_end_is_held_out(tmp_path):
    path = write(tmp_path, "\n".join(map(str, range(100))))
    series = load_series(path, held_out=0.25)
    np.testing.assert_array_equal(series.train, np.arange(75))
    np.testing.assert_array_equal(series.test, np.arange(75, 100))
    assert len(load_series(path, held_out=1e-9).test) == 1


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_npy_files_are_read(tmp_path, shape, dtype):
    array = (100 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    series = load_series(tmp_path / "a.npy")
    np.testing.assert_array_equal(whole(series), array.astype("float32"))
    if len(shape) == 2:
        picked = load_series(tmp_path / "a.npy", [2, 0])
        np.testing.assert_array_equal(whole(picked), array[:, [2, 0]].astype("float32"))


def test_the_units_are_those_of_the_training_part(tmp_path):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(5, 2, (90, 2)), rng.normal(100, 50, (10, 2))])
    np.save(tmp_path / "a.npy", x)
    series = load_series(tmp_path / "a.npy")
    np.testing.assert_allclose(series.mean, x[:90].mean(0), rtol=1e-6)
    np.testing.assert_allclose(series.scale, x[:90].std(0), rtol=1e-6)
    # As the likelihood takes them.
    likelihood = kerasar.distributions.GaussianMixture(1, 2, series.mean, series.scale)
    assert likelihood.mean == series.mean


def test_quantising_can_be_undone_to_half_a_step(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 2)) * [1, 1000] + [50, 0]
    np.save(tmp_path / "a.npy", x)
    series = load_series(tmp_path / "a.npy", levels=64)
    codes = whole(series)
    assert codes.dtype == np.int32 and series.levels == 64
    assert (codes.min(axis=0) == 0).all() and (codes.max(axis=0) == 63).all()
    step = (x.max(0) - x.min(0)) / 64
    assert (np.abs(series.decode(codes) - x) <= 0.5001 * step).all()
    np.testing.assert_array_equal(series.encode(series.decode(codes)), codes)
    np.testing.assert_array_equal(series.encode(x), codes)


def test_new_data_keep_the_levels_of_the_old(tmp_path):
    old = load_series(write(tmp_path, "0\n10\n5\n"), levels=10)
    path = write(tmp_path, "1\n2\n3\n", "new.csv")
    np.testing.assert_array_equal(whole(load_series(path, quantizer=old.quantizer)), [1, 2, 3])
    np.testing.assert_array_equal(whole(load_series(path, levels=10)), [0, 5, 9])
    # A short piece need not vary, and what lies outside is not clipped.
    assert load_series(write(tmp_path, "4\n4\n"), quantizer=old.quantizer).levels == 10
    with pytest.raises(ValueError, match="between 0.0 and 10.0.*got 11.0"):
        load_series(write(tmp_path, "11\n4\n"), quantizer=old.quantizer)


def test_bins_have_one_width():
    quantizer = Quantizer(0.0, 1.0, 10)
    counts = np.bincount(quantizer.encode(np.linspace(0, 1, 10_001)))
    assert counts.min() >= 999 and counts.max() <= 1001


def test_a_value_outside_the_range_is_refused_not_clipped():
    with pytest.raises(ValueError, match=r"between 0.0 and 10.0.*but got 11.0.*np.clip"):
        Quantizer(0.0, 10.0, 4).encode([5.0, 11.0])
    with pytest.raises(ValueError, match=r"values\[0\] is nan"):
        Quantizer(0.0, 10.0, 4).encode([np.nan])
    with pytest.raises(ValueError, match=r"2 variables in their last axis.*\(5, 3\)"):
        Quantizer([0.0, 1.0], [2.0, 3.0], 4).encode(np.ones((5, 3)))


@pytest.mark.parametrize(
    ("text", "arguments", "match"),
    [
        ("a,b\n1,2\n3,\n5,6\n", {}, "column 'b' is missing in line 3"),
        ("a\n1\nNaN\n3\n", {}, r"column 'a' is missing in line 3 \('NaN'\)"),
        ("a,b\n1,2\n3,n/a\n", {}, "missing in line 3"),
        ("1\n2\n\n4\n", {}, "line 3 .* has 0.*blank line is a missing value"),
        ("a\n1\ninf\n", {}, "finite numbers.*'inf' in line 3"),
        ("a\n1\n1_000\n", {}, "'1_000' in line 3"),
        ("a;b\n1,5;2\n2,5;2\n", {"column": "a", "decimal": "."}, "'1,5' in line 2"),
        ("a;b\n1,5;2\n2.5;2\n", {}, "'1,5' in line 2, column 0 and '2.5' in line 3, column 0"),
        ("a;b\n1.234;2\n2.500;2\n", {}, "'1.234' in line 2, column 0.*Pass decimal="),
        ("1,5;2,5\n2,5;3,5\n4;3\n", {"delimiter": "|"}, "delimiter must be one of"),
        ("a;b,c\n1;x,2\n3;y,4\n", {}, "may be separated by"),
        ("a,b\n***,1\n2,3\n4,5\n", {}, r"'a' is '\*\*\*' in line 2"),
        ("***,1\n2,3\n4,5\n", {}, r"'0' is '\*\*\*' in line 1"),
        ("a,b\n-9,1\n2,3\n", {"missing": ["-9"]}, r"'a' is missing in line 2 \('-9'\)"),
        ("a,b\nx,y\nz,w\n", {}, r"begins with \['a', 'b'\] and \['x', 'y'\]"),
        ("a,b\n1,2\n3\n", {}, "line 3 .* has 1"),
        (TABLE, {"column": "levle"}, "Did you mean 'level'"),
        (TABLE, {"column": 3}, r"must be in \[0, 3\).*but got 3"),
        (TABLE, {"column": -1}, "but got -1"),
        (TABLE, {"column": "date"}, "column 'date' is '2020-01-01' in line 2"),
        ("a,a\n1,2\n3,4\n", {"column": "a"}, "2 columns named 'a'"),
        ("", {}, "is empty"),
        ("a\n", {}, "header and nothing else"),
        ("date\nmo\ntu\n", {}, "holds no column of numbers"),
        ("1\n", {}, "at least 2 steps.*has 1"),
        ("a\n3\n3\n3\n", {}, "Column 'a'.*never changes"),
        ("a,b\n3,1\n3,2\n3,4\n", {"levels": 4}, r"Column 'a', 'b'.*\[3. 1.\] to.*never changes"),
        ("1e9\n1000000001\n1000000002\n", {}, "Subtract its mean first"),
        (
            "1\n2\n3\n",
            {"levels": 1},
            "levels must be at least 2, but got 1.*cannot be distinguished",
        ),
        ("1\n2\n3\n", {"held_out": -0.1}, "held_out is a share.*but got -0.1"),
        ("1\n2\n3\n", {"held_out": 1.0}, "held_out is a share.*but got 1.0"),
    ],
)
def test_what_is_no_series_is_refused(tmp_path, text, arguments, match):
    with pytest.raises(ValueError, match=match):
        load_series(write(tmp_path, text), **arguments)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Save it as CSV in UTF-8"):
        load_series(write(tmp_path, "größe\n1\n2\n", encoding="utf-16"))


@pytest.mark.parametrize("column", [True, 1.0, [None]])
def test_a_column_that_is_no_name_is_refused(tmp_path, column):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(4, 3))
    for path in (write(tmp_path, TABLE), tmp_path / "a.npy"):
        with pytest.raises(
            TypeError,
            match="column must be a string, an integer, a seq",
        ):
            load_series(path, column)


@pytest.mark.parametrize(
    ("array", "arguments", "match"),
    [
        (np.zeros((2, 2, 2)), {}, r"shape \(2, 2, 2\)"),
        (np.zeros(0), {}, r"shape \(0,\)"),
        (np.array([1.0, np.nan, 3.0]), {}, "column 0 is nan in row 1"),
        (np.array([[1.0, 2], [1, np.inf], [3, 4]]), {}, "column 1 is inf in row 1"),
        (np.array(["a", "b"]), {}, "dtype <U1"),
        (np.array([True, False]), {}, "dtype bool"),
        (np.arange(4.0), {"column": "a"}, "index in .0, 1.*'a'"),
        (np.arange(4.0), {"column": 1}, "index in .0, 1.*got 1"),
        (np.array([{}, {}], dtype=object), {}, "Python objects"),
    ],
)
def test_arrays_that_are_no_series_are_refused(tmp_path, array, arguments, match):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=match):
        load_series(tmp_path / "a.npy", **arguments)


def test_files_that_do_not_exist_or_are_something_else_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*nothing.csv"):
        load_series(tmp_path / "nothing.csv")
    with pytest.raises(ValueError, match="series.xlsx"):
        load_series(write(tmp_path, "1\n2\n", "series.xlsx"))


@pytest.mark.parametrize("shape", [(10,), (10, 2)])
def test_windows_are_pieces_in_their_order(shape):
    x = np.random.default_rng(0).normal(size=shape)
    for length, stride in ((3, 1), (4, 4), (10, 1), (1, 2)):
        expected = [x[i : i + length] for i in range(0, 10 - length + 1, stride)]
        np.testing.assert_array_equal(windows(x, length, stride), expected)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [((11,), "length=11 .*has 10"), ((0,), "length .* got 0"), ((2, 0), "stride .* got 0")],
)
def test_windows_that_cannot_be_cut_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        windows(np.zeros(10), *arguments)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\)"):
        windows(np.zeros((2, 3, 4)), 1)


def test_mean_and_scale_of_everything_and_of_each_variable():
    x = np.random.default_rng(0).normal(size=(7, 50, 2)) * [1, 9] + [0, 4]
    mean, scale = mean_and_scale(x)
    assert isinstance(mean, float) and np.isclose(mean, x.mean()) and np.isclose(scale, x.std())
    mean, scale = mean_and_scale(x, per_variable=True)
    np.testing.assert_allclose(mean, x.mean((0, 1)))
    np.testing.assert_allclose(scale, x.std((0, 1)))


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.zeros((0, 2)), "x is empty"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, 2.0], [3.0, 2.0]]), "variable 1 of x is 2 throughout"),
        (np.full((5, 2), 0.1), "variable 0 of x is 0.1 throughout"),
    ],
)
def test_data_without_units_are_refused(x, match):
    with pytest.raises(ValueError, match=match):
        mean_and_scale(x, per_variable=True)


@pytest.mark.parametrize(
    "text",
    ["1," * 3_000_000, "1," * 20_000 + "\n2\n", "1,2\n" + "1," * 20_000, '1,"a\nb"' * 300_000],
    ids=["characters", "columns", "columns of the second row", "a row of many lines"],
)
def test_a_row_that_is_too_large_is_refused_as_it_is_read(tmp_path, text):
    with pytest.raises(ValueError, match="at most 10,000 columns and 1,000,000 char.*at line 1|2"):
        load_series(write(tmp_path, text))


def test_a_table_is_read_row_by_row(tmp_path):
    """Its text is never held as a whole: what is kept are 8 bytes a value."""
    path = write(tmp_path, "a,b\n" + "1.5,2\n2.5,4\n" * 20_000)
    tracemalloc.start()
    try:
        series = load_series(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert series.train.shape == (36_000, 2) and peak < 5 * 8 * 80_000


VALUES = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]


def dated(tmp_path, cells, header="when", values=VALUES, sign=","):
    rows = "".join(f"{cell}{sign}{value}\n" for cell, value in zip(cells, values, strict=False))
    return write(tmp_path, f"{header}{sign}level\n{rows}")


@pytest.mark.parametrize(
    ("cells", "header", "first", "frequency", "after"),
    [
        ([f"2000-06-0{d}" for d in range(5, 10)], "when", "2000-06-05", "day", "2000-06-10"),
        ([f"2000/06/05 {h}:00" for h in range(8, 13)], "x", "2000-06-05T08", "hour",
         "2000-06-05T13"),
        ([f"2000-06-05T00:{m:02d}:00Z" for m in range(0, 60, 15)], "x", "2000-06-05",
         "15 minutes", "2000-06-05T01"),
        ([f"1999-{m:02d}" for m in range(9, 13)], "month", "1999-09-01", "month", "2000-01-01"),
        (["1991 Oct", "1991 Nov", "1991 Dec"], "m", "1991-10-01", "month", "1992-01-01"),
        (["Jan 31 2000", "Feb 7 2000", "Feb 14 2000"], "d", "2000-01-31", "7 days", "2000-02-21"),
        (["19580329", "19580405", "19580412"], "no name", "1958-03-29", "7 days", "1958-04-19"),
        (["2000Q1", "2000Q2", "2000Q3"], "q", "2000-01-01", "3 months", "2000-10-01"),
        (["1700", "1701", "1702"], "Year", "1700-01-01", "year", "1703-01-01"),
        (["2020-01-31", "2020-02-29", "2020-03-31"], "ds", "2020-01-31", "month", "2020-04-30"),
        (["2019-11-30", "2019-12-30", "2020-01-30"], "ds", "2019-11-30", "month", "2020-02-29"),
        (["2020-01-29", "2020-02-29", "2020-03-29"], "ds", "2020-01-29", "month", "2020-04-29"),
        (["2017-02-28", "2018-02-28", "2019-02-28"], "ds", "2017-02-28", "year", "2020-02-29"),
        (["2000-03-31", "2000-06-30", "2000-09-30"], "ds", "2000-03-31", "3 months", "2000-12-31"),
        (["Q3 1999", "Q4 1999", "Q1 2000"], "x", "1999-07-01", "3 months", "2000-04-01"),
        (["2020-W52", "2020-W53", "2021-W01"], "x", "2020-12-21", "7 days", "2021-01-11"),
        (["202011", "202012", "202101"], "month", "2020-11-01", "month", "2021-02-01"),
        (["Nov-99", "Dec-99", "Jan-00"], "x", "1999-11-01", "month", "2000-02-01"),
        (["30.12.2019", "31.12.2019", "01.01.2020"], "x", "2019-12-30", "day", "2020-01-02"),
        (["28/02/2020", "29/02/2020", "01/03/2020"], "x", "2020-02-28", "day", "2020-03-02"),
        (["12/31/19 11:00 PM", "1/1/20 12:00 AM", "1/1/20 1:00 AM"], "x", "2019-12-31T23", "hour",
         "2020-01-01T02"),
        ([f"2020-10-25 {h}+0{z}:00" for h, z in (("01:00", 2), ("02:00", 2), ("02:00", 1))], "x",
         "2020-10-24T23", "hour", "2020-10-25T02"),
        ([f"2020-01-01 {h:02d}:00:00-0500" for h in range(4)], "x", "2020-01-01", "hour",
         "2020-01-01T04"),
        (["1577836800", "1577840400", "1577844000"], "timestamp", "2020-01-01", "hour",
         "2020-01-01T03"),
        (["1577836800000", "1577836860000", "1577836920000"], "time", "2020-01-01", "minute",
         "2020-01-01T00:03"),
    ],
)  # fmt: skip
def test_times_are_recognized_and_kept(tmp_path, cells, header, first, frequency, after):
    series = load_series(dated(tmp_path, cells, header))
    assert series.columns == ("level",) and series.train.ndim == 1
    assert series.times[0] == np.datetime64(first, "s") and len(series.times) == len(cells)
    assert str(series.frequency) == frequency
    ahead = series.times_after(whole(series), 1)
    assert ahead[0] == np.datetime64(after, "s")
    assert series.times_after(whole(series)[1:], 1) is None, "of another past nothing is known"


def test_the_order_of_day_and_month_is_that_of_even_steps(tmp_path):
    firsts = [f"01/{month:02d}/{year}" for year in (2019, 2020) for month in range(1, 13)]
    series = load_series(dated(tmp_path, firsts, values=range(24)))
    assert str(series.frequency) == "month" and series.times[-1] == np.datetime64("2020-12-01")
    # In a single year they may as well be days of January.
    series = load_series(dated(tmp_path, firsts[:6], header="date"))
    assert series.times is None and series.undated == ("date", "01/01/2019")


@pytest.mark.parametrize(
    ("mask", "frequency", "after"),
    [
        ("1111100", "weekday", "2020-02-12"),
        ("1111110", "day of weeks of 6 days", "2020-02-05"),
        ("1010100", "day of weeks of 3 days", "2020-03-11"),
    ],
)
def test_days_without_steps_each_week_are_no_gaps(tmp_path, mask, frequency, after):
    days = np.busday_offset("2020-01-01", np.arange(30), "forward", weekmask=mask)
    series = load_series(dated(tmp_path, days, values=np.arange(30) % 7), gaps=True)
    assert str(series.frequency) == frequency and len(whole(series)) == 30
    assert series.times_after(whole(series), 1)[0] == np.datetime64(after, "s")
    holiday = np.delete(days, 12)  # a day that would have a step is a gap
    series = load_series(dated(tmp_path, holiday, values=np.arange(29) % 7), gaps=True)
    assert np.flatnonzero(np.isnan(whole(series))).tolist() == [12]


def test_a_few_days_go_by_the_weekdays_of_the_series_before(tmp_path):
    days = np.busday_offset("2020-01-01", np.arange(30))
    before = load_series(dated(tmp_path, days, values=np.arange(30) % 7))
    path = dated(tmp_path, days[:8], values=np.arange(8))
    assert len(whole(load_series(path, gaps=True))) == 10, "days, two of which are missing"
    assert len(whole(load_series(path, gaps=True, frequency=before.frequency))) == 8
    with pytest.raises(ValueError, match="month apart, but those .* trained on a weekday"):
        load_series(
            dated(tmp_path, [f"2020-0{i}" for i in range(1, 7)]), frequency=before.frequency
        )


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_years_without_a_telling_name_are_values(tmp_path, sign):
    path = write(tmp_path, f"a{sign}b\n1990{sign}1\n1995{sign}2\n2003{sign}4\n")
    series = load_series(path)
    assert series.columns == ("a", "b") and series.times is None


def test_a_column_that_only_counts_is_no_variable(tmp_path):
    text = "," + TABLE.split(",", 1)[1]
    text = "n,level,rain\n1,2.5,1\n2,1.5,3\n3,4.5,2\n"
    series = load_series(write(tmp_path, text))
    assert series.columns == ("level", "rain") and series.left_out == ("n",)
    assert load_series(write(tmp_path, text), ["n", "rain"]).columns == ("n", "rain")
    seconds = "".join(f"{i / 30:.3f},{i % 7}\n" for i in range(40))
    series = load_series(write(tmp_path, "t,level\n" + seconds))
    assert series.columns == ("level",) and series.left_out == ("t",)


def test_a_series_to_go_on_with_may_be_short_and_constant(tmp_path):
    before = load_series(dated(tmp_path, ["2020-01", "2020-02", "2020-03"]))
    options = dict(gaps=True, held_out=0, frequency=before.frequency)
    one = load_series(dated(tmp_path, ["2020-12"]), **options)
    assert one.train.tolist() == [3] and len(one.test) == 0
    assert str(one.times_after(one.whole, 1)[0]).startswith("2021-01-01")
    cells = [f"2020-{month:02d}" for month in range(1, 7)]
    same = load_series(dated(tmp_path, cells, values=[2.5] * 6), **options)
    assert same.train.tolist() == [2.5] * 6
    with pytest.raises(ValueError, match="all its values are missing. Choose"):
        load_series(dated(tmp_path, cells, values=[""] * 6), column="level", **options)


def test_columns_of_nothing_and_names_of_values_are_no_trouble(tmp_path):
    rows = "".join(f"2020-01-{i:02d},{i * i},\n" for i in range(1, 20))
    assert load_series(write(tmp_path, "date,series,\n" + rows)).columns == ("series",)
    assert load_series(write(tmp_path, "n\n1\n2\n3\n")).columns == ("n",), "there is no other"


def test_gaps_are_read_as_such_if_that_is_asked_for(tmp_path):
    cells = [f"2000-06-0{d}" for d in (1, 2, 5, 6, 7, 8)]
    path = dated(tmp_path, cells, values=[3.0, "", 4.0, "NA", 5.0, 9.0])
    series = load_series(path, gaps=True)
    expected = np.float32([3, np.nan, np.nan, np.nan, 4, np.nan, 5, 9])
    np.testing.assert_array_equal(whole(series), expected)
    assert len(series.times) == 8 and series.mean == np.nanmean(series.train)
    with pytest.raises(ValueError, match="is missing in line 3"):
        load_series(path)
    with pytest.raises(ValueError, match="gaps=True is for real values"):
        load_series(path, gaps=True, levels=4)


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        (["2000-01-01", "2000-01-03", "2000-01-02"], "from 2000-01-02 after 2000-01-03 in line 4"),
        (["2000-01-01", "2000-01-02", "2000-01-02"], "again in line 4.*several series"),
        (["2000-01-01", "2000-01-02", "2000-01-04"], "to 2000-01-04 in line 4.*gaps=True"),
        (["2000-01-01", "2000-01-02", "2000-01-03", "2000-01-03 07:00"], "no whole number.*line 5"),
        (["2000-01", "2000-02", "2000-04"], "steps are a month apart|Steps are a month apart"),
    ],
)
def test_times_that_are_not_evenly_apart_are_refused(tmp_path, cells, match):
    with pytest.raises(ValueError, match=match):
        load_series(dated(tmp_path, cells))


def test_a_column_of_times_can_be_named(tmp_path):
    path = dated(tmp_path, ["1990", "1991", "1992"], "from")
    assert load_series(path, time_column="from").columns == ("level",)
    with pytest.raises(ValueError, match="holds something else than times, such as '3.0'"):
        load_series(path, time_column="level")


def test_lines_of_comments_before_a_table_are_none(tmp_path):
    text = "# made by hand\n#\n" + TABLE
    assert whole(load_series(write(tmp_path, text), "level"))[0] == 1.5
    with pytest.raises(ValueError, match="'oops' in line 5"):
        load_series(write(tmp_path, text.replace("-2.5", "oops")), "level")
