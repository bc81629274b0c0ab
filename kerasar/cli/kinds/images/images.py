"""Images: data sets by name, array files, folders of PNGs."""

from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasar.cli.kinds.kind import Drawn, Kind, Loaded, Named, hold_out
from kerasar.cli.support.capabilities import can, is_conditional
from kerasar.cli.support.run_folder import RunFolder


class Images(Kind):
    """Whole numbers, `(n, height, width, channels)`."""

    name = "images"
    noun = "images"
    endings = (".png", ".npz")
    pictures = ("samples.png", "inpainting.png", "reconstructions.png")
    example = MappingProxyType({"image_shape": (28, 28, 1), "levels": 256})
    next = (
        ("sample {run} --num 64", "draw new images"),
        ("inpaint {run} --hide right", "fill in what is hidden"),
    )
    wanted = "the name, file or folder of images"

    def claims(self, spec: str) -> bool:
        return True

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        from kerasar.cli.kinds.images.run_data import examples
        from kerasar.data import load_images

        images = load_images(spec, data_dir, levels)
        channels = images.train.shape[-1]
        if channels not in (1, 3):
            raise ValueError(
                "The command draws what a model makes, so images must be grey or RGB, with 1 or 3 "
                f"channels, but those of '{spec}' have {channels}. Leave out the others (the last "
                "one of RGBA is how opaque a pixel is), or train in Python."
            )
        conditional = settings.get("conditional")
        why = "--conditional needs the class of each image" if conditional else None
        train, test = examples(images, why)
        arguments: dict[str, Any] = {
            "image_shape": images.train.shape[1:],
            "levels": images.levels,
        }
        learn, choose = hold_out(train, self.noun)
        height, width = images.train.shape[1:3]
        about = f"{height}×{width}, {images.levels} levels"
        kept: dict[str, Any] = {"image_shape": list(images.train.shape[1:])}
        if conditional:
            count = int(max(train["condition"].max(), test["condition"].max())) + 1
            arguments["num_classes"], kept["classes"] = count, [str(i) for i in range(count)]
        return Loaded(images.name, learn, choose, test, arguments, about, kept, images)

    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        from kerasar.cli.kinds.images.run_data import load_for, named

        return named(load_for(model, spec, data_dir), spec, part, is_conditional(model))

    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        from kerasar.cli.kinds.images.showcase import draw_pictures

        draw_pictures(run, model, loaded.source, heading)

    def callbacks(self, run: RunFolder, model: Any, epochs: int) -> list[Any]:
        from kerasar.cli.support.callbacks import SampleImages

        if not can(model, "sample"):
            return []
        return [SampleImages(run, model.data_levels, every=max(1, epochs // 10))]

    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        from kerasar.pictures import image_grid, save

        samples = drawn.samples
        if path.suffix.lower() == ".npz":
            import numpy as np

            np.savez_compressed(path, samples=samples)
            return
        titles = drawn.labels or [f"sample {i}" for i in range(len(samples))]
        heading = f"{run.title}: samples ({drawn.how})"
        # Beyond a hundred nobody reads them, and they take longer than the images.
        shown = titles if len(samples) <= 100 else None
        save(image_grid(samples, model.data_levels, shown, _columns(titles), heading), path)


def _columns(titles: list[str]) -> int | None:
    """How many images stand in a row: all of a class, if there are equally many of each."""
    counts = Counter(titles)
    same = len(set(counts.values())) == 1
    return counts[titles[0]] if same and 1 < counts[titles[0]] <= 20 else None
