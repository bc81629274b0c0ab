"""`kerasar show`: a run in the browser."""

import socket
import tempfile

import numpy as np
import pytest
import soundfile
from browser import missing_pictures, opened, page_at
from PIL import Image
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.kinds import kind_of_run
from kerasar.cli.support.ports import address
from kerasar.cli.support.run_folder import RunFolder
from kerasar.pictures.pixels import to_rgb

gradio = pytest.importorskip("gradio", reason="the extra 'show' is not installed")

from kerasar.cli.commands import show as command  # noqa: E402
from kerasar.cli.show.answers import read_back  # noqa: E402
from kerasar.cli.show.images import hidden_pixels  # noqa: E402
from kerasar.cli.show.page import build  # noqa: E402


def test_a_pixel_is_hidden_where_a_quarter_of_it_is_painted():
    layer = np.zeros((20, 30, 4), "uint8")  # of an image of 2×3
    layer[:10, :10, 3] = 255  # all of a pixel
    layer[10:15, 20:25, 3] = 255  # a quarter of one
    layer[10:14, :5, 3] = 255  # less of another
    assert hidden_pixels([layer], 2, 3).tolist() == [[True, False, False], [False, False, True]]
    other = np.zeros_like(layer)
    other[:10, 10:20, 3] = 1
    assert hidden_pixels([layer, other], 2, 3)[0].tolist() == [True, True, False]
    assert not hidden_pixels([], 2, 3).any()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a model of classes, as far as the page needs it: folder, model."""
    config = {"model": "gated-pixelcnn", "data": "digits", "kind": "images"}
    folder = RunFolder(tmp_path_factory.mktemp("run"), {**config, "classes": list("0123456789")})
    model = kerasar.models.GatedPixelCNN((8, 8, 1), 17, filters=4, blocks=1, num_classes=10)
    return folder, model


@pytest.fixture(scope="module")
def served(run):
    folder, model = run
    _, (images, labels) = kerasar.data.load_digits()
    page = build(folder, kind_of_run(folder), model, images[:5], labels[:5])
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield url
    page.close()


def test_in_a_browser_samples_appear_and_what_is_painted_over_is_completed(served):
    with opened() as browser, page_at(browser, served, width=1100) as (page, complaints):
        page.click("#draw")
        page.wait_for_selector("#samples img", timeout=120_000)
        page.get_by_role("tab", name="Complete").click()
        page.click("#complete")
        page.get_by_text("Nothing is painted over").first.wait_for(timeout=60_000)
        page.locator("#editor canvas").first.wait_for(timeout=60_000)
        box = page.locator("#editor canvas").first.bounding_box()
        middle = box["y"] + 0.6 * box["height"]
        page.mouse.move(box["x"] + 0.4 * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=8)
        page.mouse.up()
        page.wait_for_timeout(500)
        page.click("#complete")
        page.wait_for_selector("#completed img", timeout=120_000)
        page.get_by_role("tab", name="Surprise").click()
        page.get_by_text("bits/dim").first.wait_for(timeout=60_000)
        assert not missing_pictures(page)
        assert not complaints


def test_other_data_are_drawn_too(tmp_path):
    config = {"model": "realnvp", "data": "moons", "kind": "vectors", "column": ["x", "y"]}
    folder = RunFolder(tmp_path, config)
    model = kerasar.models.RealNVP(2, depth=2, hidden_units=4)
    page = build(folder, kind_of_run(folder), model)
    draw = next(function.fn for function in page.fns.values() if function.fn is not None)
    picture = draw(20, 1.0, 0)
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 0


def test_without_the_data_of_the_run_images_are_drawn(run, capsys):
    folder, model = run
    gone = RunFolder(folder.path, {**folder.config, "data_path": str(folder.path / "gone")})
    images, classes = command._examples(gone, model)
    assert images.shape == (16, 8, 8, 1) and classes[:3].tolist() == [0, 1, 2]
    assert "gone" in capsys.readouterr().out


def test_the_address_can_be_opened():
    assert address("127.0.0.1", 1) == "http://127.0.0.1:1"
    assert address("0.0.0.0", 1) == address("::", 1) == "http://localhost:1"
    assert address("::1", 1) == "http://[::1]:1"


def test_what_cannot_be_shown_is_said(tmp_path, monkeypatch):
    result = CliRunner().invoke(app, ["show", str(tmp_path / "no run")])
    assert result.exit_code == 2 and "RUN must be a folder" in result.output
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ValueError, match="Take another one with --port"):
            command.check_port("127.0.0.1", other.getsockname()[1])


def test_what_is_drawn_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def write(file):
        file.write_text("drawn", "utf-8")

    assert read_back(write, ".txt") == "drawn"
    assert not any(tmp_path.iterdir())


def test_recordings_and_pictures_are_read_back(tmp_path):
    wave = np.arange(-50, 50, dtype="int16")
    rate, heard = read_back(lambda file: soundfile.write(file, wave, 4000), ".wav")
    assert rate == 4000
    np.testing.assert_array_equal(heard, wave)
    colors = np.random.default_rng(0).integers(256, size=(4, 5, 3)).astype("uint8")
    seen = read_back(lambda file: Image.fromarray(colors).save(file), ".png")
    np.testing.assert_array_equal(seen, colors)


def test_errors_of_the_library_and_empty_fields_are_told_on_the_page(run):
    folder, model = run
    _, (images, labels) = kerasar.data.load_digits()
    page = build(folder, kind_of_run(folder), model, images[:5], labels[:5])
    functions = {f.fn.__name__: f.fn for f in page.fns.values() if f.fn is not None}
    painted = {"layers": [np.full((80, 80, 4), 255, "uint8")]}
    for call, message in (
        (lambda: functions["draw"](2, 1.0, None, "all"), "'seed' is empty"),
        (lambda: functions["draw"](None, 1.0, 0, "all"), "'how many' is empty"),
        (lambda: functions["complete"](0, painted, 1.0, 2**70), "seed must be below"),
        (lambda: functions["surprise"](None), "'test image' is empty"),
    ):
        with pytest.raises(gradio.Error, match=message):
            call()


def test_an_autoencoder_draws_from_the_latent_of_an_image(tmp_path):
    config = {"model": "pixelcnn-autoencoder", "data": "digits", "kind": "images"}
    _, (images, _) = kerasar.data.load_digits()
    model = kerasar.models.PixelCNNAutoencoder((8, 8, 1), levels=17, filters=4, blocks=1)
    folder = RunFolder(tmp_path, config)
    page = build(folder, kind_of_run(folder), model, images[:5])
    (reconstruct,) = [f.fn for f in page.fns.values() if f.fn is not None]
    small = reconstruct(1, 0.5, 3)[::35, ::35, 0]  # two images of 8 pixels, and a gap of one
    drawn = model.reconstruct(np.repeat(images[[1]], 3, axis=0), seed=3, temperature=0.5)
    np.testing.assert_array_equal(small[:8, :8], to_rgb(images[[1]], 17)[0, ..., 0])
    np.testing.assert_array_equal(small[9:, 9:], to_rgb(drawn, 17)[2, ..., 0])
    gone = RunFolder(tmp_path, {**config, "data_path": str(tmp_path / "gone")})
    with pytest.raises((OSError, ValueError), match="gone"):
        command._examples(gone, model)
