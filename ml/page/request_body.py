"""The body of a request, read under limits on bytes and time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from ml.page.page_settings import Limits

DRAINED_SECONDS: Final = 5
"""For the rest of a request that is refused: a client that is still sending would not read the reason."""


class Body:
    """The body of a request, piece by piece."""

    def __init__(self, request: Request, *, limits: Limits, most: int | None = None) -> None:
        """Nothing is read yet; `most` bytes may come, by default those of `limits`."""
        self._receive, self._limits = request.receive, limits
        self._most = limits.request_bytes if most is None else most
        self._announced = request.headers.get("content-length", "")
        self._ended = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The pieces that are there.

        Raises:
            HTTPException: there are too many bytes (413), or the next piece did not come in time (408).
            ClientDisconnect: the client went away.
        """
        too_large = HTTPException(413, f"a request of more than {self._most:,} bytes is not read")
        if self._announced.isdecimal() and int(self._announced) > self._most:
            raise too_large
        seen = 0
        while not self._ended:
            try:
                piece = await asyncio.wait_for(self._next(), self._limits.stall_seconds)
            except TimeoutError as error:
                raise HTTPException(408, f"nothing came for {self._limits.stall_seconds:g} seconds") from error
            seen += len(piece)
            if seen > self._most:
                raise too_large
            yield piece

    async def whole(self) -> bytes:
        """All of it, in memory; errors are those of `pieces`."""
        body = bytearray()
        async for piece in self.pieces():
            body += piece
        return bytes(body)

    async def drain(self) -> None:
        """Read on for a moment, without keeping anything."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_SECONDS):
                while not self._ended:
                    await self._next()

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece
