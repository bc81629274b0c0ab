"""The command on a text: train, write on, score, export, and what is refused."""

import csv
import json

import numpy as np
import pytest
from test_cli_kinds import refuse, small_models, succeed  # noqa: F401  (a fixture)

import kerasar
from kerasar.cli.kinds import KINDS, kind_of
from kerasar.cli.kinds.text import pieces, write_on
from kerasar.data import Vocabulary, load_text

pytestmark = pytest.mark.usefixtures("loaded_once")
VERSE = "Es war ein König in Thule,\r\ngar treu bis an das Grab. "


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_models):  # noqa: F811
    home = tmp_path_factory.mktemp("text")
    (home / "thule.txt").write_bytes((VERSE * 8).encode())
    options = ("--epochs", 1, "--context", 16, "--batch-size", 8)
    for name, more in (("characters", ()), ("bytes", ("--tokens", "bytes"))):
        data = ("--data", home / "thule.txt", "--out", home / name)
        succeed("train", "causal-conv-net", *data, *options, *more)
    return home


def config(trained, name):
    return json.loads((trained / name / "config.json").read_text())


def test_a_run_keeps_its_vocabulary(trained):
    kept = config(trained, "characters")
    assert kept["kind"] == "text" and kept["length"] == 16
    assert kept["vocabulary"] == "".join(sorted({*VERSE} - {"\r"}))
    assert config(trained, "bytes")["vocabulary"] is None
    assert (trained / "characters" / "sample.txt").read_text("utf-8")
    exported = trained / "characters" / "export" / "1" / "assets.extra" / "vocabulary.json"
    assert json.loads(exported.read_text()) == {k: kept[k] for k in ("tokens", "vocabulary")}


@pytest.mark.parametrize("name", ["characters", "bytes"])
def test_a_prompt_is_continued(trained, name):
    said = succeed("sample", trained / name, "--prompt", "Es war ein K", "--length", 9).stdout
    assert said.startswith("Es war ein K") and len(said) >= 13
    out = trained / f"{name}.npz"
    succeed("sample", trained / name, "--num", 3, "--length", 40, "--out", out)
    with np.load(out) as arrays:
        assert arrays["samples"].shape == (3, 40)
    out = trained / f"{name}.txt"
    succeed("sample", trained / name, "--num", 2, "--length", 5, "--out", out)
    assert out.read_bytes().startswith(b"--- 1 ---\n") and b"\n\n--- 2 ---\n" in out.read_bytes()


@pytest.mark.parametrize("name", ["characters", "bytes"])
def test_the_test_part_is_scored_by_character_and_by_byte(trained, name):
    out = trained / f"{name}.csv"
    done = succeed("score", trained / name, trained / "thule.txt", "--out", out)
    rows = list(csv.DictReader(out.open()))
    vocabulary = Vocabulary(config(trained, name)["vocabulary"])
    test = load_text(trained / "thule.txt", vocabulary=vocabulary).test
    nats = -kerasar.load(trained / name).log_prob(pieces(test, 16)).sum()
    assert sum(float(row["nats"]) for row in rows) == pytest.approx(nats, rel=1e-5)
    text = vocabulary.decode(test)
    assert "ö" in text  # so that characters and bytes differ
    assert f" {nats / len(text):.4f} nats per character, " in done.stderr
    assert f" {nats / np.log(2) / len(text.encode()):.4f} bits per byte;" in done.stderr
    found = config(trained, name)["test"]
    assert found["nats_per_character"] == pytest.approx(nats / len(text), rel=1e-5)


def test_another_text_is_scored_whole(trained):
    other = trained / "other.txt"
    other.write_text(VERSE.replace("\r", ""), "utf-8")
    out = trained / "other.csv"
    succeed("score", trained / "characters", other, "--out", out)
    rows = list(csv.DictReader(out.open()))
    assert rows[0]["name"] == "characters 0…" and len(rows) == -(-(len(VERSE) - 1) // 16)


def test_all_tokens_are_scored_once():
    assert pieces(np.arange(8), 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    cut = pieces(np.arange(1, 7), 4)
    assert cut["x"].tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]] and cut["length"].tolist() == [4, 2]


@pytest.mark.parametrize("known", [0, 2, 7, 8, 19])
def test_a_model_of_fixed_length_writes_on_from_its_last_half(known):
    """It sees three steps, so pieces of four and more of them change nothing."""
    settings = dict(filters=8, dilations=(1, 1), input_encoding="embedding")
    fixed, free = (kerasar.models.CausalConvNet(n, 5, **settings) for n in (8, None))
    kerasar.testing.randomize(fixed)
    free.set_weights(fixed.get_weights())
    prompt = np.random.default_rng(0).integers(0, 5, known)
    options = {"seed": 3, "top_k": 1, "method": "sequential"}
    drawn = write_on(fixed, 2, prompt, 15, options)
    np.testing.assert_array_equal(drawn, write_on(free, 2, prompt, 15, options))
    np.testing.assert_array_equal(drawn[:, :known], [prompt] * 2)


def test_pieces_have_different_noise():
    model = kerasar.models.CausalConvNet(8, 50, dilations=(1,))
    drawn = write_on(model, 1, np.zeros(0, int), 40, {"seed": 3, "method": "sequential"})[0]
    assert len({tuple(drawn[i : i + 4]) for i in range(8, 40, 4)}) == 8


def test_a_table_of_numbers_is_a_series(tmp_path):
    kinds = ("sequences", "text", "series")
    for stored, name in (
        ("hour,metres\n0,1.5\n1,2.5\n", "series"),
        ("1.5\n2\n3\n", "series"),
        ("The first line\nand 2 more\n", "text"),
        ("one line alone", "text"),
    ):
        (tmp_path / "a.txt").write_text(stored)
        assert kind_of("model", kinds, str(tmp_path / "a.txt")).name == name
        assert kind_of("model", kinds, str(tmp_path / "a.txt"), is_text=True).name == "text"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("sample", "characters", "--prompt", "Faust €"), "--prompt cannot be continued: The text"),
        (("sample", "characters", "--out", "new.png"), "must end in .txt or .npz"),
        (("sample", "characters", "--length", "2.5"), "whole number of steps"),
        (("score", "characters", "none.txt"), "no file 'none.txt'"),
        (("inpaint", "characters"), "was trained on pieces of a text"),
        (("train", "nade", "--data", "thule.txt", "--tokens", "bytes"), "causal-conv-net"),
        (("train", "wavenet", "--data", "thule.txt", "--levels", 9), "--levels is for numbers"),
        (("train", "wavenet", "--data", "thule.txt", "--tokens", "words"), "got 'words'"),
        (("train", "wavenet", "--data", "thule.txt", "--context", 999), "smaller --context"),
        (("train", "wavenet", "--data", "thule.txt", "--context", 1), "at least 2, but got 1"),
    ],
)
def test_what_does_not_suit_a_text_is_refused(trained, monkeypatch, arguments, part):
    monkeypatch.chdir(trained)
    assert part in refuse(*arguments)


def test_a_prompt_longer_than_the_context_is_cropped_aloud(capsys):
    class Run:
        config = {"vocabulary": "ab"}

    class Request:
        num, length, prompt, options = 1, 3, "ab" * 6, {"seed": 0, "method": "sequential"}
        describe_options = staticmethod(lambda: "")

    model = kerasar.models.CausalConvNet(8, 2, dilations=(1,))
    drawn = KINDS["text"].draw(Run, model, Request).values
    assert drawn.shape == (1, 15) and (drawn[0, :12] == [0, 1] * 6).all()
    assert "has 12 characters, but the model sees 8 at once: it goes on" in capsys.readouterr().err
