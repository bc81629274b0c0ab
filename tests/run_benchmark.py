"""Runs a benchmark as its documentation says: `python -m benchmarks.speed.sampling …`."""

import importlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_benchmark(name, *arguments):
    """In this process, which has imported TensorFlow already."""
    importlib.import_module(f"benchmarks.{name}").main([str(argument) for argument in arguments])


def run_benchmark_in_fresh_process(name, *arguments):
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
