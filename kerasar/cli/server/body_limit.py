"""Refuses requests that are too large, before they are held in memory."""

import json
from typing import Any

#: How many bytes of a refused body are read, and forgotten, before it is answered.
_MOST_DROPPED = 10**9


class BodyLimit:
    """ASGI middleware: answers 413 to a body of more bytes than the limit.

    Args:
        app: what answers the other requests.
        max_bytes: of a body.
    """

    def __init__(self, app: Any, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if int(stated) > self.max_bytes:
            await self._refuse(receive, send)
            return
        received, begun = 0, False

        async def limited() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise _TooLarge
            return message

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, limited, noted)
        except _TooLarge:
            if not begun:
                await self._refuse(receive, send)

    async def _refuse(self, receive: Any, send: Any) -> None:
        # A client that still sends does not read the answer, but finds its connection reset.
        dropped, message = 0, {"more_body": True}
        while message.get("more_body") and dropped < _MOST_DROPPED:
            message = await receive()
            dropped += len(message.get("body", b""))
        words = f"The request is larger than {self.max_bytes} bytes. Send less at once."
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"error": words}).encode()})


class _TooLarge(Exception):  # noqa: N818
    """The body has no stated length, and is too large."""
