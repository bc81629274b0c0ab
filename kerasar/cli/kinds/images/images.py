"""Images: data sets by name, array files, folders of PNGs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kerasar.cli.kinds.images.run_data import load_for, name_images, training_parts
from kerasar.cli.kinds.kind import (
    STREAMED,
    DataKind,
    NamedExamples,
    Samples,
    TrainingData,
    hold_out_validation,
    reading_in_words,
)
from kerasar.cli.support.capabilities import is_conditional, levels_of, supports
from kerasar.cli.support.likelihoods import chosen, for_images
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import DATASETS, load_images
from kerasar.data.plain_text import picture_text

if TYPE_CHECKING:
    from kerasar.training import DensityModel


class Images(DataKind):
    """Integers, `(n, height, width, channels)`."""

    name = "images"
    noun = "images"
    has_likelihoods = True
    has_files = True
    endings = (".png", ".npz")
    pictures = ("samples.png", "inpainting.png", "reconstructions.png")
    example = MappingProxyType({"image_shape": (28, 28, 1), "levels": 256})
    next_commands = (
        ("sample {run} --num 64", "draw new images"),
        ("inpaint {run} --hide right", "fill in what is hidden"),
    )
    data_sets = tuple(name for name in DATASETS if name.islower() and name.isidentifier())
    accepted = "the name, file or folder of images"

    def claims(self, spec: str) -> bool:
        return True

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        images = load_images(
            spec,
            data_dir,
            levels,
            stream_above=STREAMED,
            skip_corrupt=bool(settings.get("skip_corrupt")),
        )
        height, width, channels = shape = images.train.shape[1:]
        if channels not in (1, 3):
            raise ValueError(
                "The command draws what a model generates, so images must be gray or RGB, with 1 "
                f"or 3 channels, but those of '{spec}' have {channels}. Leave out the others (the "
                "last one of RGBA is the opacity of a pixel), or train in Python."
            )
        conditional = settings.get("conditional")
        why = "--conditional needs the class of each image" if conditional else None
        rest, test = training_parts(images, why)
        train, validation = hold_out_validation(rest, self.noun)
        arguments: dict[str, Any] = {"image_shape": shape, "levels": images.levels}
        if settings.get("likelihood") is not None:
            choices = for_images(images.levels, channels)
            arguments["likelihood"] = chosen(choices, settings["likelihood"], self.noun)
        kept: dict[str, Any] = {"image_shape": list(shape)}
        if conditional:
            count = int(max(rest["condition"].max(), test["condition"].max())) + 1
            arguments["num_classes"], kept["classes"] = count, [str(i) for i in range(count)]
        about = f"{height}×{width}, {images.levels} levels"
        about += reading_in_words(images.train, images.skipped)
        return TrainingData(images.name, train, validation, test, arguments, about, kept, images)

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        return name_images(load_for(model, spec, data_dir), spec, part, is_conditional(model))

    def callbacks(self, run: RunFolder, model: DensityModel, epochs: int) -> list[Any]:
        from kerasar.cli.support.callbacks import SampleImages

        if not supports(model, "sample"):
            return []
        return [SampleImages(run, levels_of(model), every=max(1, epochs // 10))]

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.cli.kinds.images.showcase import draw_pictures

        draw_pictures(run, model, data.source, result)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        from kerasar.pictures import image_grid, save

        images = samples.values
        titles = samples.labels or [f"sample {i}" for i in range(len(images))]
        titles = list(map(picture_text, titles))
        heading = f"{run.title}: samples ({samples.description})"
        # Beyond a hundred nobody reads them, and they take longer than the images.
        shown = titles if len(images) <= 100 else None
        save(image_grid(images, levels_of(model), shown, _columns(titles), heading), path)


def _columns(titles: list[str]) -> int | None:
    """How many images a row holds: all of a class, if there are equally many of each."""
    counts = Counter(titles)
    same = len(set(counts.values())) == 1
    return counts[titles[0]] if same and 1 < counts[titles[0]] <= 20 else None
