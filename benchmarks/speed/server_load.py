"""32 clients at once against `kerasar serve`, all signatures, a tenth of their requests bad.

Each answer is compared with Python's. The memory of the server is read after a third of the time
and at the end.

    python -m benchmarks.speed.server_load  # needs pip install 'kerasar[serve]'
    python -m benchmarks.speed.server_load --tiny  # seconds, to see that it runs
"""

import http.client
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.report import write_report

_LEVELS, _LENGTH = 16, 32
_BAD: list[tuple[str, dict[str, Any]]] = [
    ("log_prob", {"x": [[99]]}),
    ("log_prob", {"x": [1, 2]}),
    ("log_prob", {"x": [["a"]]}),
    ("log_prob", {"y": [[1]]}),
    ("sample", {"length": 10**9}),
    ("sample", {"num_samples": 0}),
    ("sample", {"temperature": 0}),
    ("nothing", {}),
]


class Load:
    """Clients of one server, and what became of their requests.

    Args:
        port: of the server.
        good: pairs of a request and the right answer.
        defaults: the inputs of a good request of each signature, which a bad one changes.
    """

    def __init__(self, port: int, good: list[tuple[Any, Any]], defaults: dict[str, Any]) -> None:
        self.port, self.good, self.defaults = port, good, defaults
        self.counts: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def run(self, clients: int, seconds: float) -> None:
        """Sends requests from so many clients for so long."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, args=(i, end)) for i in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, number: int, end: float) -> None:
        rng = random.Random(number)  # noqa: S311
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while time.monotonic() < end:
            is_bad = rng.random() < 0.1
            if is_bad:
                signature, changed = rng.choice(_BAD)
                inputs = {**self.defaults.get(signature, {}), **changed}
                request, expected = {"signature_name": signature, "inputs": inputs}, None
            else:
                request, expected = rng.choice(self.good)
            begin = time.perf_counter()
            connection.request("POST", "/v1/models/load:predict", json.dumps(request))
            response = connection.getresponse()
            answer = json.loads(response.read())
            taken = time.perf_counter() - begin
            if is_bad:
                kind = "bad, refused" if 400 <= response.status < 500 else "bad, not refused"
            elif response.status != 200:
                kind = "failed"
            else:
                kind = "right" if _is_equal(answer["outputs"], expected) else "wrong"
            with self._lock:
                self.counts[kind] += 1
                self.seconds.append(taken)


def _is_equal(found: Any, expected: np.ndarray) -> bool:
    values = found.get("log_prob", found.get("samples")) if isinstance(found, dict) else found
    tolerance = 1e-4 if expected.dtype.kind == "f" else 0
    return bool(np.allclose(values, expected, rtol=0, atol=tolerance))


def _requests(model: Any) -> tuple[list[tuple[Any, Any]], dict[str, Any]]:
    """Requests of all signatures with Python's answers, and inputs that bad ones change."""
    rng = np.random.default_rng(0)
    options = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    made: list[tuple[str, dict[str, Any], np.ndarray]] = []
    for seed in range(8):
        x = rng.integers(_LEVELS, size=(int(rng.integers(1, 9)), _LENGTH))
        known = rng.random(x.shape) < 0.5
        own = {**options, "seed": seed}
        made.append(("log_prob", {"x": x}, model.log_prob(x)))
        drawn = model.sample(len(x), seed, length=_LENGTH)
        made.append(("sample", {"num_samples": len(x), "length": _LENGTH, **own}, drawn))
        made.append(("inpaint", {"x": x, "known": known, **own}, model.inpaint(x, known, seed)))
        more = model.sample(len(x), seed, prompt=x[:, :9], length=_LENGTH)
        made.append(("continuation", {"prompt": x[:, :9], "length": _LENGTH, **own}, more))
    good, defaults = [], {}
    for signature, inputs, answer in made:
        listed = {name: np.asarray(value).tolist() for name, value in inputs.items()}
        defaults[signature] = listed
        good.append(({"signature_name": signature, "inputs": listed}, answer))
    # What `begin` gives goes into a step, whose log-probability is that of a first symbol.
    return good, defaults


def _step_requests(port: int, model: Any) -> list[tuple[Any, Any]]:
    """Requests of the signatures of streams, with Python's answers."""
    found = []
    for seed in range(4):
        x = np.random.default_rng(seed).integers(_LEVELS, size=(3, 1))
        state = _ask(port, "begin", {"num_samples": 3})
        terms = model.log_prob_map(x)[:, 0]
        found.append(
            ({"signature_name": "score_step", "inputs": {"x_t": x[:, 0].tolist(), **state}}, terms)
        )
        options = {"seed": seed, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
        drawn = model.sample(3, seed, length=1)[:, 0]
        found.append(({"signature_name": "draw_step", "inputs": {**options, **state}}, drawn))
    return found


def _ask(port: int, signature: str, inputs: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    request = json.dumps({"signature_name": signature, "inputs": inputs})
    connection.request("POST", "/v1/models/load:predict", request)
    return json.loads(connection.getresponse().read())["outputs"]


def _memory(process: subprocess.Popen[bytes]) -> float:
    """What a process holds, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__, "docs/benchmarks")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parse(parser, arguments, clients=4, seconds=3.0)
    from benchmarks.speed.streams import convolutional
    from kerasar.testing import randomize

    model = convolutional()
    randomize(model.network)
    with tempfile.TemporaryDirectory() as folder:
        model.export(f"{folder}/1", streaming=True)
        good, defaults = _requests(model)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = ["serve", f"{folder}/1", "--name", "load", "--port", str(port), "--warm-up"]
        process = subprocess.Popen(
            [sys.executable, "-m", "kerasar", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                if process.poll() is not None:
                    raise RuntimeError("kerasar serve has ended; run it by hand to see why")
                time.sleep(0.2)
            load = Load(port, good + _step_requests(port, model), defaults)
            load.run(options.clients, options.seconds / 3)
            begun = _memory(process)
            load.run(options.clients, 2 * options.seconds / 3)
            ended = _memory(process)
        finally:
            process.terminate()
            process.wait()
    kinds = ("right", "wrong", "failed", "bad, refused", "bad, not refused")
    times = 1e3 * np.array(load.seconds)
    header = [
        "clients", "s", *kinds, "median ms", "99 of 100 ms", "MB after a third", "MB at the end",
    ]  # fmt: skip
    row = [
        str(options.clients), f"{options.seconds:g}", *(f"{load.counts[kind]:,}" for kind in kinds),
        f"{np.median(times):.0f}", f"{np.quantile(times, 0.99):.0f}", f"{begun:.0f}",
        f"{ended:.0f} (+{ended / begun - 1:.1%})",
    ]  # fmt: skip
    write_report("server_load", header, [row], options.out)


if __name__ == "__main__":
    main()
