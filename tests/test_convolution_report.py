"""The report on a conversion, its picture, and that streams do not grow with the window."""

import re
from pathlib import Path

import numpy as np
import pytest
from keras import layers as L
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from window_models import crazy, model_of, same, strided

import kerasar
from kerasar.pictures import convolution_figure, save


@pytest.mark.parametrize(("window", "columns"), [(32, 129), (128, 513), (512, 2049)])
def test_streams_do_not_grow_with_the_window(window, columns):
    report = kerasar.convolution_report(model_of(same, (window, 1)))
    assert (report.columns, report.streams) == (columns, 25)


def test_strides_are_reported_as_the_dilations_of_the_papers():
    report = kerasar.convolution_report(model_of(strided, (16, 1)))
    assert [row.dilation for row in report.layers] == [1, 2, 4, 8, None]
    assert [row.columns for row in report.layers] == [8, 4, 2, 1, 1]
    assert report.layers[2].form == "Conv1D, 2 taps, dilation 4"


def test_pooling_and_a_dense_layer_on_columns_have_their_forms():
    forms = [row.form for row in kerasar.convolution_report(model_of(crazy, (32, 1))).layers]
    assert forms == [
        "Conv1D, 3 taps, dilation 1",
        "DilatedPooling1D, 2 taps, dilation 2",
        "Conv1D, 2 taps, dilation 4",
        "DilatedPooling1D, 2 taps, dilation 2",
        "Conv1D, 2 taps, dilation 6",
        "Conv1D, 3 taps, dilation 6",
        "Dense, each step",
    ]


def test_columns_in_another_order_are_read_in_one_run():
    model = model_of(lambda w: L.Dense(1)(L.Flatten()(L.Permute((2, 1))(w))), (8, 3))
    assert kerasar.convolution_report(model).layers[0].form == "Conv1D, 8 taps, dilation 1"


def test_arithmetic_is_that_of_a_count_by_hand():
    report = kerasar.convolution_report(model_of(strided, (16, 1)))
    # Kernels of 2 taps: 1 → 6 channels, then 6 → 6 three times; a Dense 6 → 3.
    kernels = [2 * 1 * 6, 2 * 6 * 6, 2 * 6 * 6, 2 * 6 * 6, 6 * 3]
    assert report.practice == sum(kernels)
    assert report.theory == sum(c * k for c, k in zip([8, 4, 2, 1, 1], kernels, strict=True))


def test_a_layer_that_nothing_reads_costs_nothing():
    def build(window):
        h = L.Conv1D(2, 2, name="conv")(window)
        return L.Dense(1)(h[:, -1])

    row = kerasar.convolution_report(model_of(build, (8, 1))).layers[0]
    assert (row.columns, row.streams, row.practice) == (7, 1, 4)


def test_it_prints_as_a_table():
    lines = str(kerasar.convolution_report(model_of(strided, (16, 1)))).splitlines()
    assert lines[0] == "in_theory, window of 16" and len(lines) == 8
    assert lines[1].split()[:4] == ["layer", "columns", "streams", "dilation"]
    assert lines[-1].split()[:3] == ["together", "16", "5"]


def filled(axes):
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return sum(patch.get_facecolor()[-1] > 0 for patch in boxes), len(boxes)


def test_the_picture_has_a_box_for_each_column_and_each_stream(tmp_path):
    report = kerasar.convolution_report(model_of(strided, (16, 1)))
    figure = convolution_figure(report, "strides")
    left, right = figure.axes
    assert filled(left) == (16 + report.columns, 16 + report.columns)
    assert filled(right) == (16 + report.columns, 16 * (1 + report.streams))
    arrows = sum(len(lines.get_segments()) for lines in left.collections[:1])
    assert arrows == 2 * (8 + 4 + 2 + 1) + 1
    save(figure, tmp_path / "strides.png")
    assert np.ptp(imread(tmp_path / "strides.png")) > 0.5


def test_a_long_window_is_drawn_in_part():
    figure = convolution_figure(kerasar.convolution_report(model_of(same, (300, 1))))
    assert figure.axes[0].get_xlim()[0] > -65


DOCS = Path(__file__).parents[1] / "docs"


def test_the_code_in_the_docs_prints_what_it_says(capsys):
    (code,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "convolutionalize.md").read_text(), re.DOTALL
    )
    exec(compile(code, "convolutionalize.md", "exec"), {})
    promised = [line.partition("  # ")[2] for line in code.split("\n") if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == promised


@pytest.mark.parametrize("name", ["images/convolutionalize.png", "benchmarks/convolutionalize.png"])
def test_the_pictures_in_the_docs_exist(name):
    assert f"]({name})" in (DOCS / "convolutionalize.md").read_text()
    assert imread(DOCS / name).shape[1] > 500
