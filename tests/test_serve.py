"""`kerasar serve`: KServe's server around an export answers right, refuses by name, and goes on."""

import asyncio
import importlib.util
import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from networks import LEVELS
from test_cli_runs import kerasar
from test_streams import data_of, model_of, open_text

from kerasar.cli.server.body_limit import BodyLimit
from kerasar.cli.server.export_folder import ExportFolder
from kerasar.cli.server.guide import serving_guide

needs_kserve = pytest.mark.skipif(
    importlib.util.find_spec("kserve") is None, reason="pip install 'kerasar[serve]'"
)
OPTIONS = dict(seed=7, temperature=1.0, top_k=0, top_p=1.0)
SIZES = dict(num_samples=2, length=5)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`kerasar serve` in a process of its own, and a client of it."""

    def __init__(self, folder, *options):
        self.port = free_port()
        command = ["serve", str(folder), "--name", "text", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kerasar", *command], stderr=subprocess.PIPE, text=True
        )
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        for _ in range(1200):
            assert self.process.poll() is None, "".join(self.log)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("it does not listen")

    def ask(self, path, body=None, **headers):
        """Status and answer of a request; a body that is no text is made JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}/{path}"
        try:
            request = urllib.request.Request(url, body, headers)
            with urllib.request.urlopen(request, timeout=60) as found:
                content = found.read()
                return found.status, json.loads(content) if content[:1] in b"{[" else content
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def predict(self, body, **headers):
        return self.ask("v1/models/text:predict", body, **headers)

    def infer(self, signature, inputs):
        kinds = {"f": "FP32", "i": "INT32", "b": "BOOL"}
        body = {"parameters": {"signature_name": signature}, "inputs": []}
        for name, value in inputs.items():
            array = np.asarray(value)
            entry = dict(name=name, shape=array.shape, data=array.ravel().tolist())
            body["inputs"].append(entry | {"datatype": kinds[array.dtype.kind]})
        status, found = self.ask("v2/models/text/infer", body, content_type="application/json")
        assert status == 200, found
        return {o["name"]: np.reshape(o["data"], o["shape"]) for o in found["outputs"]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "text"
    model_of(open_text).export(folder / "1", streaming=True, max_samples=9)
    return folder


@pytest.fixture(scope="module")
def server(exported):
    server = Server(exported, "--warm-up", "--max-megabytes", "0.1")
    yield server
    server.process.kill()
    server.process.wait()


@needs_kserve
def test_both_formats_of_rest_are_pythons_answers(server):
    model = model_of(open_text)
    x = data_of(model, 2).tolist()
    expected = model.log_prob(x), model.log_prob_map(x)
    _, columns = server.predict({"inputs": {"x": x}})
    _, rows = server.predict({"instances": [{"x": row} for row in x]})
    found = columns["outputs"]
    np.testing.assert_allclose(found["log_prob"], expected[0], atol=1e-4)
    np.testing.assert_allclose(found["log_prob_map"], expected[1], atol=1e-4)
    assert [row["log_prob_map"] for row in rows["predictions"]] == found["log_prob_map"]
    assert server.predict({"instances": x})[1] == rows
    sample = {"signature_name": "sample", "inputs": {**SIZES, **OPTIONS}}
    status, found = server.predict(sample, content_type="application/json")
    assert status == 200
    np.testing.assert_array_equal(found["outputs"], model.sample(2, 7, length=5))


@needs_kserve
def test_the_open_inference_protocol_streams(server):
    model = model_of(open_text)
    x = data_of(model, 2)
    state = server.infer("begin", dict(num_samples=2))
    terms = []
    for t in range(3):
        state = server.infer("score_step", dict(x_t=x[:, t], **state))
        terms.append(state.pop("log_prob"))
    np.testing.assert_allclose(np.stack(terms, 1), model.log_prob_map(x[:, :3]), atol=1e-4)
    np.testing.assert_allclose(
        server.infer("log_prob", dict(x=x))["log_prob"], model.log_prob(x), atol=1e-4
    )


@needs_kserve
def test_health_and_what_the_model_takes(server):
    assert server.ask("v2/health/ready") == (200, {"ready": True})
    assert server.ask("v1/models/text")[0] == 200
    _, about = server.ask("v2/models/text")
    assert about["inputs"] == [{"name": "x", "datatype": "INT32", "shape": [-1, -1]}]
    assert b"request_predict_seconds" in server.ask("metrics")[1]


def sample(**changed):
    return {"signature_name": "sample", "inputs": {**SIZES, **OPTIONS, **changed}}


REFUSED = {
    "no JSON": (b'{"inputs":', 400, "not JSON"),
    "no text": (b"\xff\xfe", 400, "not JSON"),
    "nothing": (b"", 400, "not JSON"),
    "a list": ([1], 400, "must be a JSON object"),
    "no inputs": ({}, 400, "instances"),
    "both formats": ({"inputs": [[1]], "instances": [[1]]}, 400, "instances"),
    "deep": (b'{"inputs":' + b"[" * 9999 + b"]" * 9999 + b"}", 400, "depth"),
    "words": ({"inputs": {"x": [["a"]]}}, 400, "x must hold numbers"),
    "ragged": ({"instances": [[1, 2], [1]]}, 400, "x must be nested lists"),
    "an object": ({"inputs": {"x": {"b64": "aa"}}}, 400, "x must hold numbers"),
    "a fraction": ({"inputs": {"x": [[0.5]]}}, 400, "'x'"),
    "null": ({"inputs": {"x": [[None]]}}, 400, "'x'"),
    "too large": ({"inputs": {"x": [[2**40]]}}, 400, "'x'"),
    "rank": ({"inputs": {"x": [1, 2]}}, 400, "x must have shape (any, any)"),
    "no rows": ({"inputs": {"x": np.zeros((0, 3)).tolist()}}, 400, "x must have shape"),
    "no instances": ({"instances": []}, 400, "instances"),
    "out of range": ({"inputs": {"x": [[LEVELS]]}}, 400, "x must lie in [0, 4)"),
    "many rows": ({"inputs": [[0]] * 10}, 400, "x may hold 9 examples at most"),
    "unknown input": ({"inputs": {"y": [[1]]}}, 400, "takes x (int32)"),
    "unknown signature": ({"signature_name": "a", "inputs": [[1]]}, 400, "no signature 'a'"),
    "odd signature": ({"signature_name": [1], "inputs": [[1]]}, 400, "no signature [1]"),
    "scalars in rows": ({"signature_name": "sample", "instances": [{}]}, 400, "columnar"),
    "length": (sample(length=10**9), 400, "a request may ask for 4194304 values"),
    "negative length": (sample(length=-1), 400, "length must be at least 1"),
    "count": (sample(num_samples=10), 400, "num_samples must lie in [1, 9]"),
    "none": (sample(num_samples=0), 400, "num_samples must lie in [1, 9]"),
    "temperature": (sample(temperature=0), 400, "temperature must be above 0"),
    "huge temperature": (sample(temperature=1e39), 400, "temperature"),
    "seed": (sample(seed=-1), 400, "seed must not be negative"),
    "top_k": (sample(top_k=99), 400, "top_k must lie in [0, 4]"),
    "too much": (b" " * 20_000_000, 413, "larger than 100000 bytes"),
}


@needs_kserve
@pytest.mark.parametrize("body, status, words", REFUSED.values(), ids=REFUSED)
def test_bad_requests_are_refused_by_name(server, body, status, words):
    found, message = server.predict(body)
    assert (found, words in message.replace('\\"', '"')) == (status, True), message


@needs_kserve
def test_what_is_no_request_to_predict_is_refused(server):
    assert server.ask("v1/models/other:predict", {})[0] == 404
    assert server.ask("v2/models/other/infer", {"inputs": []})[0] in (404, 422)
    assert server.ask("v1/models/text:explain", {})[0] == 400
    for path in ("load", "unload"):
        assert server.ask(f"v2/repository/models/text/{path}", {})[0] == 400
    typed = dict(content_type="application/json")
    infer = "v2/models/text/infer"
    x = dict(name="x", shape=[1, 3], datatype="INT32", data=[1, 2])
    status, message = server.ask(infer, {"inputs": [x]}, **typed)
    assert status == 400 and "do not make the shape [1, 3]" in message
    for shape in ([2**32, 2**32], [-1, -2], [10**30]):
        assert server.ask(infer, {"inputs": [x | dict(shape=shape, data=[])]}, **typed)[0] == 400
    assert server.ask(infer, {"inputs": 3}, **typed)[0] == 422
    for length in ("x", "-1", "99"):
        binary = dict(content_type="application/octet-stream")
        binary["inference_header_content_length"] = length
        assert server.ask(infer, b"abc", **binary)[0] == 400
    state = server.infer("begin", dict(num_samples=2))
    for name, value in [("state_model", [1, 1]), ("state_step", [-1, 0]), ("state_example", [0])]:
        bad = {key: np.asarray(part).tolist() for key, part in state.items()} | {name: value}
        status, message = server.predict(
            {"signature_name": "score_step", "inputs": {"x_t": [0, 1], **bad}}
        )
        assert status == 400 and name in message


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "in chunks"])
def test_a_body_that_is_too_large_is_read_to_its_end_and_then_refused(stated):
    """Else a client that still sends finds its connection reset, and no answer."""
    left, sent = [b"x" * 50] * 5, []

    async def receive():
        return {"body": left.pop(), "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    async def reads_all(scope, receive, send):
        while (await receive())["more_body"]:
            pass

    headers = [(b"content-length", b"250")] if stated else []
    scope = {"type": "http", "headers": headers}
    asyncio.run(BodyLimit(reads_all, max_bytes=120)(scope, receive, send))
    assert not left and sent[0]["status"] == 413 and b"larger than 120 bytes" in sent[1]["body"]


@needs_kserve
def test_it_goes_on_when_clients_go_away(server):
    body = json.dumps(sample())
    head = f"POST /v1/models/text:predict HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}"
    request = f"{head}\r\n\r\n{body}".encode()
    for size in range(0, len(request) + 1, 8):
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(request[:size])
    assert server.predict({"inputs": [[1]]})[0] == 200


@needs_kserve
def test_each_line_of_the_guide_is_answered(server, exported):
    guide = serving_guide(exported / "1")
    assert "ask for 9 examples and 4,194,304 values" in guide
    lines = [line for line in guide.splitlines() if "curl" in line]
    requests = ExportFolder(exported).config["signatures"]
    assert len(lines) == len(requests) and "docker run" in guide
    for line in lines:
        _, _, file, url = shlex.split(line)
        assert url.endswith("/v1/models/text:predict")
        status, found = server.predict(open(file.removeprefix("@"), "rb").read())
        assert status == 200 and "outputs" in found


@needs_kserve
def test_xla_is_on_for_a_compiled_export(tmp_path):
    model = model_of(open_text)
    model.export(tmp_path / "1", jit_compile=True)
    server = Server(tmp_path / "1", "--timeout", "300")
    status, found = server.predict(sample())
    assert status == 200, found
    np.testing.assert_array_equal(found["outputs"], model.sample(2, 7, length=5))
    server.process.kill()
    server.process.wait()


@needs_kserve
def test_a_request_has_a_time_limit_and_sigterm_ends_it(exported):
    server = Server(exported / "1", "--timeout", "0.001")
    status, message = server.predict(sample(num_samples=9, length=9000))
    assert status == 400 and "took longer than 0.001 s" in message
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0


def test_what_cannot_be_served_is_refused(exported, tmp_path, monkeypatch):
    def refusal(*arguments):
        done = kerasar("serve", *arguments)
        assert done.exit_code == 2, done.output
        return done.stderr

    assert "holds no export" in refusal(tmp_path)
    assert "--port" in refusal(exported, "--port", 0)
    monkeypatch.setitem(sys.modules, "kserve", None)
    monkeypatch.setitem(sys.modules, "kserve.model_server", None)
    assert "pip install 'kerasar[serve]'" in refusal(exported)


@needs_kserve
def test_a_port_in_use_is_refused(exported):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = kerasar("serve", exported, "--port", taken.getsockname()[1])
    assert done.exit_code == 2 and "cannot be used" in done.stderr
