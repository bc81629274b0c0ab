"""Audio: folders of WAV and FLAC recordings."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.kinds.kind import (
    STREAMED,
    Batch,
    DataKind,
    NamedExamples,
    Samples,
    SamplingRequest,
    TrainingData,
    reading_in_words,
    sample,
)
from kerasar.cli.support.capabilities import is_conditional, levels_of
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.quick import quick_samples
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import AudioData, load_audio, mu_law_decode, mu_law_encode, write_wav
from kerasar.data.audio_file import read_audio_file
from kerasar.data.lazy_rows import is_lazy
from kerasar.data.plain_text import picture_text, plain_text

if TYPE_CHECKING:
    from kerasar.training import DensityModel

#: Samples of a piece of a recording in training: half a second at 8 kHz.
_PIECE = 4096


class Audio(DataKind):
    """Recordings as µ-law codes, of unequal length."""

    name = "audio"
    noun = "recordings"
    unit = "sample"
    has_files = True
    num_samples = 4
    endings = (".wav", ".npz")
    sample_files = ("samples.wav",)
    pictures = ("samples.png", "samples/")
    example = MappingProxyType({"length": None, "levels": 256})
    next_commands = (
        ("sample {run} --num 4", "draw new recordings"),
        ("sample {run} --prompt FILE.wav --length 2", "continue a recording"),
    )
    accepted = "a folder of .wav or .flac recordings"

    def claims(self, spec: str) -> bool:
        folder = Path(spec).expanduser()
        files = [*folder.glob("*.*"), *folder.glob("*/*.*")] if folder.is_dir() else []
        return any(file.suffix.lower() in (".wav", ".flac") for file in files)

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        data = load_audio(
            spec,
            settings.get("sample_rate"),
            levels or 256,
            stream_above=STREAMED,
            skip_corrupt=bool(settings.get("skip_corrupt")),
        )
        conditional = bool(settings.get("conditional"))
        if conditional and data.labels is None:
            raise ValueError(
                "--conditional needs the class of each recording, but DATA has none. Put the "
                "recordings into a subfolder for each class, or name them CLASS_….wav."
            )
        rest, test = data.divide()
        train, validation = rest.divide()
        arguments: dict[str, Any] = {"length": None, "levels": data.levels}
        if conditional:
            arguments["num_classes"] = len(data.classes)
        about = f"{data.length.sum() / data.sample_rate:.0f} s at {data.sample_rate} Hz, "
        about += f"{data.levels} µ-law codes{reading_in_words(data.x, data.skipped)}"
        kept = {
            "sample_rate": data.sample_rate,
            "classes": list(data.classes),
            "length": int(data.length.mean()),
        }
        first, second, last = (
            pieces(part.batch(conditional)) for part in (train, validation, test)
        )
        return TrainingData(data.name, first, second, last, arguments, about, kept, test)

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        data = _read(spec, levels_of(model), run.config)
        return _named(data, part, is_conditional(model))

    def load_whole(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        _check_rates(run, spec)
        rate, levels = run.config["sample_rate"], levels_of(model)
        data = load_audio(spec, sample_rate=rate, levels=levels, trim_db=None)
        if is_conditional(model) and data.labels is None:
            raise ValueError(
                f"'{run.path}' was trained with the class of each recording, but '{spec}' has "
                "none. Put recordings into a subfolder for each class, or name them CLASS_….wav."
            )
        return _named(data, part, is_conditional(model))

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.pictures import save, spectrogram_figure

        test, rate = data.source, data.settings["sample_rate"]
        samples = quick_samples(run, model, self.num_samples, length=run.config["length"])
        with atomic_write(run.path / "samples") as folder:
            folder.mkdir()
            for i, codes in enumerate(samples):
                write_wav(folder / f"{i}.wav", codes, rate, test.levels)
        # Each sample next to a recording.
        sounds, titles = [], []
        for i, codes in enumerate(samples[: len(test)]):
            sounds += [mu_law_decode(codes, test.levels), test.sound(i)]
            titles += [f"sample {i}", f"test recording {picture_text(test.names[i])}"]
        with atomic_write(run.path / "samples.png") as file:
            heading = f"{run.title}: samples (seed 0; {result}), and test recordings"
            save(spectrogram_figure(sounds, rate, titles, heading=heading), file)

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        rate, length = run.config["sample_rate"], run.config["length"]
        if request.length is not None:
            length = max(1, int(request.length * rate))
        if request.prompt is None:
            return sample(model, request, length=length)
        prompt = _read_prompt(Path(request.prompt), rate, levels_of(model))
        return sample(model, request, length=length + len(prompt), prompt=prompt)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        # One recording after the other, with a little silence between them.
        silence = np.full(run.config["sample_rate"] // 4, levels_of(model) // 2)
        parts = [part for codes in samples.values for part in (codes, silence)][:-1]
        write_wav(path, np.concatenate(parts), run.config["sample_rate"], levels_of(model))


def _read(spec: str, levels: int, settings: dict[str, Any]) -> AudioData:
    return load_audio(spec, sample_rate=settings.get("sample_rate"), levels=levels)


def _named(data: AudioData, part: str, conditional: bool) -> NamedExamples:
    """The recordings of a part, with their classes if those are wanted."""
    if part in ("train", "test"):
        data = data.divide()[("train", "test").index(part)]
    return NamedExamples(data.batch(conditional), list(data.names))


def _check_rates(run: RunFolder, spec: str) -> None:
    """Raises a ValueError if reading recordings would resample them, which loses something."""
    import soundfile

    rate = run.config["sample_rate"]
    for file in sorted(Path(spec).expanduser().rglob("*")):
        if file.suffix.lower() not in (".wav", ".flac") or file.name.startswith("."):
            continue
        own = soundfile.info(file).samplerate
        if own != rate:
            raise ValueError(
                f"'{plain_text(file)}' has {own} samples a second, but '{run.path}' was trained on "
                f"{rate}: resampled it would not come back as it was. Resample it first, or leave "
                "it out."
            )


def pieces(batch: Batch, size: int = _PIECE) -> Batch:
    """Recordings cut into pieces of `size` samples, the last ones shorter."""
    rows, starts = [], []
    for row, length in enumerate(batch["length"]):
        begin = np.arange(0, int(length), size)
        rows += [row] * len(begin)
        starts += begin.tolist()
    x, chosen, first = batch["x"], np.array(rows), np.array(starts)
    width = min(size, x.shape[1])
    cut = {name: part[rows] for name, part in batch.items() if name != "x"}
    if is_lazy(x):
        cut["x"] = x.cut(chosen, first, width)
    else:
        columns = np.minimum(first[:, None] + np.arange(width), x.shape[1] - 1)
        cut["x"] = x[chosen[:, None], columns]
    cut["length"] = np.minimum(cut["length"] - first, width).astype("int32")
    return cut


def _read_prompt(path: Path, rate: int, levels: int) -> NDArray[Any]:
    """A recording as codes, at the rate of the model."""
    sound, own = read_audio_file(path, mix_channels=False)
    if own != rate:
        raise ValueError(
            f"--prompt must be a recording at {rate} Hz, as the model was trained on, but '{path}' "
            f"has {own} Hz. Resample it."
        )
    return mu_law_encode(sound, levels)
