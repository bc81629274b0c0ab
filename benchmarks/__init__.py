"""Benchmarks, run as modules: `python -m benchmarks.speed.sampling --tiny`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
