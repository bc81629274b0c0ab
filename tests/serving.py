"""A server for the tests: a process with neither Keras nor kerasar, in which models take turns."""

import functools
import json
import subprocess
import sys
import tempfile

import numpy as np

from kerasar.testing import saved_model

#: For each line, a folder and requests to it: a line of answers, each with outputs or an error.
_SERVER = """
import importlib.util, json, os, sys
answered = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
spec = importlib.util.spec_from_file_location("saved_model", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["saved_model"] = module
spec.loader.exec_module(module)
for line in sys.stdin:
    path, allow_xla, requests = json.loads(line)
    answers = []
    with module.ServedModel(path, allow_xla=allow_xla) as served:
        for signature, inputs in requests:
            try:
                found = served.run(signature, **inputs)
                answers.append({name: value.tolist() for name, value in found.items()})
            except (RuntimeError, ValueError) as error:
                answers.append(str(error))
    assert not {"tensorflow", "keras", "kerasar"} & set(sys.modules)
    print(json.dumps(answers), file=answered, flush=True)
"""


def serve(path, requests, allow_xla=False):
    """Answers to requests (signature, inputs): outputs, or an error message."""
    requests = [
        (name, {key: np.asarray(value).tolist() for key, value in inputs.items()})
        for name, inputs in requests
    ]
    server, log = _start()
    try:
        print(json.dumps([str(path), allow_xla, requests]), file=server.stdin, flush=True)
        answers = server.stdout.readline()
    except BrokenPipeError:
        answers = ""
    if not answers:
        _start.cache_clear()
        server.wait()
        log.seek(0)
        raise AssertionError(f"the server ended:\n{log.read()}")
    return json.loads(answers)


@functools.cache
def _start():
    """The server, which ends with this process, and the file of what it writes besides."""
    log = tempfile.TemporaryFile("w+")
    command = [sys.executable, "-P", "-c", _SERVER, saved_model.__file__]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True), log
