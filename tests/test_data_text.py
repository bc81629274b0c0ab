"""Text as data: tokens there and back, parts by position, and what cannot be read."""

import numpy as np
import pytest

from kerasar.data import Vocabulary, load_text

SONG = "Grün ist die Heide – la la la, 日本.\n"


@pytest.mark.parametrize("vocabulary", [Vocabulary.of(SONG), Vocabulary(None)])
def test_tokens_become_the_text_again(vocabulary):
    tokens = vocabulary.encode(SONG)
    assert tokens.max() < vocabulary.levels and vocabulary.decode(tokens) == SONG
    assert vocabulary.to_bytes(tokens) == SONG.encode()


def test_characters_are_numbered_in_their_order():
    vocabulary = Vocabulary.of("banana\n")
    assert vocabulary.characters == "\nabn" and vocabulary.levels == 4
    np.testing.assert_array_equal(vocabulary.encode("nab"), [3, 1, 2])


def test_a_text_is_cut_by_position(tmp_path):
    path = tmp_path / "song.txt"
    path.write_text(SONG * 10, encoding="utf-8")
    text = load_text(path)
    size = len(SONG) * 10
    assert [len(text.train), len(text.valid)] == [size * 8 // 10, size * 9 // 10 - size * 8 // 10]
    assert text.vocabulary.decode(text.all) == SONG * 10
    assert (SONG * 10).endswith(text.vocabulary.decode(text.test))


def test_few_characters_are_tokens_else_bytes(tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("".join(map(chr, range(500, 800))), encoding="utf-8")
    assert load_text(path).vocabulary.tokens == "bytes"
    assert load_text(path, "characters").levels == 300
    path.write_text(SONG, encoding="utf-8")
    assert load_text(path).vocabulary.tokens == "characters"
    assert load_text(path, "bytes").levels == 256


def test_line_ends_of_all_systems_are_one_and_a_mark_is_left_out(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfla\r\nla\rla\nla la")
    text = load_text(path)
    assert text.vocabulary.decode(text.all) == "la\nla\nla\nla la"
    as_stored = load_text(path, "bytes")
    assert as_stored.vocabulary.to_bytes(as_stored.all) == path.read_bytes()


def test_bytes_take_what_is_not_utf8(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("Grün, grün, grün".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.txt' must be text in UTF-8, but byte 0xfc at 2 "):
        load_text(path)
    text = load_text(path, "bytes")
    assert text.vocabulary.decode(text.all).startswith("Gr\ufffdn")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("", "short.txt' is empty"),
        ("la la", "at least 10 characters, but '.*' has 5"),
        ("a" * 50, "at least 2 different characters, but those of '.*' are 'a'"),
    ],
)
def test_a_text_too_short_is_refused(tmp_path, stored, message):
    path = tmp_path / "short.txt"
    path.write_text(stored)
    with pytest.raises(ValueError, match=message):
        load_text(path)


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*no.txt'"):
        load_text(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="'characters' or 'bytes', or None to choose, but got 'w'"):
        load_text(tmp_path / "no.txt", "w")
    with pytest.raises(ValueError, match=r"the 3 characters .* ' ', 'a', 'l', but it holds 'd'"):
        Vocabulary.of("la la").encode("la di".replace("i", ""))
    for tokens in ([-1], [3], [[0, 1]]):
        with pytest.raises(ValueError, match=r"integers from 0 to 2, of shape \(tokens,\)"):
            Vocabulary.of("la la").decode(tokens)


def test_another_text_is_read_in_the_tokens_of_the_first(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("lalalalalalall")
    np.testing.assert_array_equal(load_text(path, vocabulary=Vocabulary("alm")).test, [1, 1])
    with pytest.raises(ValueError, match=r"other.txt' cannot be taken: .* but it holds 'a'"):
        load_text(path, vocabulary=Vocabulary("lm"))
