"""Trains without XLA, where a test is about something else."""

import contextlib

import pytest

from kerasar.training import DensityModel


@contextlib.contextmanager
def without_xla():
    """Training steps run uncompiled: compiling takes longer than tests of other things do."""
    compile_as_usual = DensityModel.compile

    def compile_without_xla(model, *arguments, **options):
        compile_as_usual(model, *arguments, **{"jit_compile": False, **options})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DensityModel, "compile", compile_without_xla)
        yield
