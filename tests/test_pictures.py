"""Pictures show what they are given: every pixel, its level, and what was hidden."""

import subprocess
import sys

import flows
import keras
import numpy as np
import pytest
from matplotlib.image import imread

import kerasar
from kerasar import pictures
from kerasar.pictures import (
    image_grid,
    inpainting_figure,
    save,
    strangest_figure,
    surprise_image,
)
from kerasar.pictures.inpainting_figure import HIDDEN
from kerasar.pictures.pixels import mosaic, to_rgb


def images(count=3, levels=4, shape=(4, 5, 1)):
    return np.random.RandomState(0).randint(0, levels, (count, *shape))


def texts(figure):
    return [text.get_text() for text in figure.texts]


def drawn(figure):
    """The pictures of a figure's rows."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_levels_spread_from_black_to_white():
    rgb = to_rgb(np.arange(5).reshape(1, 1, 5), levels=5)
    np.testing.assert_array_equal(rgb[0, 0, :, 0], [0, 64, 128, 191, 255])


def test_colours_stay_colours():
    x = images(shape=(2, 2, 3), levels=256)
    np.testing.assert_array_equal(to_rgb(x, 256), x)


@pytest.mark.parametrize(
    "x, levels, match",
    [
        (np.zeros((4, 4)), 2, r"\(4, 4\).*images\[None\]"),
        (np.zeros((1, 4, 4, 2)), 2, r"\(1, 4, 4, 2\)"),
        (np.full((1, 4, 4), 4), 4, r"be in \[0, 4\).*to 4"),
        (np.full((1, 4, 4), -1), 4, "from -1"),
        (np.full((1, 4, 4), np.nan), 4, "nan"),
        (np.zeros((1, 4, 4)), 1, "levels must be at least 2, but got 1"),
    ],
    ids=["one image", "two channels", "too large", "negative", "NaN", "one level"],
)
def test_what_is_no_image_is_refused(x, levels, match):
    with pytest.raises(ValueError, match=match):
        image_grid(x, levels)


def test_a_mosaic_holds_every_image_in_its_place():
    cells = to_rgb(images(5), 4)
    canvas = mosaic(cells, columns=3, gap=2)
    assert canvas.shape == (4 + 2 + 4, 3 * 5 + 2 * 2, 3)
    np.testing.assert_array_equal(canvas[6:10, 7:12], cells[4])
    assert (canvas[4:6] == 255).all() and (canvas[6:, 14:] == 255).all()


def test_a_grid_is_labelled():
    figure = image_grid(images(3), 4, titles=["a", "b", "c"], heading="three")
    assert texts(figure) == ["three", "a", "b", "c"]


def test_each_image_pixel_is_a_whole_number_of_picture_pixels(tmp_path):
    """Read back from the file: no blurring, no pixel lost."""
    x = images(1, levels=2)
    x[0, 0, 0] = x[0, -1, -1] = 0  # black corners, to find the image on the white page by
    save(image_grid(x, 2), tmp_path / "x.png")
    page = imread(tmp_path / "x.png")[..., 0]
    rows, columns = np.nonzero(page < 0.5)
    image = page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = image.shape[0] // 4, image.shape[1] // 5
    assert image.shape == (4 * height, 5 * width) and height == width > 10
    np.testing.assert_array_equal(image, np.kron(x[0, :, :, 0], np.ones((height, width))))


def test_titles_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="one of titles for each of the 3 images, but there are 2"):
        image_grid(images(3), 4, titles=["a", "b"])


def test_in_painting_shows_what_was_hidden_in_a_colour_that_is_no_grey():
    x = images(2)
    known = np.ones(x.shape, bool)
    known[0, 2:] = False
    row = drawn(inpainting_figure(known, x, x, 4))[0]
    size = row.shape[0] // 4
    given = row[:, 5 * size + 6 :][:, : 5 * size]  # the second column
    assert (given[2 * size :] == HIDDEN).all()
    np.testing.assert_array_equal(given[: 2 * size : size, ::size], to_rgb(x, 4)[0, :2])


def test_what_stands_at_hidden_places_does_not_matter():
    x, known = images(1).astype(float), np.zeros((1, 4, 5, 1), bool)
    x[:] = np.nan
    inpainting_figure(known, x, images(1), 4)


def test_in_painting_has_a_column_for_each_completion():
    x = images(2)
    known = np.ones(x.shape, bool)
    figure = inpainting_figure(known, x, np.stack([x, x], 1), 4, original=x, row_labels=["p", "q"])
    assert texts(figure) == ["mask", "given", "completed 1", "completed 2", "original", "p", "q"]


@pytest.mark.parametrize(
    "known, completed, error, match",
    [
        (np.ones((2, 4, 5, 1)), images(2), TypeError, "Boolean.*float64"),
        (np.ones((1, 4, 5, 1), bool), images(2), ValueError, r"one shape.*\(1, 4, 5, 1\)"),
        (np.ones((2, 4, 5, 1), bool), images(3), ValueError, r"\(3, 4, 5, 1\)"),
    ],
    ids=["numbers as mask", "other mask", "other completions"],
)
def test_in_painting_refuses_what_does_not_fit(known, completed, error, match):
    with pytest.raises(error, match=match):
        inpainting_figure(known, images(2), completed, 4)


def test_the_surprise_of_a_pixel_is_its_brightness():
    log_prob_map = np.log(2.0) * -np.array([[0.0, 1.0], [2.0, 4.0]])
    shown = surprise_image(images(1, shape=(2, 2, 1))[0], log_prob_map, levels=4, most=4)
    size = shown.shape[0] // 2
    bright = shown[::size, -2 * size :: size].sum(axis=-1, dtype=int)
    assert bright[0, 0] < bright[0, 1] < bright[1, 0] < bright[1, 1]


def test_saving_replaces_a_file_and_leaves_nothing_else(tmp_path):
    for _ in range(2):
        save(image_grid(images(), 4), tmp_path / "x.png")
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    "name, error, match",
    [
        ("missing/x.png", FileNotFoundError, "no '.*missing'"),
        ("x.docx", ValueError, "png.*'x.docx'.*'x.png'"),
    ],
)
def test_a_picture_that_cannot_be_saved_leaves_nothing(tmp_path, name, error, match):
    with pytest.raises(error, match=match):
        save(image_grid(images(), 4), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_pictures_import_matplotlib_late_and_never_pyplot():
    code = (
        "import sys, numpy, kerasar.pictures as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.image_grid(numpy.zeros((1, 2, 2, 1)), 2)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_strangest_are_drawn_next_to_where_they_are_strange():
    excess = np.zeros((2, 4, 4))
    excess[1, 2, 3] = 5.0
    excess[0, 0, 0] = -5.0
    figure = strangest_figure(images(2, shape=(4, 4, 1)), excess, 4, titles=["center", "surprise"])
    assert {"center", "surprise"} <= {text.get_text() for text in figure.texts}
    drawn = figure.axes[0].images[0].get_array()
    left, right = np.split(np.asarray(drawn), 2, axis=1)
    assert left[:, left.shape[1] // 2 + 10 :].max() != right[:, right.shape[1] // 2 + 10 :].max()
    with pytest.raises(ValueError, match="excess_map must have one value for each pixel"):
        strangest_figure(images(2, shape=(4, 4, 1)), excess[:1], 4)


def _axes():
    """Figures with axes, as the names of their functions."""
    paths, points = np.random.default_rng(0).normal(size=(2, 9, 4)), np.zeros((5, 2))
    field = kerasar.receptive_field(kerasar.models.PixelCNN((5, 5, 1), 4, filters=2).network)
    flow = kerasar.FlowModel([kerasar.layers.PiecewiseLinear(4, -2, 2)], (1,))
    known, logits = np.ones((2, 4), bool), np.zeros((2, 3))
    return {
        "fan_chart": pictures.fan_chart(paths[0, 0], paths[0], actual=paths[1, 0]),
        "backtest_figure": pictures.backtest_figure(paths[0, 0], [2, 3], paths, paths[:, 0]),
        "density_figure": pictures.density_figure(flows.plane(), points, samples=points),
        "map_figure": pictures.map_figure(flow, -1.0, 1.0),
        "posterior_figure": pictures.posterior_figure(known * 1, known, 1, logits),
        "receptive_field_figure": pictures.receptive_field_figure(field),
        "sequence_grid": pictures.sequence_grid(paths[0]),
        "rolls": pictures.sequence_grid(paths),
        "spectrogram_figure": pictures.spectrogram_figure(paths[0], 1000),
    }


def test_what_has_ticks_says_what_they_count():
    for name, figure in _axes().items():
        figure.canvas.draw()
        for axes in figure.axes:
            column = [a.get_xlabel() for a in figure.axes if abs(a.bbox.x0 - axes.bbox.x0) < 1]
            row = [a.get_ylabel() for a in figure.axes if abs(a.bbox.y0 - axes.bbox.y0) < 1]
            if axes.axison and axes.get_xticks().size:
                assert any([*column, figure.get_supxlabel()]), name
            if axes.axison and axes.get_yticks().size:
                assert any([*row, figure.get_supylabel()]), name


def test_blind_spots_and_streams_can_be_told_apart_in_gray():
    network = kerasar.models.PixelCNN((9, 9, 1), 4, filters=2, blocks=1).network
    field = kerasar.receptive_field(network)
    hatched = [p for p in pictures.receptive_field_figure(field).axes[0].patches if p.get_hatch()]
    assert len(hatched) == len(field.blind_spot) > 0
    window = keras.Input((6, 1))
    h = keras.layers.Conv1D(1, 3, padding="same", name="same")(window)
    model = keras.Model(window, keras.layers.Dense(1)(keras.layers.Flatten()(h)))
    left, right = pictures.convolution_figure(kerasar.convolution_report(model)).axes
    assert [t.get_text() for t in left.texts] == ["1", "2", "2", "2", "2", "3", "4"]
    assert [t.get_text() for t in right.get_yticklabels()][1:3] == ["1: same", "2: same"]


def test_rows_have_labels():
    assert texts(image_grid(images(4), 4, columns=2, row_labels=["a", "b"])) == ["a", "b"]
    with pytest.raises(ValueError, match="row_labels for each of the 2 rows, but there are 1"):
        image_grid(images(4), 4, columns=2, row_labels=["a"])
