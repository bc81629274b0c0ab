"""From a model to a stream of it, or to the reason why there is none."""

from typing import Any

from kerasar.checks import check_count, check_memory
from kerasar.function_cache import check_eager
from kerasar.sampling.cached import CachedSampler
from kerasar.sampling.models import SampledAutoregressive
from kerasar.sampling.stream import Stream
from kerasar.sampling.stream_steps import StreamSteps
from kerasar.stepwise import NotSteppable
from kerasar.stepwise.sequence_steps import SequenceProgram

#: The steps of a stream that has no end: as many as int32 counts, with room to spare.
ENDLESS = 2**30


def begin_stream(
    model: SampledAutoregressive, batch_size: int, condition: Any, length: int | None
) -> Stream:
    """A stream of a model; the arguments are those of `AutoregressiveModel.stream`."""
    check_eager("stream()")
    check_count(batch_size, "batch_size")
    steps = find_stream_steps(model, length)
    check_memory("batch_size", batch_size, (batch_size, steps.size))
    sizes = (steps.length, *model.data_shape[1:])
    return Stream(model, steps, model.conditions.check(condition, batch_size, sizes), batch_size)


def find_stream_steps(model: SampledAutoregressive, length: int | None = None) -> StreamSteps:
    """The steps of a model's streams, made when they are first asked for.

    Raises:
        ValueError: if the model has no streams, or needs another length.
    """
    if len(model.data_shape) == 3 or model.analysis.graph.raster:
        raise ValueError(
            f"Model '{model.name}' draws images, which do not come step by step: stream() is for "
            "sequences. Use sample(), or inpaint() where a part of an image is known."
        )
    try:
        # The checked steps of the cached sampler, which is made when it is first asked for.
        sampler = model.function_cache.get(CachedSampler, lambda: CachedSampler(model))
        steps = _stream_length(model, sampler, length)
        program = sampler.program_for((steps, *model.data_shape[1:]))
    except NotSteppable as reason:
        raise ValueError(
            f"Model '{model.name}' cannot be run step by step: {reason}. sample() and "
            "log_prob_map() take any causal network."
        ) from None
    if not isinstance(program, SequenceProgram):
        raise TypeError("sequences have other steps than images")
    return model.function_cache.get(
        (StreamSteps, steps), lambda: StreamSteps(model, program, steps), is_fresh=True
    )


def _stream_length(model: SampledAutoregressive, sampler: CachedSampler, length: int | None) -> int:
    """For how many steps a stream has room."""
    own = model.data_shape[0]
    if length is not None:
        check_count(length, "length", most=ENDLESS)
    if own is not None:
        if length not in (None, own):
            raise ValueError(
                f"Model '{model.name}' is built for sequences of {own} steps, but got "
                f"length={length}. Leave length out."
            )
        return own
    if length is not None:
        return length
    why = _why_length_matters(model, sampler)
    if why is not None:
        raise ValueError(
            f"Model '{model.name}' leaves its length open, and {why}: pass length=…, for how many "
            "steps the stream is to have room."
        )
    return ENDLESS


def _why_length_matters(model: SampledAutoregressive, sampler: CachedSampler) -> str | None:
    """Why the steps of a model of open length need to know it; None if they do not."""
    program = sampler.program
    if not sampler.is_for_any_length:
        return "its layers make masks of one length"
    if isinstance(program, SequenceProgram) and program.has_caches:
        return "its attention keeps all steps"
    if isinstance(program, SequenceProgram) and program.depends_on_length:
        return "its layers look ahead, up to the end of the data"
    limits = model.conditions.limits.values()
    if any(limit.hop or limit.beside for limit in limits) or any(
        None in shape for shape in model.conditions.shapes.values()
    ):
        return "it has a condition with that many steps"
    return None
