"""Spectrograms show which frequency sounds when."""

import numpy as np
import pytest

from kerasar.pictures import save, spectrogram, spectrogram_figure


def tone(pitch, seconds=0.2, rate=8000):
    return np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("pitch", [500.0, 2000.0])
def test_a_tone_is_brightest_at_its_frequency(pitch):
    picture = spectrogram(tone(pitch), 8000)
    size = 2 * (len(picture) - 1)
    middle = picture[:, picture.shape[1] // 2]
    assert abs(middle.argmax() * 8000 / size - pitch) <= 8000 / size


def test_time_runs_from_left_to_right():
    picture = spectrogram(np.concatenate([tone(500.0), np.zeros(1600)]), 8000)
    loud = picture.max(axis=0)
    assert loud[: len(loud) // 2 - 6].min() > loud[len(loud) // 2 + 6 :].max() + 60


def test_ten_times_the_sound_is_twenty_decibels():
    quiet, loud = spectrogram(tone(500.0), 8000), spectrogram(10 * tone(500.0), 8000)
    np.testing.assert_allclose((loud - quiet).max(), 20, atol=1e-3)


def test_recordings_of_unequal_length_are_drawn_with_their_titles(tmp_path):
    sounds = [tone(500.0), tone(900.0, 0.1), tone(700.0, 0.01)]
    figure = spectrogram_figure(sounds, 8000, ["a", "b", "c"], heading="tones")
    pictures = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["a", "b", "c"]
    assert [round(axes.get_xlim()[1], 2) for axes in pictures] == [0.2, 0.1, 0.01]
    # One scale for all, so that brightness can be compared.
    assert len({axes.images[0].get_clim() for axes in pictures}) == 1
    save(figure, tmp_path / "tones.png")
    assert (tmp_path / "tones.png").stat().st_size > 1000


@pytest.mark.parametrize("sounds", [[], [np.zeros((2, 5))], [np.zeros(0)]])
def test_what_is_no_recording_is_refused(sounds):
    with pytest.raises(ValueError, match="recording"):
        spectrogram_figure(sounds, 8000)
