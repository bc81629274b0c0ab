"""A coder without Keras: compresses sequences of integers by a model on a server.

    kerasar serve exported/1 --name text --port 8501        # exported with streaming=True
    python examples/compression_client.py http://localhost:8501/v1/models/text 3,1,4,1,5

It asks for the table of the next step, writes or reads one value, and hands the state on. Writer
and reader must send batches of one size to the same server, so that tables agree bit by bit.
"""

import json
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import constriction
import numpy as np

#: From the name of a signature and its inputs to its outputs.
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
QUEUE = constriction.stream.queue
FAMILY = constriction.stream.model.Categorical(perfect=False)


def server(url: str) -> Ask:
    """Asks a server by TensorFlow Serving's REST protocol."""

    def ask(signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
        with urllib.request.urlopen(f"{url}:predict", body) as answer:
            return dict(json.load(answer)["outputs"])

    return ask


def shares(ask: Ask, state: dict[str, Any]) -> np.ndarray:
    """The probability of each value of the next step, `(batch, levels)`."""
    zeros = [0] * len(state["state_step"])
    return np.asarray(ask("tables", {"x_t": zeros, **state})["tables"], float) / 2**24


def after(ask: Ask, state: dict[str, Any], values: np.ndarray) -> dict[str, Any]:
    """The state behind a step."""
    found = ask("score_step", {"x_t": values.tolist(), **state})
    return {name: part for name, part in found.items() if name.startswith("state_")}


def compress(ask: Ask, x: np.ndarray) -> bytes:
    """Sequences, `(batch, steps)`, as bytes."""
    state, coder = ask("begin", {"num_samples": len(x)}), QUEUE.RangeEncoder()
    for values in x.T.astype(np.int32):
        coder.encode(np.ascontiguousarray(values), FAMILY, shares(ask, state))
        state = after(ask, state, values)
    return np.asarray(coder.get_compressed(), "<u4").tobytes()


def decompress(ask: Ask, data: bytes, batch: int, steps: int) -> np.ndarray:
    """The sequences in what `compress` made."""
    state = ask("begin", {"num_samples": batch})
    coder = QUEUE.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
    found = []
    for _ in range(steps):
        found.append(coder.decode(FAMILY, shares(ask, state)))
        state = after(ask, state, found[-1])
    return np.stack(found, axis=1)


if __name__ == "__main__":
    x = np.array([[int(value) for value in sys.argv[2].split(",")]])
    data = compress(server(sys.argv[1]), x)
    print(f"{x.size} values in {len(data)} bytes: {data.hex()}")
    print("back:", decompress(server(sys.argv[1]), data, *x.shape)[0].tolist())
