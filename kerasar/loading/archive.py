"""Looks through a `.keras` file without unpacking or building anything of it."""

import io
import json
import os
import zipfile
from typing import Any

import h5py

from kerasar.data.plain_text import plain_text
from kerasar.loading.config import check_config

#: Bounds for what is in a file; `load` states them.
_MEMBERS, _CONFIG_BYTES, _FREE_BYTES, _TIMES, _LINKS = 100, 8 << 20, 64 << 20, 4, 100_000
_REQUIRED = ("config.json", "metadata.json", "model.weights.h5")


def check_archive(path: str) -> int:
    """Raises a ValueError unless a file is a model of kerasar's, within the bounds.

    Returns:
        The most bytes that its weights may take.
    """
    most = _FREE_BYTES + _TIMES * os.path.getsize(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, most)
            config = _parsed(archive.read("config.json"))
            check_config(config)
            with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
                _check_weights(weights, archive.getinfo("model.weights.h5").file_size)
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise ValueError(
            f"'{path}' is damaged, or not a saved model: {plain_text(error)}"
        ) from error
    except ValueError as error:
        raise ValueError(f"'{path}' is not loaded: {plain_text(error)}") from error
    except Exception as error:  # zlib, h5py and others have errors of their own
        raise ValueError(f"'{path}' is damaged, or not a saved model: {error!r}") from error
    return most


def _check_members(archive: zipfile.ZipFile, most: int) -> None:
    names = archive.namelist()
    if len(names) > _MEMBERS:
        raise ValueError(f"it holds {len(names):,} members; a model has at most {_MEMBERS}.")
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise zipfile.BadZipFile(f"it holds no {missing[0]}. model.save('name.keras') writes it.")
    others = [name for name in names if name not in _REQUIRED and not _is_asset(name)]
    if others or len(set(names)) < len(names):
        raise ValueError(f"a model has the members {', '.join(_REQUIRED)}, but it has {names[:9]}.")
    size = sum(info.file_size for info in archive.infolist())
    if size > most:
        raise ValueError(
            f"it unpacks to {size:,} bytes, but a file of its size may hold {most:,}. model.save "
            "writes files that are not compressed: save it again."
        )
    for name in _REQUIRED[:2]:
        length = archive.getinfo(name).file_size
        if length > _CONFIG_BYTES:
            limit = f"at most {_CONFIG_BYTES:,} are read"
            raise ValueError(f"its {name} has {length:,} bytes; {limit}.")


def _is_asset(name: str) -> bool:
    return name.startswith("assets/") and ".." not in name.split("/")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its config.json is nested too deeply.") from None
    except ValueError as error:
        raise zipfile.BadZipFile(f"its config.json is no JSON: {error}") from error


def _check_weights(weights: h5py.File, size: int) -> None:
    """Arrays are in the file itself, and as large as they say."""
    total, seen, groups = 0, 0, [weights]
    known = set()
    while groups:
        group = groups.pop()
        for name in group:
            seen += 1
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink) or seen > _LINKS:
                raise ValueError(f"its weights have links to elsewhere, or too many: {name!r:.99}.")
            found = group[name]
            place = h5py.h5o.get_info(found.id).addr
            if place in known:
                continue
            known.add(place)
            if isinstance(found, h5py.Group):
                groups.append(found)
                continue
            if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
                raise ValueError(f"its weights are not all in the file: {name!r:.99}.")
            total += found.nbytes
            if total > size:
                raise ValueError(
                    f"its weights state more than the {size:,} bytes that are there, at "
                    f"{name!r:.99} of shape {found.shape}."
                )
