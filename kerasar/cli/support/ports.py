"""Ports of this machine."""

import socket


def check_port(host: str, port: int) -> None:
    """Raises a ValueError if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"Port {port} of '{host}' cannot be used: {error.strerror}. Take another one with "
                "--port."
            ) from None


def address(host: str, port: int) -> str:
    """What to open in a browser of this machine, for a server that listens to `host`."""
    if host in ("0.0.0.0", "::"):  # all addresses, none of which it is
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
