"""Reads `config.json`: the one place that knows what may be in it."""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kerasar

_MOST_BYTES = 10_000_000


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9


def _is_range(value: Any) -> bool:
    """Two values, or two lists of them: the least and the greatest."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    low, high = (end if isinstance(end, list) else [end] for end in value)
    return len(low) == len(high) > 0 and all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end)
        for end in (*low, *high)
    )


def _or_null(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


#: What each setting that a command uses must be: a check, and words for the message.
_SETTINGS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "data": (_is_text, "a text"),
    "model": (_is_text, "a text"),
    "data_path": (_or_null(_is_text), "a text or null"),
    "data_dir": (_or_null(_is_text), "a text or null"),
    "levels": (_or_null(_is_count), "a count or null"),
    "length": (_is_count, "a count"),
    "sample_rate": (lambda value: _is_count(value) and value <= 10**6, "a rate in Hz"),
    "classes": (lambda value: value == [] or _is_texts(value), "a list of texts"),
    "column": (
        lambda value: _or_null(_is_text)(value) or _is_texts(value),
        "the name of a column, or a list of such",
    ),
    "covariates": (_or_null(_is_texts), "a list of names of columns"),
    "series": (_or_null(_is_text), "the name of a series"),
    "calendar": (lambda value: isinstance(value, bool), "true or false"),
    "statics": (_or_null(_is_texts), "a list of names of columns"),
    "wide": (lambda value: isinstance(value, bool), "true or false"),
    "names": (lambda value: value == [] or _is_texts(value), "a list of names of series"),
    "categories": (
        lambda value: isinstance(value, dict) and all(map(_is_texts, value.values())),
        "lists of texts by the names of columns",
    ),
    "range": (_is_range, "the least and the greatest value"),
    "conditional": (lambda value: isinstance(value, bool), "true or false"),
    "tokens": (lambda value: value in ("characters", "bytes"), '"characters" or "bytes"'),
    "vocabulary": (
        lambda value: value is None or (_is_text(value) and len(value) == len(set(value)) > 1),
        "different characters, or null",
    ),
    "options": (lambda value: isinstance(value, dict), "an object"),
    "training": (lambda value: isinstance(value, dict), "an object"),
}
#: The settings that a run of each kind of data needs.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "images": (),
    "sequences": ("length",),
    "audio": ("sample_rate", "length", "classes"),
    "text": ("length", "tokens", "vocabulary"),
    "series": ("length", "column", "data_path"),
    "panel": ("length", "column", "data_path"),
    "vectors": ("column",),
}


def read_config(file: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises:
        ValueError: if the file is damaged, edited wrongly, or of a later version; the message says
            which.
    """
    if (size := file.stat().st_size) > _MOST_BYTES:
        raise refusal(file, f"it has {size:,} bytes, more than any that it writes")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise refusal(file, "it is not text in UTF-8") from error
    except RecursionError as error:
        raise refusal(file, "its brackets are nested too deeply") from error
    except ValueError as error:
        raise refusal(file, f"it is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise refusal(file, "it holds no object")
    _check_version(file, config.get("kerasar", kerasar.__version__))
    kind = config.get("kind", "images")
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise refusal(file, f'"kind" is {_brief(kind)}, none of {", ".join(_NEEDED)}')
    for name in ("data", *_NEEDED[kind]):
        if name not in config:
            raise missing(file, name)
    for name, (check, words) in _SETTINGS.items():
        if name in config and not check(config[name]):
            raise refusal(file, f'"{name}" is {_brief(config[name])} instead of {words}')
    if kind in ("series", "panel") and config["data_path"] is None:
        raise refusal(file, '"data_path" is null instead of a text')
    if kind == "vectors" and not _is_texts(config["column"]):
        raise refusal(file, f'"column" is {_brief(config["column"])} instead of a list of texts')
    return config


def missing(file: Path, name: str) -> ValueError:
    """The error for a setting that is not there."""
    return refusal(file, f'"{name}" is missing')


def refusal(file: Path, what: str) -> ValueError:
    """The error for a file that is not as it was written."""
    return ValueError(
        f"'{file}' must be as 'kerasar train' wrote it, but {what}. Restore it, or train again."
    )


def _check_version(file: Path, version: Any) -> None:
    parts = re.match(r"(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", version if _is_text(version) else "")
    if parts is None:
        raise refusal(file, f'"kerasar" is {_brief(version)} instead of a version')
    own = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", kerasar.__version__)
    if own is not None and _numbers(parts) > _numbers(own):
        raise ValueError(
            f"'{file}' was written by kerasar {version}, which is later than this one, "
            f"{kerasar.__version__}. Update kerasar: pip install -U kerasar."
        )


def _numbers(parts: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(part or 0) for part in parts.groups())


def _brief(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
