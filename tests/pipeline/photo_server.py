"""A small photo host with every bad habit, in a thread, for the tests of the fetcher."""

import asyncio
import contextlib
import email.utils
import functools
import gzip
import io
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web
from PIL import Image

HOST = "photos.test"
"""The name under which the tests' media addresses know this server."""
MIRROR = "mirror.test"
"""Another host, to which this one redirects."""
BEGINNING = 500
"""Bytes of a body that come before it breaks off."""
RAW: dict[str, Callable[[bytes, bool], bytes]] = {
    "babble": lambda _body, _first: b"HTTP/1.1 404 N\xffT F\x80UND\r\nContent-Length: 0\r\n\r\n",
    "unsized": lambda body, first: b"HTTP/1.0 200 OK\r\n\r\n" + (body[: len(body) // 2] if first else body),
    "unsizedcut": lambda body, _first: b"HTTP/1.0 200 OK\r\n\r\n" + body[: len(body) // 2],
    "header": lambda body, _first: (
        b"HTTP/1.1 200 OK\r\nContent-Security-Policy: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (b"x" * 11_000, len(body), body)
    ),
    "scrambled": lambda _body, _first: (
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe..x/\r\nContent-Length: 0\r\n\r\n"
    ),
}
"""Answers to the letter, by the whole body and whether it is the first request."""
ENCODED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "rawdeflate": ("deflate", lambda body: zlib.compress(body)[2:-4]),
    "twice": ("gzip, x-gzip", lambda body: gzip.compress(gzip.compress(body))),
    "claimed": ("gzip", lambda body: body),
    "brotli": ("br", lambda body: b"\x8b" + body),
    "gzipcut": ("gzip", lambda body: gzip.compress(body)[:-20]),
    "bomb": ("gzip", lambda _body: gzip.compress(bytes(50_000_000))),
}
"""Content-Encoding, and what is done to the body."""


@functools.cache
def jpeg(seed: int = 0, *, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """A JPEG of noise, another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=80, **options)
    return stream.getvalue()


def png() -> bytes:
    """A small PNG."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    return stream.getvalue()


@dataclass
class PhotoServer:
    """`/photos/<habit>-<n>/large.jpg`: what comes back is decided by the habit; `ok` is the only good one."""

    port: int = 0
    delay: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    """Requests by photo id."""
    times: list[tuple[str, float]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Those of the last request."""
    running: int = 0
    most_running: int = 0
    answered: int = 0
    """Requests that did not, or no longer, wait for `opened`."""
    opened: Callable[[], bool] = lambda: True
    """Answers wait until this is true."""
    mended: bool = False
    """Once true, what failed for a passing reason works."""
    given: int = 0
    """Whole photographs that were sent."""
    outage: str | None = None
    """What every request gets from the moment on when `outage_after` photographs were given: a habit, or a status."""
    outage_after: int = 0
    hit: Callable[[str], bool] = lambda _: True
    """Which photographs the outage concerns, by photo id: all of them, or those of one of several servers."""

    @property
    def hosts(self) -> dict[str, tuple[str, int]]:
        """How the fetcher reaches this server."""
        return {HOST: ("127.0.0.1", self.port)}

    @staticmethod
    def url(photo_id: str) -> str:
        """The address of a photograph."""
        return f"http://{HOST}/photos/{photo_id}/large.jpg"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer by habit."""
        photo_id = request.match_info["photo_id"]
        habit, _, number = photo_id.rpartition("-")
        self.requests[photo_id] += 1
        self.times.append((photo_id, time.monotonic()))
        self.headers = dict(request.headers)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.delay)
            while not self.opened():  # noqa: ASYNC110 (it may depend on other servers)
                await asyncio.sleep(0.01)
            self.answered += 1
            if self.outage is not None and self.given >= self.outage_after and self.hit(photo_id):
                if self.outage.isdigit():
                    return web.Response(status=int(self.outage))
                habit = self.outage
            first = self.requests[photo_id] == 1
            self.given += habit == "ok"
            return await self._answer(request, habit, int(number), first=first)
        finally:
            self.running -= 1

    async def _answer(self, request: web.Request, habit: str, number: int, *, first: bool) -> web.StreamResponse:
        body = jpeg(number)
        plain = {
            "html": (b"<!doctype html><p>busy", "text/html"),
            "png": (png(), "image/jpeg"),
            "empty": (b"", "image/jpeg"),
            "truncated": (body[: len(body) * 2 // 3], "image/jpeg"),
            "wide": (jpeg(number, size=(2000, 600)), "image/jpeg"),
            "ok": (body, "image/jpeg"),
        }
        if habit in RAW:
            assert request.transport is not None
            request.transport.write(RAW[habit](body, first))
            request.transport.close()
            await asyncio.sleep(60)
        if habit in ENCODED:
            encoding, encode = ENCODED[habit]
            return web.Response(body=encode(body), content_type="image/jpeg", headers={"Content-Encoding": encoding})
        statuses = {"gone": 404, "forbidden": 403, "unauthorised": 401, "teapot": 418, "down": 503}
        redirects = {
            "private": "http://10.0.0.1/large.jpg",
            "file": "file:///etc/passwd",
            "decimal": "http://2130706433/large.jpg",
            "moved": f"/photos/ok-{number}/large.jpg",
            "loop": f"/photos/loop-{number}/large.jpg",
            "mirrored": f"http://{MIRROR}/photos/closed-{number}/large.jpg",
            "reflected": f"http://{MIRROR}/photos/ok-{number}/large.jpg",
            "astray": "http://www..museum.example/a.jpg",
            "nowhere": "",
        }
        tomorrow = email.utils.formatdate(time.time() + 86_400, usegmt=True)
        pauses = {"closed": "86400", "dated": tomorrow} | ({"limited": "1"} if first else {})
        if habit in pauses:
            return web.Response(status=429, headers={"Retry-After": pauses[habit]})
        if habit == "unavailable" and first:
            return web.Response(status=503)
        if habit in statuses and not (habit == "down" and self.mended):
            return web.Response(status=statuses[habit])
        if habit in redirects:
            return web.Response(status=302, headers={"Location": redirects[habit]})
        if habit == "silent" and first:
            await asyncio.sleep(60)
        if habit == "busy" and self.requests[f"busy-{number}"] <= number:
            return web.Response(status=429)
        if (habit in {"stall", "drip"} and first) or habit in {"endless", "reset"}:
            return await self._misbehave(request, habit, body)
        content, kind = plain.get(habit, (body, "image/jpeg"))
        return web.Response(body=content, content_type=kind)

    async def _misbehave(self, request: web.Request, habit: str, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        if habit == "endless":
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:BEGINNING])
        if habit == "reset":
            assert request.transport is not None
            request.transport.abort()
            return response
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep({"endless": 0.001, "drip": 0.05}.get(habit, 30))
                await response.write(bytes(1 if habit == "drip" else 100_000))
        return response


@contextlib.contextmanager
def photo_server() -> Iterator[PhotoServer]:
    """A server for the time of the block."""
    server = PhotoServer()
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/photos/{photo_id}/{size}.jpg", server.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
