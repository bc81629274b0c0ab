"""Asks the PyTorch peers for times, from an environment that has no PyTorch.

    with Peer("/tmp/peers/bin/python") as peer:
        seconds = peer.time("pixelcnn/sample_lecture", n=48, steps=20)  # per position

The peers run in a process of their own (`server.py`), which sleeps between two requests: a
benchmark may time its own side in between and so give both the same machine.
"""

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

HOW_TO = """\
Make the environment and say where it is:
    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install torch==2.13.0 numpy
    export KERASAR_PEERS=/tmp/peers/bin/python"""


class PeerError(RuntimeError):
    """The peers' environment is missing, or a request to it failed."""


class Peer:
    """A process with PyTorch that runs the benchmarks' cases when asked.

    Args:
        python: str or path. The Python of the environment that has PyTorch. By default the
            environment variable `KERASAR_PEERS`.

    Raises:
        PeerError: if that environment is missing or has no PyTorch; the message says how to
            make it. Also by requests that fail, as where `torch.compile` does not work.
    """

    def __init__(self, python: str | os.PathLike[str] | None = None) -> None:
        python = python or os.environ.get("KERASAR_PEERS")
        if not python:
            raise PeerError(
                "The PyTorch peers need an environment of their own, but neither `python` nor the "
                f"environment variable KERASAR_PEERS says where it is. {HOW_TO}"
            )
        if not Path(python).is_file():
            raise PeerError(
                f"The PyTorch peers need a Python with PyTorch, but '{python}' is no file. {HOW_TO}"
            )
        # PYTHONPATH would bring this environment's packages into the other.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [python, str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            self.torch: str = self._receive()["torch"]
        except PeerError:
            raise PeerError(
                f"'{python}' did not start the PyTorch peers; its own words stand above. {HOW_TO}"
            ) from None

    def time(self, case: str, *, repeat: int = 1, compiled: bool = False, **args: Any) -> float:
        """Returns the seconds that one unit of a case takes: the median of `repeat` runs.

        A unit is a position of the whole batch, or a training step. See README.md for the cases
        and their arguments. The first request for a case also prepares it, outside the time.
        """
        answer = self.request(case, repeat=repeat, compiled=compiled, **args)
        return statistics.median(answer["seconds"]) / answer["units"]

    def request(
        self, case: str, *, repeat: int = 1, compiled: bool = False, **args: Any
    ) -> dict[str, Any]:
        """Returns the server's whole answer: every run's seconds, the units made, of how many."""
        request = {"case": case, "args": args, "repeat": repeat, "compiled": compiled}
        if self._process.poll() is None:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._receive()
        if "error" in answer:
            raise PeerError(f"PyTorch could not run '{case}' with {request}. {answer['error']}")
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _receive(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise PeerError(f"The PyTorch peers ended with code {self._process.returncode}.")
        return json.loads(line)
