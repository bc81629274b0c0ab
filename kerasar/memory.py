"""How much memory there is, so that what cannot fit is refused before it is asked for."""

import contextlib
import os
from pathlib import Path

#: Where Linux states the limit of a container, in bytes.
_CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def available_memory() -> int:
    """Bytes that this process may still take; where the system does not say, 2⁵⁰."""
    found = [2**50]
    if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, rest in (s.split(":") for s in lines)}
        found.append(1024 * (kilobytes["MemAvailable"] + kilobytes["SwapFree"]))
    for path in _CONTAINER_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" stands for no limit
            found.append(int(Path(path).read_text(encoding="ascii")))
    return min(found)


def in_gib(count: int) -> str:
    """A number of bytes in GiB, for a message."""
    return f"{count / 2**30:,.1f} GiB"
