"""Where a new run goes."""

from pathlib import Path

from kerasar.cli.kinds.kind import path_of
from kerasar.cli.support.outputs import check_new, check_place, next_free
from kerasar.cli.support.run_folder import RunFolder, RunState
from kerasar.cli.support.shell import quoted


def new_run_path(out: Path | None, model: str, data: str, restart: bool = False) -> Path:
    """The folder of a new run, before anything is done for it.

    Args:
        out: what --out says; None names it by model and data.
        model: its name.
        data: what the user passes as DATA.
        restart: whether a run at `out` that was killed is replaced.

    Raises:
        FileExistsError: if there is something at `out` that is not to be replaced.
    """
    if out is None:
        path = path_of(data)
        name = data if path is None else path.resolve().stem
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "data"
        out = Path("runs") / f"{model}-{name}"
        if out.exists() and not (restart or RunFolder.is_only_begun(out)):
            out = next_free(Path(f"{out}-{{}}"))
    state = RunState.of(out)
    if state is RunState.training:
        raise FileExistsError(
            f"--out must name something new, but '{out}' is being trained by another process. "
            f"Choose another name, such as '{next_free(Path(f'{out}-{{}}'))}'."
        )
    if state is RunState.killed and not (restart or RunFolder.is_only_begun(out)):
        raise FileExistsError(
            f"--out must name something new, but '{out}' holds a run whose training never "
            f"finished. Go on with it by --resume {quoted(out)}, replace it with --restart, or "
            f"choose another name, such as '{next_free(Path(f'{out}-{{}}'))}'."
        )
    if state is RunState.killed:
        check_place(out, "--out")
    else:
        check_new(out, "--out")
    return out
