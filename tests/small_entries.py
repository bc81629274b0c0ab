"""Entries of the registry with few weights, for commands that train."""

from dataclasses import replace

from kerasar.cli import registry


def small_entry(name, settings):
    """The entry of a model with other sizes, by kind of the data."""
    entry = registry.MODELS[name]
    others = (
        replace(entry.choices[-1], kind=kind, settings=sizes) for kind, sizes in settings.items()
    )
    return replace(entry, choices=(*others, *entry.choices))
