"""The photograph host: iNaturalist's size variants of a source's photographs, and the faults that were switched on."""

import asyncio
import functools
import hashlib
import io
from collections.abc import Callable

from aiohttp import web

from demo.bodies import respond_with
from demo.faults import Faults
from demo.records import Source

LONG_SIDES = {"original": 2048, "large": 1024, "medium": 500, "small": 240, "thumb": 100}
"""iNaturalist's variants: the longest side in pixels that each has at most."""

_PNG = b"\x89PNG\r\n\x1a\n"
_KEPT = 256


def content_type(body: bytes) -> str:
    """The MIME type that the first bytes tell."""
    return "image/png" if body.startswith(_PNG) else "image/jpeg"


def resized(original: bytes, *, long_side: int) -> bytes:
    """The photograph with at most this many pixels on its longest side, in its own format and with its own EXIF.

    One that is small enough comes back byte for byte, and so does one that Pillow cannot read or write: whoever asks
    for it decides what it is.
    """
    # Pillow is loaded at the first photograph, so that the replica is ready at once.
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(io.BytesIO(original)) as image:
            if max(image.size) <= long_side:
                return original
            if image.format == "JPEG":
                image.draft("RGB", (long_side, long_side))
            # Not looked into: it says how to turn the photograph, also where the rest of it is damaged.
            notes = {name: image.info[name] for name in ("exif", "xmp") if name in image.info}
            smaller = image if image.mode in {"RGB", "L"} else image.convert("RGB")
            smaller.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
            stream = io.BytesIO()
            smaller.save(stream, format=image.format or "JPEG", quality=85, **notes)
            return stream.getvalue()
    except Exception:  # noqa: BLE001 (Pillow's readers end in whatever damaged bytes lead them to)
        return original


def as_png(original: bytes) -> bytes:
    """The photograph as a PNG."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(original)) as image:
        stream = io.BytesIO()
        image.convert("RGB").save(stream, format="PNG")
        return stream.getvalue()


class PhotoHost:
    """Answers /photos/{id}/{size}.{ending}.

    Args:
        source: Where the originals come from.
        faults: What goes wrong.
    """

    def __init__(self, *, source: Source, faults: Faults) -> None:
        """Start with nothing rendered."""
        self._source = source
        self._faults = faults
        self._variant: Callable[[str, int], bytes | None] = functools.lru_cache(maxsize=_KEPT)(self._make)

    def _make(self, photo_id: str, long_side: int) -> bytes | None:
        original = self._source.photograph(photo_id)
        return None if original is None else resized(original, long_side=long_side)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One photograph, or what its fault makes of it."""
        photo_id = request.match_info["photo_id"]
        long_side = LONG_SIDES.get(request.match_info["size"])
        body = None if long_side is None else await asyncio.to_thread(self._variant, photo_id, long_side)
        if body is None:
            return web.Response(status=404, text="Not Found")
        fault = self._faults.strike(photo_id)
        if fault is not None:
            return await self._failing(request, fault=fault, body=body)
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "public, max-age=86400"}
        return respond_with(request, body, content_type=content_type(body), headers=headers)

    async def _failing(self, request: web.Request, *, fault: str, body: bytes) -> web.StreamResponse:
        if fault == "stall":
            return await _stall(request, body)
        if fault == "png":
            return web.Response(body=await asyncio.to_thread(as_png, body), content_type="image/jpeg")
        plain: dict[str, Callable[[], web.Response]] = {
            "rate_limit": too_many_requests,
            "unavailable": lambda: web.Response(status=503, text="Service Unavailable"),
            "truncated": lambda: web.Response(body=body[: len(body) * 2 // 3], content_type=content_type(body)),
            "html": lambda: web.Response(text="<!doctype html><title>Photos</title>", content_type="text/html"),
            "outage": lambda: web.Response(status=403, text="Forbidden"),
            "gone": lambda: web.Response(status=404, text="Not Found"),
            "private_redirect": lambda: web.Response(
                status=302, headers={"Location": f"http://10.0.0.1{request.path}"}
            ),
        }
        return plain[fault]()


def too_many_requests() -> web.Response:
    """429 with the pause that is asked for."""
    return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": "1"})


async def _stall(request: web.Request, body: bytes) -> web.StreamResponse:
    """Send the headers and half of the body, then nothing until the client goes or the replica ends."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": content_type(body)})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.1)
    return response
