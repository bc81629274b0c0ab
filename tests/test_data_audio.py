"""The audio reader: what it reads, labels, resamples and trims, and what it refuses by name."""

import numpy as np
import pytest
import soundfile

from kerasar.data import load_audio, mu_law_decode, mu_law_encode, write_wav


def tone(seconds=0.1, rate=8000, pitch=440.0, loudness=0.5):
    return loudness * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def folder(tmp_path):
    """Three recordings of two classes by their names."""
    for i, name in enumerate(["3_theo_12.wav", "7_anna_0.flac", "3_anna_5.WAV"]):
        soundfile.write(tmp_path / name, tone(0.1 + 0.05 * i), 8000, format=name[-4:].strip("."))
    (tmp_path / "notes.txt").write_text("no recording")
    (tmp_path / "._3_theo_12.wav").write_bytes(b"what another system leaves behind")
    return tmp_path


def test_recordings_are_padded_with_silence_to_the_longest(folder):
    data = load_audio(folder, trim_db=None)
    assert data.names == ("3_anna_5.WAV", "3_theo_12.wav", "7_anna_0.flac")
    np.testing.assert_array_equal(data.length, [1600, 800, 1200])
    assert data.x.shape == (3, 1600) and data.x.dtype == np.uint8 and len(data) == 3
    assert (data.x[1, 800:] == 128).all() and data.sample_rate == 8000
    sound, _ = soundfile.read(folder / "3_theo_12.wav", dtype="float32")
    np.testing.assert_array_equal(data.x[1, :800], mu_law_encode(sound))
    np.testing.assert_array_equal(data.sound(1), mu_law_decode(mu_law_encode(sound)))


def test_labels_come_from_the_beginning_of_the_names(folder):
    data = load_audio(folder)
    assert data.classes == ("3", "7")
    np.testing.assert_array_equal(data.labels, [0, 0, 1])
    assert set(data.batch()) == {"x", "length", "condition"}
    assert set(data.batch(condition=False)) == {"x", "length"}
    assert load_audio(folder, labels=None).labels is None


def test_labels_come_from_subfolders(tmp_path):
    for name in ("dog", "cat"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "1.wav", tone(), 8000)
    data = load_audio(tmp_path)
    assert data.classes == ("cat", "dog") and data.names == ("cat/1.wav", "dog/1.wav")
    np.testing.assert_array_equal(data.labels, [0, 1])


def test_names_without_an_underscore_give_no_labels(tmp_path):
    soundfile.write(tmp_path / "one.wav", tone(), 8000)
    data = load_audio(tmp_path)
    assert data.labels is None and data.classes == ()
    assert set(data.batch()) == {"x", "length"}


def test_resampling_keeps_pitch_and_duration(tmp_path):
    soundfile.write(tmp_path / "high.wav", tone(0.5, 16000, 500.0), 16000, subtype="FLOAT")
    data = load_audio(tmp_path, sample_rate=8000, levels=65536, trim_db=None)
    assert data.sample_rate == 8000 and data.length[0] == 4000
    expected = tone(0.5, 8000, 500.0)
    # Away from the ends, where the filter sees silence.
    np.testing.assert_allclose(data.sound(0)[200:-200], expected[200:-200], atol=1e-3)


def test_silence_at_both_ends_is_trimmed_and_in_the_middle_kept(tmp_path):
    quiet = np.random.default_rng(0).normal(0, 1e-4, 4000)
    sound = np.concatenate([quiet, tone(0.1), quiet, tone(0.1), quiet])
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    data = load_audio(tmp_path)
    assert data.length[0] == 5600
    np.testing.assert_array_equal(data.x[0], mu_law_encode(sound[4000:9600].astype("float32")))
    assert load_audio(tmp_path, trim_db=None).length[0] == len(sound)


def test_channels_are_mixed_down_only_if_asked_for(tmp_path):
    both = np.stack([tone(loudness=0.5), tone(loudness=0.1)], axis=-1)
    soundfile.write(tmp_path / "a.wav", both, 8000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"one channel, but '.*a.wav' has 2. Pass mix_channels"):
        load_audio(tmp_path)
    mixed = load_audio(tmp_path, mix_channels=True, trim_db=None)
    np.testing.assert_array_equal(mixed.x[0], mu_law_encode(both.mean(axis=1).astype("float32")))


def test_parts_are_only_as_long_as_they_need(folder):
    data = load_audio(folder, trim_db=None)
    part = data.part([1, 2])
    assert part.x.shape == (2, 1200) and part.names == data.names[1:]
    np.testing.assert_array_equal(data.part(data.labels == 1).x, part.x[1:])
    kept, held_out = data.divide()
    assert len(kept) == 2 and len(held_out) == 1
    assert set(kept.names + held_out.names) == set(data.names)
    with pytest.raises(ValueError, match="none were chosen"):
        data.part([])
    with pytest.raises(ValueError, match="at least 2.*holds 1"):
        held_out.divide()


def test_what_is_written_is_read_again(tmp_path):
    codes = mu_law_encode(tone())
    write_wav(tmp_path / "a.wav", codes, 8000)
    data = load_audio(tmp_path, trim_db=None)
    # 16 bits are finer than every code but the smallest, and round the middle of a code.
    assert np.abs(data.x[0].astype(int) - codes).max() <= 1
    assert (data.x[0] == codes).mean() > 0.95
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def spoiled(tmp_path, name, sound=None, rate=8000, cut=None, text=None, subtype="PCM_16"):
    file = tmp_path / name
    if text is not None:
        file.write_bytes(text)
        return
    soundfile.write(file, tone() if sound is None else sound, rate, subtype=subtype)
    if cut:
        file.write_bytes(file.read_bytes()[:cut])


BAD = {
    "empty file": (dict(text=b""), "'.*bad.wav' is empty: it has 0 bytes"),
    "no samples": (dict(sound=np.zeros(0)), "bad.wav' is empty: it holds no sample"),
    "cut short": (dict(cut=900), "bad.wav' is cut short: 1600 bytes are stated, 856 are there"),
    "cut in the header": (dict(cut=30), "bad.wav' (is cut short|cannot be read)"),
    "no audio": (dict(text=b"Dear diary, " * 50), "bad.wav' cannot be read as audio"),
    "cut flac": (dict(cut=500, name="bad.flac"), "bad.flac' (is cut short|cannot be read)"),
    "NaN": (
        dict(sound=np.where(np.arange(800) == 7, np.nan, 0.1), subtype="FLOAT"),
        "bad.wav' must hold finite numbers, but sample 7 is nan",
    ),
    "too loud": (
        dict(sound=3 * tone(), subtype="FLOAT"),
        r"\[-1, 1\], but '.*bad.wav' reaches 1.5",
    ),
    "silence": (dict(sound=np.zeros(800)), "bad.wav' is all silence"),
    "another rate": (dict(rate=16000), "same sample rate.*a.wav' has 8000.*bad.wav' has 16000"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_refused_by_name(name, tmp_path):
    arguments, message = BAD[name]
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    spoiled(tmp_path, **({"name": "bad.wav"} | arguments))
    with pytest.raises(ValueError, match=message):
        load_audio(tmp_path)


SIZES = [0, 0x7FFFF000, 0x7FFFF024, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF]


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_of_unstated_length_is_read(tmp_path, size):
    file = tmp_path / "a.wav"
    soundfile.write(file, tone(), 8000)
    content = bytearray(file.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    file.write_bytes(content)
    data = load_audio(tmp_path, trim_db=None)
    np.testing.assert_array_equal(
        data.x[0], mu_law_encode(np.float32(np.round(tone() * 32768) / 32768))
    )


def test_a_file_without_sound_but_with_notes_is_empty(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with open(tmp_path / "a.wav", "ab") as file:
        file.write(b"LIST\x04\0\0\0note")
    with pytest.raises(ValueError, match="holds no sample"):
        load_audio(tmp_path)


@pytest.mark.parametrize("rate", [1, 100, 2_000_000_000])
def test_a_header_of_a_rate_out_of_bounds_is_refused(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.wav' states a rate of {rate} Hz"):
        load_audio(tmp_path, sample_rate=8000)


@pytest.mark.parametrize("rate", [0, -8000, 10**9, 8000.5, "8k"])
def test_a_sample_rate_out_of_bounds_is_refused(folder, rate):
    with pytest.raises((ValueError, TypeError), match="sample_rate must be"):
        load_audio(folder, sample_rate=rate)
    with pytest.raises((ValueError, TypeError), match="sample_rate must be"):
        write_wav(folder / "b.wav", [1, 2], rate)


def test_folders_and_labels_that_do_not_fit_are_refused(folder):
    with pytest.raises(FileNotFoundError, match="no folder '.*nowhere'"):
        load_audio(folder / "nowhere")
    with pytest.raises(ValueError, match="labels must be one of.*'speaker'"):
        load_audio(folder, labels="speaker")
    with pytest.raises(ValueError, match="labels='folder' takes the names of subfolders"):
        load_audio(folder, labels="folder")
    (folder / "deeper").mkdir()
    with pytest.raises(ValueError, match="holds no recordings"):
        load_audio(folder / "deeper")
    soundfile.write(folder / "deeper" / "x.wav", tone(), 8000)
    with pytest.raises(ValueError, match="has both: '3_anna_5.WAV' and 'deeper/'"):
        load_audio(folder)
    with pytest.raises(ValueError, match="labels='name'.*'x.wav' in .* has none"):
        load_audio(folder / "deeper", labels="name")


@pytest.mark.parametrize(
    ("name", "codes", "kind", "message"),
    [
        ("a.mp3", np.zeros(8, int), ValueError, "must end in .wav"),
        ("a.wav", np.zeros((2, 8), int), ValueError, r"one recording.*\(2, 8\)"),
        ("no/a.wav", np.zeros(8, int), FileNotFoundError, "no folder"),
        ("a.wav", np.full(8, 256), ValueError, r"codes must be in \[0, 256\)"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, codes, kind, message):
    with pytest.raises(kind, match=message):
        write_wav(tmp_path / name, codes, 8000)
    assert list(tmp_path.iterdir()) == []
