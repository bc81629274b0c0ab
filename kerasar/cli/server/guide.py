"""What to type to serve an export and to ask it: printed where one is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasar.cli.server.export_folder import ExportFolder
from kerasar.cli.support.shell import quoted


def serving_guide(path: Path) -> str:
    """The signatures of an export, its bounds, and lines for a shell, each ready to run."""
    folder = ExportFolder(path)
    config, name = folder.config, folder.model_name
    lines = ["Signatures:"]
    for signature, ends in config["signatures"].items():
        lines.append(f"  {signature}: {_listed(ends['inputs'])} -> {_listed(ends['outputs'])}")
    lines += [
        f"A request may ask for {config['max_samples']:,} examples and {config['max_positions']:,} "
        "values of all of them together.",
        "Serve it here, or in a container:",
        f"  kerasar serve {quoted(path)} --name {name} --warm-up",
    ]
    if path.name.isdecimal():
        xla = " --xla_cpu_compilation_enabled=true" if config.get("jit_compile") else ""
        lines.append(
            f"  docker run --rm -p 8501:8501 -v {quoted(path.resolve().parent)}:/models/{name} "
            f"-e MODEL_NAME={name} tensorflow/serving{xla}"
        )
    return "\n".join([*lines, "Ask it:", *_curl_lines(path, name)])


def _curl_lines(path: Path, name: str) -> Iterator[str]:
    for file in sorted((path / "assets.extra" / "requests").glob("*.json")):
        yield f"  curl -d @{quoted(file)} http://localhost:8501/v1/models/{name}:predict"


def _listed(ends: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} ({', '.join('any' if size is None else str(size) for size in end['shape'])})"
        if end["shape"]
        else name
        for name, end in ends.items()
    )
