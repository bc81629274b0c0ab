"""`kerasar gallery`: exhibits, what is kept of them, and the page."""

import json
import pathlib
import re
import signal

import numpy as np
import pytest
import tensorflow as tf
from browser import contrast_faults, missing_pictures, opened, overflow, page_at
from matplotlib.figure import Figure
from typer.testing import CliRunner

import kerasar
from kerasar.cli import app
from kerasar.cli.gallery import make as making
from kerasar.cli.gallery.catalog import NAMES, Item, find, read
from kerasar.cli.gallery.page import write_page
from kerasar.cli.gallery.studio import Studio


def gallery(*arguments):
    return CliRunner().invoke(app, ["gallery", *map(str, arguments)])


@pytest.mark.parametrize("name", NAMES)
def test_each_exhibit_has_a_title_a_text_and_its_python(name):
    exhibit = read(name)
    assert exhibit.title and exhibit.text, name
    assert "def draw(studio: Studio) -> None:" in exhibit.code
    own, run, _ = exhibit.code.partition("\n\n\nstudio = Studio(")
    assert run and own in exhibit.source and '"""' + exhibit.title not in own


def test_no_file_hangs_in_no_room():
    folder = making.__file__.replace("make.py", "exhibits")
    files = {path.stem.replace("_", "-") for path in pathlib.Path(folder).glob("[!_]*.py")}
    assert files == set(NAMES)


def test_names_are_found_in_the_order_of_the_gallery():
    assert find([]) == list(NAMES)
    assert find(["speed", "text"]) == ["text", "speed"]
    with pytest.raises(ValueError, match=r"no 'inpaint'\. Did you mean 'inpainting'"):
        find(["inpaint"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two exhibits that train nothing, and what the command said."""
    out = tmp_path_factory.mktemp("gallery") / "of mine"
    return out, gallery("receptive-fields", "convolutionalize", "--out", out)


def test_the_command_makes_one_page_that_needs_nothing_else(made):
    out, result = made
    assert result.exit_code == 0, result.output
    assert str(out / "index.html") in result.output.replace("\n", "")
    page = (out / "index.html").read_text("utf-8")
    assert page.index('id="convolutionalize"') < page.index('id="receptive-fields"')
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img") == 5 and page.count('alt=""') == 0
    assert "def draw(studio: Studio)" in page
    blind = re.findall(r"<figcaption>(.*) sees \d+ pixels; its blind spot has (\d+)\.", page)
    assert [name for name, count in blind if count != "0"] == ["PixelCNN"]
    assert len(blind) == 2


def test_what_was_made_is_kept_and_shown_again(made, monkeypatch):
    out, _ = made
    monkeypatch.setattr(making, "_drawn", lambda *_: pytest.fail("made again"))
    before = (out / "index.html").read_text("utf-8")
    result = gallery("receptive-fields", "--out", out)
    assert result.exit_code == 0, result.output
    assert (out / "index.html").read_text("utf-8") == before
    damaged = out / "kept" / "receptive-fields.json"
    kept = damaged.read_text("utf-8")
    damaged.write_text(kept[:100], "utf-8")
    with pytest.raises(pytest.fail.Exception, match="made again"):
        making.make(["receptive-fields"], Studio(out), out, print)
    damaged.write_text(kept.replace(json.loads(kept)["key"], "of another version"), "utf-8")
    with pytest.raises(pytest.fail.Exception, match="made again"):
        making.make(["receptive-fields"], Studio(out), out, print)
    damaged.write_text(kept, "utf-8")


def test_an_exhibit_whose_extra_is_missing_leaves_the_others(made, monkeypatch, tmp_path):
    def draw(exhibit, studio):
        if exhibit.name == "speed":
            raise ModuleNotFoundError("Install it by pip install 'kerasar[speed]'.")
        return [Item("text", "a caption", "a text")]

    monkeypatch.setattr(making, "_drawn", draw)
    result = gallery("text", "speed", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "Left out: speed" in result.output and "kerasar[speed]" in result.output
    page = (tmp_path / "index.html").read_text("utf-8")
    assert 'id="text"' in page and 'id="speed"' not in page


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("tekst",), "Did you mean 'text'"),
        (("--budget", "hours"), "hours"),
        (("text", "--out", "/proc/gallery"), "/proc/gallery"),
        (("text", "--out", __file__), "is a file"),
        (("text", "--out", __file__ + "/sub"), "is a file"),
    ],
)
def test_what_cannot_be_made_is_told_at_once(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = gallery(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not any(tmp_path.iterdir())


def test_who_stops_it_is_told_that_it_goes_on(tmp_path, monkeypatch):
    def draw(exhibit, studio):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_drawn", draw)
    result = gallery("text", "--out", tmp_path)
    assert result.exit_code == 130 and "the same command goes on" in result.output


def test_two_commands_do_not_share_a_folder(tmp_path):
    from kerasar.disk import lock

    (tmp_path / "kept").mkdir()
    held = lock(tmp_path / "kept")
    assert held is not None
    result = gallery("text", "--out", tmp_path)
    assert result.exit_code == 2 and "Another 'kerasar gallery'" in result.output


def shifts(levels=4):
    return lambda: kerasar.models.CausalConvNet(6, levels, filters=4, dilations=(1,))


@pytest.fixture
def eagerly():
    """A few steps are faster than their graphs are made."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
def test_a_model_is_trained_once(tmp_path):
    x = np.random.default_rng(0).integers(4, size=(40, 6))
    told = []
    studio = Studio(tmp_path, say=told.append)
    first = studio.trained(shifts(), x, epochs=2, batch_size=20)
    assert len(told) == 2
    again = studio.trained(shifts(), x, epochs=2, batch_size=20)
    assert len(told) == 2
    np.testing.assert_array_equal(first.log_prob(x), again.log_prob(x))
    fresh = shifts()()
    assert not np.array_equal(fresh.log_prob(x), first.log_prob(x))
    studio.trained(shifts(), x[::-1], epochs=2, batch_size=20)  # other data
    studio.trained(shifts(5), x, epochs=2, batch_size=20)  # another model
    studio.trained(shifts(), x, epochs=1, batch_size=20)  # other settings
    assert len(told) == 7


def test_training_that_was_interrupted_goes_on(tmp_path):
    x = np.random.default_rng(0).integers(4, size=(40, 6))
    whole = Studio(tmp_path / "whole").trained(shifts(), x, epochs=3, batch_size=20)

    def stop(text):
        if "epoch 3" in text:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Studio(tmp_path / "half", say=stop).trained(shifts(), x, epochs=3, batch_size=20)
    told = []
    resumed = Studio(tmp_path / "half", say=told.append)
    model = resumed.trained(shifts(), x, epochs=3, batch_size=20)
    assert told and "epoch 1" not in told[0]
    np.testing.assert_array_equal(model.log_prob(x), whole.log_prob(x))


def test_the_page_takes_any_text(tmp_path):
    studio = Studio(tmp_path)
    figure = Figure(figsize=(1, 1))
    studio.show(figure, 'a "picture" & <more>')
    studio.play(np.sin(np.arange(100)), 1000, "a <tone>")
    studio.quote("<script>alert(1)</script>", "a quotation")
    studio.tabulate([["a", "b"], ["<b>", "2"]], "a table")
    write_page(tmp_path / "page.html", {"text": (read("text"), studio.items)}, "here")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<script>" not in page and "<b>" not in page
    assert "data:image/png;base64," in page and "data:audio/wav;base64," in page
    assert 'alt="a &#34;picture&#34; &amp; &lt;more&gt;"' in page


@pytest.mark.long
def test_the_whole_quick_gallery(tmp_path):
    result = gallery("--out", tmp_path)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "index.html").read_text("utf-8")
    assert all(f'id="{name}"' in page for name in NAMES)


def test_a_browser_shows_all_of_it(made):
    out, _ = made
    address = (out / "index.html").as_uri()
    with opened() as browser:
        for width, scheme in ((390, "light"), (1200, "dark")):
            with page_at(browser, address, width, scheme) as (page, complaints):
                assert page.locator("h3").count() == 2
                page.locator("summary").first.click()
                assert page.locator("pre code").first.is_visible()
                assert not missing_pictures(page)
                assert overflow(page) <= 0
                assert not contrast_faults(page)
                assert not complaints


def test_both_budgets_share_a_folder(tmp_path, monkeypatch):
    def draw(exhibit, studio):
        return [Item("text", "a caption", "full" if studio.full else "quick")]

    monkeypatch.setattr(making, "_drawn", draw)

    def made(*names, full):
        making.make(names, Studio(tmp_path, full=full), tmp_path, print)
        return (tmp_path / "index.html").read_text("utf-8")

    made("text", "speed", full=False)
    page = made("text", full=True)
    assert re.findall(r'"quote">(\w+)<', page) == ["full", "quick"]
    assert "From the quick gallery: Three ways to draw." in page
    page = made("audio", full=False)
    assert re.findall(r'"quote">(\w+)<', page) == ["quick"] * 3 and "From the full" not in page


def test_the_python_on_the_page_runs_where_it_is_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(read("coupling-masks").code, {})
    assert [file.name for file in (tmp_path / "pictures").iterdir()] == ["1.png"]
    studio = Studio(tmp_path)
    studio.tabulate([["a", "b"], ["1", "2"]], "a table")
    studio.quote("a\nb", "a text")
    studio.save(tmp_path / "all")
    assert (tmp_path / "all" / "1.tsv").read_text() == "a\tb\n1\t2"
    assert (tmp_path / "all" / "2.txt").read_text() == "a\nb"


def test_words_in_pictures_can_be_read_on_a_phone():
    studio, wide, bare = Studio("."), Figure(figsize=(10, 1)), Figure(figsize=(10, 1))
    wide.text(0.5, 0.5, "words", fontsize=10)
    studio.show(wide, "with words")
    studio.show(bare, "without")
    assert [item.least_width for item in studio.items] == [720, 0]
