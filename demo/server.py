"""The replica's routes: GBIF's API and the photo host on one address. What they answer is made elsewhere."""

import asyncio
import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from demo import photos, search
from demo.download import Downloads, TooManyError
from demo.faults import Faults
from demo.predicates import PredicateError
from demo.records import INATURALIST, RECORD_LICENCES, Source

USER: Final = "replica"
PASSWORD: Final = "replica"  # noqa: S105 (public: the replica guards nothing)
BULK_ADVICE: Final = [
    (
        "To download GBIF occurrence data in bulk, please request a download through the website "
        "<https://www.gbif.org/occurrence/search> or the API <https://techdocs.gbif.org/en/data-use/api-downloads>."
    )
]
KINDS: Final = (
    ("/photos/", "photo"),
    ("/sounds/", "sound"),
    ("/v1/occurrence/search", "search"),
    ("/v1/occurrence/download/request/", "archive"),
    ("/v1/occurrence/download", "download"),
    ("/v1/", "other_api"),
)
"""Kinds of paths that the statistics count."""
PHOTO_HEADERS: Final = {"Cache-Control": "public, max-age=86400"}


@dataclass(kw_only=True)
class Replica:
    """One replica's content and counters."""

    source: Source
    release: int = 1
    faults: Faults = field(default_factory=Faults)
    public_url: str | None = None
    state: Path | None = None
    stage_seconds: float = 0.2

    def __post_init__(self) -> None:
        """Begin with what the state remembers and with counters at zero."""
        self.downloads = Downloads(self.source, release=self.release, seconds=self.stage_seconds, state=self.state)
        self.requests: Counter[str] = Counter()
        self.running = 0
        self.most_running = 0

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[self._counted], client_max_size=4 << 20)
        application.add_routes(
            [
                web.get("/v1/occurrence/search", self._search),
                web.post("/v1/occurrence/download/request", self._ask),
                web.get("/v1/occurrence/download/request/{key}.zip", self._archive),
                web.delete("/v1/occurrence/download/request/{key}", self._cancel),
                web.delete("/v1/occurrence/download/{key}", self._cancel),
                web.get("/v1/occurrence/download/{key}/citation", self._citation),
                web.get("/v1/occurrence/download/{key}", self._document),
                web.get("/v1/occurrence/{key:[0-9]+}", self._record),
                web.get("/v1/dataset/{key}", self._dataset),
                web.get("/v1/species/match", self._match),
                web.get(r"/photos/{id:[0-9]+}/{size:original|large|medium}.{extension:jpg|jpeg|png}", self._photo),
                web.get(r"/sounds/{id:[0-9]+}.wav", self._sound),
                web.get("/_replica/stats", self._stats),
            ]
        )
        return application

    @web.middleware
    async def _counted(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        kind = next((kind for prefix, kind in KINDS if request.path.startswith(prefix)), "other")
        self.requests[kind] += 1
        if kind != "photo":
            return await handler(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await handler(request)
        finally:
            self.running -= 1

    def _host(self, request: web.Request) -> str:
        return f"{request.scheme}://{request.host}"

    def _base(self, request: web.Request) -> str:
        return self.public_url or self._host(request)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        if self.faults.strike_search():
            return web.json_response(BULK_ADVICE, status=429, headers={"Retry-After": "1"})
        parameters = {name: request.query.getall(name) for name in request.query}
        try:
            page = search.page(
                self.source.occurrences(self.release), parameters, base=self._base(request), release=self.release
            )
        except PredicateError as error:
            return web.Response(status=400, text=str(error))
        return web.json_response(page)

    async def _record(self, request: web.Request) -> web.StreamResponse:
        wanted = int(request.match_info["key"])
        for item in self.source.occurrences(self.release):
            if item.key == wanted:
                return web.json_response(search.record(item, base=self._base(request), release=self.release))
        return web.Response(status=404, text="Occurrence was not found")

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        refusal = _refused(request)
        if refusal is not None:
            return refusal
        try:
            key = self.downloads.ask(await request.json(), creator=USER)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return web.Response(status=400, text=f"Could not read the request: {error}")
        except PredicateError as error:
            return web.Response(status=400, text=str(error))
        except TooManyError as error:
            return web.Response(status=420, reason="Enhance Your Calm", text=str(error))
        return web.Response(status=201, text=key)

    async def _document(self, request: web.Request) -> web.StreamResponse:
        document = self.downloads.document(
            request.match_info["key"], host=self._host(request), base=self._base(request)
        )
        return _not_found() if document is None else web.json_response(document)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        refusal = _refused(request)
        if refusal is not None:
            return refusal
        return web.Response(status=204) if self.downloads.cancel(request.match_info["key"]) else _not_found()

    async def _citation(self, request: web.Request) -> web.StreamResponse:
        citation = self.downloads.citation(request.match_info["key"])
        return _not_found() if citation is None else web.Response(text=citation)

    async def _archive(self, request: web.Request) -> web.StreamResponse:
        content = self.downloads.archive(request.match_info["key"], base=self._base(request))
        return _not_found() if content is None else _ranged(request, content)

    async def _dataset(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["key"] != INATURALIST:
            return web.Response(status=404, text="Entity not found")
        return web.json_response(
            {
                "key": INATURALIST,
                "installationKey": search.INSTALLATION,
                "publishingOrganizationKey": search.ORGANISATION,
                "type": "OCCURRENCE",
                "title": "iNaturalist Research-grade Observations",
                "license": RECORD_LICENCES["CC_BY_NC_4_0"],
                "modified": f"{search.PUBLISHED[self.release]}T09:00:00.000+00:00",
                "pubDate": f"{search.PUBLISHED[self.release]}T00:00:00.000+00:00",
            }
        )

    async def _match(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            search.match(
                self.source.occurrences(self.release),
                name=" ".join(request.query.get("name", "").split()),
                kingdom=request.query.get("kingdom", ""),
            )
        )

    async def _photo(self, request: web.Request) -> web.StreamResponse:
        photo_id, extension = request.match_info["id"], request.match_info["extension"]
        fault = self.faults.strike(photo_id)
        if fault in {"rate_limit", "unavailable", "gone", "private_redirect", "html"}:
            return _failure(fault)
        content = await asyncio.get_running_loop().run_in_executor(
            None,
            partial(
                photos.variant,
                self.source,
                photo_id=photo_id,
                size=request.match_info["size"],
                extension="png" if fault == "png" else extension,
            ),
        )
        if content is None:
            return web.Response(status=404, text="Not Found")
        if fault == "stall":
            return await _stalled(request, content)
        if fault == "truncated":
            content = content[: len(content) * 2 // 3]
        return web.Response(body=content, content_type=photos.TYPES[extension], headers=PHOTO_HEADERS)

    async def _sound(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(body=photos.sound(), content_type="audio/x-wav")

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response(
            {
                "requests": dict(sorted(self.requests.items())),
                "photo_requests": self.requests["photo"],
                "max_concurrent_photos": self.most_running,
            }
        )


def _refused(request: web.Request) -> web.Response | None:
    """GBIF's 401, or None when the request bears the replica's account."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    user = ""
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            password = ""
        if (user, password) == (USER, PASSWORD):
            return None
    text = f"Failed to authenticate user {user}\n" if user else "Authentication is required\n"
    return web.Response(status=401, text=text, headers={"WWW-Authenticate": 'Basic realm="GBIF"'})


def _not_found() -> web.Response:
    return web.Response(status=404, text="Download was not found")


def _failure(fault: str) -> web.Response:
    """The answers of faults that send no photograph."""
    match fault:
        case "rate_limit":
            return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": "1"})
        case "unavailable":
            return web.Response(status=503, text="Service Unavailable")
        case "private_redirect":
            return web.Response(status=302, headers={"Location": "http://10.0.0.1/photos/private.jpg"})
        case "html":
            return web.Response(
                text="<!DOCTYPE html><title>Sign in</title><p>Please sign in.", content_type="text/html"
            )
        case _:
            return web.Response(status=404, text="Not Found")


async def _stalled(request: web.Request, content: bytes) -> web.StreamResponse:
    """Send headers and half of the body, then nothing until the client gives up."""
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg", "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    # Cancelled when the client disconnects or the replica stops.
    await asyncio.Event().wait()
    return response


def _ranged(request: web.Request, content: bytes) -> web.Response:
    """The archive, or the one range of it that is asked for (RFC 9110, section 14)."""
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        "Content-Disposition": f"attachment; filename={request.match_info['key']}.zip",
    }
    try:
        wanted = request.http_range
    except ValueError:
        wanted = slice(None)
    unchanged = request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
    if wanted.start is None or not unchanged:
        return web.Response(body=content, content_type="application/octet-stream", headers=headers)
    first, last, _ = wanted.indices(len(content))
    if first >= last:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(content)}"
    return web.Response(status=206, body=content[first:last], content_type="application/octet-stream", headers=headers)


async def serve(replica: Replica, *, port: int, ready: Callable[[str], None], stop: Awaitable[object]) -> None:
    """Serve on 127.0.0.1 until `stop` is done.

    Args:
        replica: What to serve.
        port: The port; 0 takes a free one.
        ready: Told the address when connections are accepted.
        stop: What ends the replica.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(replica.application(), access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=512)
        await site.start()
        host, actual = runner.addresses[0][:2]
        ready(f"http://{host}:{actual}")
        await stop
    finally:
        await runner.cleanup()
