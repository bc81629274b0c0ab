"""Workers on several machines, each a process with the same program, that train one model."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from kerasar.arguments import checks_arguments

#: How long workers wait for each other.
WAIT_MINUTES = 5.0
#: Seconds from one look at the other workers to the next, and for one of them.
_INTERVAL, _PATIENCE = 0.2, 1.0


@checks_arguments
def worker_strategy(
    workers: Sequence[str] | None = None,
    index: int | None = None,
    *,
    wait_minutes: float | None = None,
) -> tf.distribute.Strategy:
    """The strategy for a model that several workers train: build and compile it in its `scope()`.

    Call it before anything else of TensorFlow runs. `fit` then takes the same data in each worker,
    gives each its share of each batch, and ends with the same weights in all of them. The first
    worker is the chief: `Checkpoints` of the others write nothing, and read what it has written, so
    that the folder must be one that all of them see.

    Args:
        workers: the addresses of all workers, "host:port", in the same order everywhere; None if
            the environment variable `TF_CONFIG` says it, as cluster managers set it.
        index: int. Which of them this process is, from 0.
        wait_minutes: float. How long to wait for the others; 5 by default.

    Raises:
        ValueError: if the addresses or the index are not such.
        TimeoutError: if one does not come; the message has its address.
    """
    if workers is None:
        workers, index = _from_environment()
    elif index is None:
        raise ValueError("index must say which of the workers this process is, from 0.")
    addresses = [_checked(address) for address in workers]
    if not 0 <= index < len(addresses):
        raise ValueError(
            f"index must be from 0 to {len(addresses) - 1}, for {len(addresses)} workers, but got "
            f"{index}."
        )
    if len(set(addresses)) != len(addresses):
        raise ValueError(f"Each worker needs an address of its own, but got {list(workers)}.")
    _meet(addresses, index, WAIT_MINUTES if wait_minutes is None else wait_minutes)
    cluster = {"worker": [f"{host}:{port}" for host, port in addresses]}
    task = {"type": "worker", "index": index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy: Any) -> bool:
    """Whether this process is the one that writes files."""
    resolver = getattr(strategy, "cluster_resolver", None)
    return resolver is None or not resolver.task_id


@contextlib.contextmanager
def lost_workers(strategy: Any) -> Iterator[None]:
    """Turns what TensorFlow raises when another worker is gone into a ConnectionError."""
    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
    try:
        yield
    except lost as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"Another worker of this training is gone ({reason}). Start all workers again; with "
            "Checkpoints they go on from the last one."
        ) from error


def _from_environment() -> tuple[Sequence[str], int]:
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise ValueError(
            "workers must name the addresses of all workers, for the environment variable "
            'TF_CONFIG is not set. Pass workers=["host:port", …] and index=….'
        )
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        first = len(cluster.get("chief", []))
        workers = [*cluster.get("chief", []), *cluster.get("worker", [])]
        index = int(task["index"]) + (first if task["type"] == "worker" else 0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            'The environment variable TF_CONFIG must be JSON as {"cluster": {"worker": '
            '["host:port", …]}, "task": {"type": "worker", "index": 0}}, but it is '
            f"{text[:200]!r}."
        ) from error
    return workers, index


def _checked(address: str) -> tuple[str, int]:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise ValueError(f"A worker's address must be host:port, but got {address!r}.")
    return host, int(port)


def _meet(addresses: Sequence[tuple[str, int]], index: int, wait_minutes: float) -> None:
    """Waits until all workers can be reached.

    Each listens at its own address until it has found all others, and TensorFlow does from then on.
    """
    host, port = addresses[index]
    end = time.monotonic() + 60 * wait_minutes
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind(("", port))
        except OSError as error:
            raise ValueError(
                f"Worker {index} must listen at port {port} of {host}, but that is in use "
                f"({error.strerror}). Choose another port, or end what listens there."
            ) from error
        own.listen(len(addresses))
        missing = [address for i, address in enumerate(addresses) if i != index]
        while missing := [address for address in missing if not _is_there(address)]:
            if time.monotonic() > end:
                names = ", ".join(f"{host}:{port}" for host, port in missing)
                raise TimeoutError(
                    f"Worker {index} waited {wait_minutes:g} minutes for {names}, and could not "
                    "reach it. Start the same command there, with its own index, and look whether "
                    "a firewall is between them."
                )
            time.sleep(_INTERVAL)


def _is_there(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=_PATIENCE):
            return True
    except OSError:
        return False
