"""A table on the terminal, the same as CSV, and bars as a picture."""

import csv
import os
import platform
import time
from pathlib import Path

import numpy as np


def median(values: list[float]) -> float:
    """The median."""
    return float(np.median(values))


def write_report(name: str, header: list[str], rows: list[list[str]], folder: Path) -> None:
    """Prints rows and writes them as `name.csv`."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.csv", "w", newline="") as file:
        file.write(f"# {machine()}\n")
        csv.writer(file).writerows([header, *rows])


def write_bars(
    name: str,
    labels: list[str],
    ratios: list[float],
    targets: list[float],
    title: str,
    folder: Path,
) -> None:
    """Draws how many times as fast each case is, with the target as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.5 * len(labels) + 1.4), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(labels))[::-1]
    axes.barh(places, ratios, color="#4c78a8", height=0.6)
    for place, ratio, target in zip(places, ratios, targets, strict=True):
        axes.text(ratio, place, f" {ratio:.1f}×", va="center")
        axes.plot([target, target], [place - 0.38, place + 0.38], color="#202020", linewidth=2)
    axes.set_yticks(places, labels)
    axes.set_xscale("log")
    axes.set_xlim(1, 2.2 * max([*ratios, *targets]))
    axes.set_xlabel("times as fast as the peer (line: target)")
    axes.set_title(title, fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(folder / f"{name}.png", dpi=110)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """The machine and the day, for the head of a report."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")
    used = f"{cores()} core{'s' if cores() > 1 else ''}"
    return f"{used}, {model or platform.machine()}, {time.strftime('%Y-%m-%d')}"
