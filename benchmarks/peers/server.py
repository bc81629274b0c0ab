"""Times the PyTorch peers for a benchmark that runs in another environment.

Reads one request per line from stdin, writes one answer per line to stdout, both JSON:

    {"case": "pixelcnn/sample_lecture", "args": {"steps": 20}, "repeat": 3, "compiled": false}
    {"seconds": [1.83, 1.81, 1.82], "units": 20, "of": 784, "unit": "position of 48 images", ...}

so that TensorFlow and PyTorch take turns on one machine without meeting in one process. What goes
wrong is answered as {"error": "..."}, and the server lives on. README.md lists the cases.
"""

import functools
import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import flows
import lecture
import numpy
import torch
import transformer


class Work(NamedTuple):
    """A case made ready: `run(units)` does that many of the `of` units that make up the whole."""

    run: Callable[[int], object]
    unit: str
    of: int | None


# ------------------------------------------------------------------ the cases


def toy_sample_lecture(compiled, n=48, length=128, levels=32, dilations=(2, 4, 8, 16)):
    model = forward(lecture.ToyNet(levels, dilations), compiled)
    run = functools.partial(lecture.sample_lecture, model, n, length)
    return Work(run, f"position of {n} sequences", length)


def toy_sample_cached(compiled, n=48, length=128, levels=32, dilations=(2, 4, 8, 16)):
    step = lecture.ToyStep(lecture.ToyNet(levels, dilations))
    draw = lecture.make_draw(step, compiled)
    run = functools.partial(lecture.sample_cached, step, n, draw=draw)
    return Work(run, f"position of {n} sequences", length)


def toy_train(compiled, n=100, length=128, levels=32, dilations=(2, 4, 8, 16)):
    model = lecture.ToyNet(levels, dilations)
    return training(model, compiled, torch.randint(levels, (n, length)))


def pixelcnn_sample_lecture(
    compiled, n=48, image_shape=(28, 28), levels=256, positional_encoding=True
):
    model = forward(lecture.PixelCNN(image_shape, levels, positional_encoding), compiled)
    run = functools.partial(lecture.sample_images_lecture, model, n, image_shape)
    return Work(run, f"position of {n} images", image_shape[0] * image_shape[1])


def pixelcnn_train(compiled, n=32, image_shape=(28, 28), levels=256, positional_encoding=True):
    model = lecture.PixelCNN(image_shape, levels, positional_encoding)
    return training(model, compiled, torch.randint(levels, (n, *image_shape)))


def wavenet_sample_cached(compiled, n=1, length=16000, levels=256, residual=32, skip=128):
    step = lecture.WaveNetStep(lecture.WaveNet(levels, residual, skip))
    draw = lecture.make_draw(step, compiled)
    run = functools.partial(lecture.sample_cached, step, n, draw=draw)
    return Work(run, f"position of {n} sequences", length)


def wavenet_train(compiled, n=4, length=2048, levels=256, residual=32, skip=128):
    model = lecture.WaveNet(levels, residual, skip)
    return training(model, compiled, torch.randint(levels, (n, length)))


def transformer_sample_cached(compiled, n=1, length=256, levels=65, layers=4, width=128, heads=4):
    model = transformer.Transformer(length, levels, layers, width, heads).eval()
    draw = transformer.make_draw(model, compiled)
    run = functools.partial(transformer.sample, model, n, draw=draw)
    return Work(run, f"position of {n} sequences", length)


def flow_train(compiled, library="zuko", kind="real_nvp", couplings=8, hidden=64, n=256):
    step, _ = flows.make_train_step(flows.build(library, kind, couplings, hidden), 1e-3)
    step = forward(step, compiled)
    batch = torch.randn(n, 2)

    def run(steps):
        for _ in range(steps):
            step(batch)

    return Work(run, f"training step on {n} points", None)


def flow_sample(compiled, library="zuko", kind="real_nvp", couplings=8, hidden=64, n=10_000):
    model = flows.build(library, kind, couplings, hidden)
    sample = forward(model.sample, compiled)

    @torch.no_grad()
    def run(times):
        for _ in range(times):
            sample(n)

    return Work(run, f"draw of {n} points", None)


def flow_fit(compiled, train, test, **settings):
    points = [torch.from_numpy(numpy.load(path)) for path in (train, test)]

    def run(steps):
        return flows.held_out_nats(flows.train(points[0], steps, **settings), points[1])

    return Work(run, "training step", None)


CASES = {
    "flow/train": flow_train,
    "flow/sample": flow_sample,
    "flow/fit": flow_fit,
    "toy/sample_lecture": toy_sample_lecture,
    "toy/sample_cached": toy_sample_cached,
    "toy/train": toy_train,
    "pixelcnn/sample_lecture": pixelcnn_sample_lecture,
    "pixelcnn/train": pixelcnn_train,
    "transformer/sample_cached": transformer_sample_cached,
    "wavenet/sample_cached": wavenet_sample_cached,
    "wavenet/train": wavenet_train,
}


def forward(model, compiled):
    return torch.compile(model, **lecture.COMPILE) if compiled else model


def training(model, compiled, batch):
    train_step = lecture.make_train_step(model, compiled=compiled)

    def run(steps):
        for _ in range(steps):
            train_step(batch)

    return Work(run, f"training step on {len(batch)} examples", None)


# ------------------------------------------------------------------ the server


class Server:
    """Keeps every case it has made ready, so that only the first request for one waits."""

    def __init__(self):
        self.ready = {}

    def answer(self, case, args=None, repeat=1, compiled=False):
        args = {"threads": 2, "steps": None, **(args or {})}
        threads, steps = args.pop("threads"), args.pop("steps")
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

        # Compiled code has the number of threads written into it.
        key = json.dumps([case, args, compiled, threads], sort_keys=True)
        start = time.perf_counter()
        if key not in self.ready:
            work = self.make_ready(case, args, compiled)
            work.run(min(2, work.of or 2))  # compiles, and wakes threads and caches
            self.ready[key] = work
        work = self.ready[key]
        preparation = time.perf_counter() - start

        units = steps if steps is not None else work.of or 10
        if not 1 <= units <= (work.of or units):
            most = f" and at most {work.of}" if work.of else ""
            raise ValueError(f"steps must be at least 1{most}, but is {steps}.")
        seconds, result = [], None
        for _ in range(repeat):
            start = time.perf_counter()
            result = work.run(units)
            seconds.append(time.perf_counter() - start)
        return {
            "seconds": seconds,
            "units": units,
            "of": work.of,
            "unit": work.unit,
            "preparation_seconds": preparation,
            "compiled": compiled,
            "threads": threads,
            "torch": torch.__version__,
            "result": result if isinstance(result, dict) else None,
        }

    def make_ready(self, case, args, compiled):
        if case not in CASES:
            raise ValueError(f"There is no case '{case}'. The cases are {', '.join(CASES)}.")
        known = [*list(inspect.signature(CASES[case]).parameters)[1:], "steps", "threads"]
        if "settings" in known:
            known += inspect.signature(flows.train).parameters
        if unknown := sorted(set(args) - set(known)):
            raise ValueError(f"'{case}' has no argument {unknown}. It has {', '.join(known)}.")
        torch.manual_seed(0)
        return CASES[case](compiled, **args)


def main():
    # The answers get a stream of their own: whatever a library or compiler prints goes to stderr.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    print(json.dumps({"ready": True, "torch": torch.__version__}), file=answers)
    server = Server()
    for line in sys.stdin:
        try:
            answer = server.answer(**json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
