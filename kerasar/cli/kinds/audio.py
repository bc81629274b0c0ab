"""Audio: folders of WAV and FLAC recordings."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasar.cli.kinds.kind import Batch, Drawn, Kind, Loaded, Named, how
from kerasar.cli.support.capabilities import is_conditional
from kerasar.cli.support.run_folder import RunFolder

#: Samples of a piece of a recording in training: half a second at 8 kHz.
_PIECE = 4096


class Audio(Kind):
    """Recordings as µ-law codes, of unequal length."""

    name = "audio"
    noun = "recordings"
    unit = "sample"
    num = 4
    endings = (".wav", ".npz")
    sampled = ("samples.wav",)
    pictures = ("samples.png", "samples/")
    example = MappingProxyType({"length": None, "levels": 256})
    next = (
        ("sample {run} --num 4", "draw new recordings"),
        ("sample {run} --prompt FILE.wav --length 2", "go on with a recording"),
    )
    wanted = "a folder of .wav or .flac recordings"

    def claims(self, spec: str) -> bool:
        folder = Path(spec).expanduser()
        files = [*folder.glob("*.*"), *folder.glob("*/*.*")] if folder.is_dir() else []
        return any(file.suffix.lower() in (".wav", ".flac") for file in files)

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        data = _read(spec, levels or 256, settings)
        if settings.get("conditional") and data.labels is None:
            raise ValueError(
                "--conditional needs the class of each recording, but DATA has none. Put the "
                "recordings into a subfolder for each class, or name them CLASS_….wav."
            )
        train, test = data.divide()
        learn, choose = train.divide()
        arguments: dict[str, Any] = {"length": None, "levels": data.levels}
        if settings.get("conditional"):
            arguments["num_classes"] = len(data.classes)
        about = f"{data.length.sum() / data.sample_rate:.0f} s at {data.sample_rate} Hz, "
        about += f"{data.levels} µ-law codes"
        kept = {
            "sample_rate": data.sample_rate,
            "classes": list(data.classes),
            "length": int(data.length.mean()),
        }
        first, second, last = (
            pieces(part.batch(bool(settings.get("conditional")))) for part in (learn, choose, test)
        )
        return Loaded(data.name, first, second, last, arguments, about, kept, test)

    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        data = _read(spec, model.data_levels, run.config)
        if part in ("train", "test"):
            data = data.divide()[("train", "test").index(part)]
        return Named(data.batch(is_conditional(model)), list(data.names))

    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        from kerasar.cli.support.outputs import written
        from kerasar.cli.support.quick import quick_samples
        from kerasar.data import mu_law_decode, write_wav
        from kerasar.pictures import save, spectrogram_figure

        test, rate = loaded.source, loaded.settings["sample_rate"]
        samples = quick_samples(run, model, self.num, length=run.config["length"])
        with written(run.path / "samples") as folder:
            folder.mkdir()
            for i, codes in enumerate(samples):
                write_wav(folder / f"{i}.wav", codes, rate, test.levels)
        # Each sample beside a recording.
        sounds, titles = [], []
        for i, codes in enumerate(samples[: len(test)]):
            sounds += [mu_law_decode(codes, test.levels), test.sound(i)]
            titles += [f"sample {i}", f"test recording {test.names[i]}"]
        with written(run.path / "samples.png") as file:
            title = f"{run.title}: samples (seed 0; {heading}), and test recordings"
            save(spectrogram_figure(sounds, rate, titles, heading=title), file)

    def draw(
        self,
        run: RunFolder,
        model: Any,
        num: int,
        length: float | None,
        prompt: Path | None,
        options: dict[str, Any],
    ) -> Drawn:
        rate = run.config["sample_rate"]
        options["length"] = run.config["length"] if length is None else max(1, int(length * rate))
        if prompt is not None:
            options["prompt"] = _prompt(prompt, rate, model.data_levels)
            options["length"] += len(options["prompt"])
        return Drawn(model.sample(num, **options), how(options))

    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        import numpy as np

        from kerasar.data import write_wav

        if path.suffix.lower() == ".npz":
            np.savez_compressed(path, samples=drawn.samples)
            return
        # One recording after the other, with a little silence between them.
        silence = np.full(run.config["sample_rate"] // 4, model.data_levels // 2)
        parts = [part for codes in drawn.samples for part in (codes, silence)][:-1]
        write_wav(path, np.concatenate(parts), run.config["sample_rate"], model.data_levels)


def _read(spec: str, levels: int, settings: dict[str, Any]) -> Any:
    from kerasar.data import load_audio

    return load_audio(spec, sample_rate=settings.get("sample_rate"), levels=levels)


def pieces(batch: Batch, size: int = _PIECE) -> Batch:
    """Recordings cut into pieces of `size` samples, the last ones shorter."""
    import numpy as np

    rows, starts = [], []
    for row, length in enumerate(batch["length"]):
        begin = np.arange(0, int(length), size)
        rows += [row] * len(begin)
        starts += begin.tolist()
    width = min(size, batch["x"].shape[1])
    columns = np.minimum(np.array(starts)[:, None] + np.arange(width), batch["x"].shape[1] - 1)
    cut = {name: part[rows] for name, part in batch.items() if name != "x"}
    cut["x"] = batch["x"][np.array(rows)[:, None], columns]
    cut["length"] = np.minimum(cut["length"] - np.array(starts), width).astype("int32")
    return cut


def _prompt(path: Path, rate: int, levels: int) -> Any:
    """A recording as codes, at the rate of the model."""
    from kerasar.data import mu_law_encode
    from kerasar.data.audio_file import read_audio_file

    sound, own = read_audio_file(path, mix_channels=False)
    if own != rate:
        raise ValueError(
            f"--prompt must be a recording at {rate} Hz, as the model was trained on, but '{path}' "
            f"has {own} Hz. Resample it."
        )
    return mu_law_encode(sound, levels)
