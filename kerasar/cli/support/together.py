"""Several workers that carry out one `kerasar train`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasar.cli.support.heartbeat import heartbeat
from kerasar.cli.support.tensorflow_startup import start_tensorflow


@dataclass
class Together:
    """The workers, and which of them this process is.

    Attributes:
        workers: their addresses; None if `TF_CONFIG` has them.
        index: which of them this one is; the first is the chief.
        strategy: of all of them, once they have met.
    """

    workers: list[str] | None
    index: int
    strategy: Any = field(default=None)

    @classmethod
    def of(cls, workers: str | None, index: int | None) -> Together | None:
        """What the options say, or else `TF_CONFIG`; None for a process of its own.

        Raises:
            ValueError: if one option is given without the other.
        """
        if (workers is None) != (index is None):
            raise ValueError("--workers and --index go together: all addresses, and which is own.")
        if workers is not None and index is not None:
            return cls([part.strip() for part in workers.split(",") if part.strip()], index)
        if not os.environ.get("TF_CONFIG"):
            return None
        with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
            cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
            if sum(map(len, cluster.values())) < 2:
                return None  # as cluster managers set it for a single process
        return cls(None, 0)

    @property
    def is_chief(self) -> bool:
        """Whether this one writes the run."""
        return self.index == 0

    @staticmethod
    def refuse_options(run: Path | None, minutes: float | None, restart: bool) -> None:
        """Raises a ValueError for what several workers cannot do alike."""
        wrong = {
            "--minutes, whose end each would see at another step": minutes is not None,
            "--restart, which would remove what others read": restart,
            "a run folder that is named by itself; give --out": run is None,
        }
        for what, is_given in wrong.items():
            if is_given:
                raise ValueError(f"Several workers cannot train with {what}.")

    def meet(self) -> None:
        """Waits for the others.

        Raises:
            TimeoutError: if one does not come.
        """
        start_tensorflow(look=False)
        from kerasar.training import worker_strategy

        own = None if self.workers is None else self.index
        with heartbeat("waiting for the other workers"):
            self.strategy = worker_strategy(self.workers, own)
        self.index = int(self.strategy.cluster_resolver.task_id or 0)


def scope_of(together: Together | None) -> Callable[[], Any]:
    """What makes the context in which a model is built."""
    return contextlib.nullcontext if together is None else together.strategy.scope
