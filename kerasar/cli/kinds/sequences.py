"""Sequences: the toy problem, and `.npz` files of sequences of equal or unequal length."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasar.cli.kinds.kind import (
    Batch,
    Drawn,
    Kind,
    Loaded,
    Named,
    hold_out,
    how,
    whole_steps,
)
from kerasar.cli.support.run_folder import RunFolder

_TOY_LENGTH, _TOY_TRAIN, _TOY_TEST = 32, 25_000, 2_500


class Sequences(Kind):
    """Numbers in order, `(n, time)` or `(n, time, num_variables)`."""

    name = "sequences"
    noun = "sequences"
    endings = (".png", ".npz")
    pictures = ("samples.png",)
    example = MappingProxyType({"length": 32, "levels": 64})
    next = (("sample {run} --num 64", "draw new sequences"),)
    wanted = "'toy', or an .npz file with the array 'train' (kerasar.data.load_sequences)"

    def claims(self, spec: str) -> bool:
        return spec == "toy" or Path(spec).suffix.lower() == ".npz"

    def load(
        self, spec: str, data_dir: Path | None, levels: int | None, settings: dict[str, Any]
    ) -> Loaded:
        data = _read(spec, levels)
        learn, choose = data.train, data.valid
        if choose is None:
            learn, choose = hold_out(learn, self.noun)
        x, length = data.train["x"], data.train["length"]
        longest = x.shape[1]
        equal = bool((length == longest).all())
        num_variables = x.shape[2] if x.ndim == 3 else None
        arguments = {
            "length": longest if equal else None,
            "levels": data.levels,
            "num_variables": num_variables,
            "likelihood": _likelihood(data.levels, num_variables, x),
        }
        about = f"{'' if equal else 'up to '}{longest} steps"
        about += f" of {num_variables} variables" if num_variables else ""
        about += ", real numbers" if data.levels is None else f", {data.levels} levels"
        learn, choose, test = (_plain(part, longest) for part in (learn, choose, data.test))
        kept = {"length": longest}
        return Loaded(data.name, learn, choose, test, arguments, about, kept, data)

    def named(
        self, run: RunFolder, model: Any, spec: str, data_dir: Path | None, part: str
    ) -> Named:
        import numpy as np

        data = _read(spec, model.data_levels)
        parts = {"train": data.train, "test": data.test}
        if data.valid is not None:
            parts["valid"] = data.valid
        chosen = {"auto": ["test"], "all": list(parts)}.get(part, [part])
        names = [f"{p}/{i}" for p in chosen for i in range(len(parts[p]["x"]))]
        joined = {key: np.concatenate([parts[p][key] for p in chosen]) for key in ("x", "length")}
        return Named(_plain(joined, joined["x"].shape[1]), names)

    def showcase(self, run: RunFolder, model: Any, loaded: Loaded, heading: str) -> None:
        from kerasar.cli.support.outputs import written
        from kerasar.cli.support.quick import quick_samples
        from kerasar.pictures import save, sequence_grid

        samples = quick_samples(run, model, 16, length=run.config["length"])
        real = loaded.test["x"] if isinstance(loaded.test, dict) else loaded.test
        with written(run.path / "samples.png") as file:
            title = f"{run.title}: samples (seed 0; {heading}), and test sequences"
            save(sequence_grid(samples, real[:16], heading=title), file)

    def draw(
        self,
        run: RunFolder,
        model: Any,
        num: int,
        length: float | None,
        prompt: Path | None,
        options: dict[str, Any],
    ) -> Drawn:
        import numpy as np

        given = None
        if prompt is not None:
            with np.load(prompt, allow_pickle=False) as arrays:
                if "prompt" not in arrays:
                    raise ValueError(
                        f"--prompt must be an .npz file with the array 'prompt', (steps, …), but "
                        f"'{prompt}' holds {sorted(arrays)}."
                    )
                given = options["prompt"] = arrays["prompt"]
        if model.data_shape[0] is None:
            steps = run.config["length"] if length is None else whole_steps(length)
            options["length"] = steps + (0 if given is None or length is None else len(given))
        elif length is not None:
            raise ValueError(
                f"--length is for models of open length, but this one draws {model.data_shape[0]} "
                "steps. Leave it out."
            )
        return Drawn(model.sample(num, **options), how(options))

    def write(self, path: Path, drawn: Drawn, run: RunFolder, model: Any) -> None:
        from kerasar.pictures import save, sequence_grid

        if path.suffix.lower() == ".npz":
            import numpy as np

            np.savez_compressed(path, samples=drawn.samples)
            return
        heading = f"{run.title}: samples ({drawn.how})"
        save(sequence_grid(drawn.samples[:64], heading=heading), path)


def _read(spec: str, levels: int | None) -> Any:
    import numpy as np

    from kerasar.data import SequenceData, load_sequences, toy_sequences

    if spec != "toy":
        return load_sequences(spec, levels)
    every = toy_sequences(_TOY_TRAIN + _TOY_TEST, _TOY_LENGTH, seed=0)
    whole = {"x": every, "length": np.full(len(every), _TOY_LENGTH, "int32")}
    train, test = (
        {name: part[rows] for name, part in whole.items()}
        for rows in (slice(_TOY_TRAIN), slice(_TOY_TRAIN, None))
    )
    return SequenceData("toy", train, None, test, 2 * _TOY_LENGTH)


def _plain(batch: Batch, longest: int) -> Batch:
    """The array alone where all sequences are of one length."""
    return batch["x"] if (batch["length"] == longest).all() else batch


def _likelihood(levels: int | None, num_variables: int | None, x: Any) -> Any:
    from kerasar.data import mean_and_scale
    from kerasar.distributions.likelihoods import (
        Bernoulli,
        Categorical,
        GaussianMixture,
        Independent,
    )

    if levels is None:
        mean, scale = mean_and_scale(x, per_variable=num_variables is not None)
        return GaussianMixture(3, num_variables, mean, scale)
    if num_variables is None:
        return Categorical()
    return Independent(num_variables, Bernoulli() if levels == 2 else Categorical())
