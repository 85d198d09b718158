"""A photo host with bad days, run beside the test, and the tables that send the fetcher there."""

import asyncio
import io
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from aiohttp import web
from PIL import Image

from pipeline.paths import Paths
from tests.pipeline import tiny

HOST: Final = "photos.replica.test"
"""A name that no resolver knows: only the fetcher's own mapping leads to the test's server."""

Answer = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
"""What a photograph's address answers to the n-th request (from 0)."""


def jpeg(seed: int = 0, *, size: tuple[int, int] = (48, 32), mode: str = "RGB", progressive: bool = False) -> bytes:
    """A small real photograph of noise; other seeds give other bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", quality=80, progressive=progressive)
    return stream.getvalue()


def png() -> bytes:
    """A real PNG."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(stream, "PNG")
    return stream.getvalue()


def serve(content: bytes, *, content_type: str = "image/jpeg", status: int = 200) -> Answer:
    """Always the same answer."""

    async def answer(_request: web.Request, _number: int) -> web.StreamResponse:
        return web.Response(body=content, content_type=content_type, status=status)

    return answer


def first(*statuses: int, then: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """These statuses one after the other, then the photograph."""

    async def answer(_request: web.Request, number: int) -> web.StreamResponse:
        if number < len(statuses):
            return web.Response(status=statuses[number], headers=headers, text="later")
        return web.Response(body=then, content_type="image/jpeg")

    return answer


def redirect(*targets: str) -> Answer:
    """A redirect to the first target; `{host}` stands for the server's own name."""

    async def answer(_request: web.Request, _number: int) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": targets[0]})

    return answer


def broken_off(content: bytes, *, times: int) -> Answer:
    """Promises the whole body and drops the connection half-way, `times` times; then serves it."""

    async def answer(request: web.Request, number: int) -> web.StreamResponse:
        if number >= times:
            return web.Response(body=content, content_type="image/jpeg")
        response = web.StreamResponse(headers={"Content-Length": str(len(content)), "Content-Type": "image/jpeg"})
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


def endless(chunk: bytes = b"\xff" * 65536) -> Answer:
    """A JPEG's first bytes and then more and more, without a length."""

    async def answer(request: web.Request, _number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        await response.write(jpeg()[:64])
        while True:
            await response.write(chunk)

    return answer


def stalled(content: bytes, *, times: int) -> Answer:
    """Sends a part and then nothing, `times` times; then serves the photograph."""

    async def answer(request: web.Request, number: int) -> web.StreamResponse:
        if number >= times:
            return web.Response(body=content, content_type="image/jpeg")
        response = web.StreamResponse(headers={"Content-Length": str(len(content)), "Content-Type": "image/jpeg"})
        await response.prepare(request)
        await response.write(content[:100])
        await asyncio.sleep(3600)
        return response

    return answer


def dripping() -> Answer:
    """One byte now and then, never silent for long, never done."""

    async def answer(request: web.Request, _number: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        for byte in world_without_end():
            await response.write(byte)
            await asyncio.sleep(0.1)
        return response

    return answer


def world_without_end() -> Iterator[bytes]:
    """A JPEG's beginning, byte by byte, then zeros."""
    yield from (bytes([value]) for value in jpeg()[:64])
    while True:
        yield b"\0"


@dataclass
class PhotoHost:
    """A running server: what it answers, and what it was asked."""

    answers: dict[str, Answer]
    """By photo id."""
    requests: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=dict)
    user_agents: set[str] = field(default_factory=set)
    running: int = 0
    most_running: int = 0
    port: int = 0

    @property
    def hosts(self) -> dict[str, tuple[str, int]]:
        """What the fetcher is told about this server."""
        return {HOST: ("127.0.0.1", self.port)}

    @property
    def asked(self) -> int:
        """Requests so far."""
        return sum(self.requests.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer for one photograph, and count."""
        photo_id = request.match_info["photo_id"]
        number = self.requests[photo_id]
        self.requests[photo_id] += 1
        self.times.setdefault(photo_id, []).append(asyncio.get_running_loop().time())
        self.user_agents.add(request.headers.get("User-Agent", ""))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if photo_id not in self.answers:
                return web.Response(status=404, text="no such photograph")
            return await self.answers[photo_id](request, number)
        finally:
            self.running -= 1


@contextmanager
def photo_host(answers: Mapping[str, Answer]) -> Iterator[PhotoHost]:
    """Run a photo host in a thread of its own while the block runs."""
    host = PhotoHost(answers=dict(answers))
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def run() -> None:
        application = web.Application()
        application.router.add_get("/photos/{photo_id}/{name}", host.handle)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host.port = int(runner.addresses[0][1])
        ready.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield host
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def index(paths: Paths, photo_ids: Iterable[str], *, urls: Mapping[str, str] | None = None) -> None:
    """Write a photo_index that sends each id to the photo host, or to the address given for it."""
    given = urls or {}
    tiny.write(
        paths,
        "photo_index",
        [
            {
                "photo_id": photo_id,
                "occurrence_key": f"k{photo_id}",
                "observation_id": f"o{photo_id}",
                "url": given.get(photo_id, f"http://{HOST}/photos/{photo_id}/large.jpg"),
                "licence": "CC-BY",
                "rights_holder": "A. Holder",
                "creator": "A. Creator",
            }
            for photo_id in photo_ids
        ],
    )


def ledger(paths: Paths) -> dict[str, tiny.Row]:
    """The ledger by photo id."""
    return {row["photo_id"]: row for row in tiny.read(paths.table("photos"))}
