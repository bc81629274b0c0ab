"""Sequences: the toy problem, and `.npz` files of sequences of equal or unequal length."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kerasar.cli.kinds.kind import (
    Batch,
    DataKind,
    NamedExamples,
    Samples,
    SamplingRequest,
    TrainingData,
    hold_out_validation,
    name_examples,
    sample,
    take,
    whole_steps,
)
from kerasar.cli.support.likelihoods import chosen, for_steps
from kerasar.cli.support.outputs import atomic_write
from kerasar.cli.support.quick import quick_samples
from kerasar.cli.support.run_folder import RunFolder
from kerasar.data import SequenceData, load_sequences, mean_and_scale, toy_sequences

if TYPE_CHECKING:
    from kerasar.distributions import Likelihood
    from kerasar.training import DensityModel

_TOY_LENGTH, _TOY_TRAIN, _TOY_TEST = 32, 25_000, 2_500


class Sequences(DataKind):
    """Values in order, `(n, time)` or `(n, time, num_variables)`."""

    name = "sequences"
    noun = "sequences"
    has_likelihoods = True
    endings = (".png", ".npz")
    pictures = ("samples.png",)
    example = MappingProxyType({"length": 32, "levels": 64})
    next_commands = (("sample {run} --num 64", "draw new sequences"),)
    data_sets = ("toy",)
    accepted = "'toy', or an .npz file with the array 'train' (kerasar.data.load_sequences)"

    def claims(self, spec: str) -> bool:
        return spec == "toy" or Path(spec).suffix.lower() == ".npz"

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> TrainingData:
        data = _read(spec, levels)
        parts = (data.train, data.valid)
        if data.valid is None:
            parts = hold_out_validation(data.train, self.noun)
        x, length = data.train["x"], data.train["length"]
        longest = x.shape[1]
        equal = bool((length == longest).all())
        num_variables = x.shape[2] if x.ndim == 3 else None
        arguments = {
            "length": longest if equal else None,
            "levels": data.levels,
            "num_variables": num_variables,
            "likelihood": _likelihood(
                data.levels, num_variables, x, settings.get("likelihood"), self.noun
            ),
        }
        about = f"{'' if equal else 'up to '}{longest} steps"
        about += f" of {num_variables} variables" if num_variables else ""
        about += ", real values" if data.levels is None else f", {data.levels} levels"
        train, validation, test = (_without_padding(part, longest) for part in (*parts, data.test))
        kept = {"length": longest}
        return TrainingData(data.name, train, validation, test, arguments, about, kept, data)

    def load_named(
        self, run: RunFolder, model: DensityModel, spec: str, data_dir: Path | None, part: str
    ) -> NamedExamples:
        data = _read(spec, model.data_levels)
        parts = {"train": data.train, "test": data.test}
        if data.valid is not None:
            parts["valid"] = data.valid
        batch, names = name_examples(parts, part)
        return NamedExamples(_without_padding(batch, batch["x"].shape[1]), names)

    def showcase(
        self, run: RunFolder, model: DensityModel, data: TrainingData, result: str
    ) -> None:
        from kerasar.pictures import save, sequence_grid

        samples = quick_samples(run, model, 16, length=run.config["length"])
        real = data.test["x"] if isinstance(data.test, dict) else data.test
        with atomic_write(run.path / "samples.png") as file:
            heading = f"{run.title}: samples (seed 0; {result}), and test sequences"
            save(sequence_grid(samples, real[:16], heading=heading), file)

    def draw(self, run: RunFolder, model: DensityModel, request: SamplingRequest) -> Samples:
        options: dict[str, Any] = {}
        if request.prompt is not None:
            options["prompt"] = _read_prompt(request.prompt)
        steps = model.data_shape[0]
        if steps is None and request.length is None:
            options["length"] = run.config["length"]
        elif request.length is not None:
            if steps is not None:
                raise ValueError(
                    f"--length is for models of open length, but this one draws {steps} steps. "
                    "Leave it out."
                )
            options["length"] = whole_steps(request.length) + len(options.get("prompt", ()))
        return sample(model, request, **options)

    def write_readable(
        self, path: Path, samples: Samples, run: RunFolder, model: DensityModel
    ) -> None:
        from kerasar.pictures import save, sequence_grid

        heading = f"{run.title}: samples ({samples.description})"
        save(sequence_grid(samples.values[:64], heading=heading), path)


def _read(spec: str, levels: int | None) -> SequenceData:
    if spec != "toy":
        return load_sequences(spec, levels)
    x = toy_sequences(_TOY_TRAIN + _TOY_TEST, _TOY_LENGTH, seed=0)
    every = {"x": x, "length": np.full(len(x), _TOY_LENGTH, "int32")}
    train, test = take(every, slice(_TOY_TRAIN)), take(every, slice(_TOY_TRAIN, None))
    return SequenceData("toy", train, None, test, 2 * _TOY_LENGTH)


def _read_prompt(path: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as arrays:
        if "prompt" not in arrays:
            raise ValueError(
                f"--prompt must be an .npz file with the array 'prompt', (steps, …), but "
                f"'{path}' holds {sorted(arrays)}."
            )
        prompt: NDArray[Any] = arrays["prompt"]
    return prompt


def _without_padding(batch: Batch, longest: int) -> Batch:
    """The array alone where all sequences are of one length, else the batch as it is."""
    return batch["x"] if (batch["length"] == longest).all() else batch


def _likelihood(
    levels: int | None,
    num_variables: int | None,
    x: NDArray[Any],
    name: str | None,
    noun: str,
) -> Likelihood:
    moments: tuple[Any, ...] = ()
    if levels is None:
        moments = mean_and_scale(x, per_variable=num_variables is not None)
    return chosen(for_steps(levels, num_variables, *moments), name, noun)
