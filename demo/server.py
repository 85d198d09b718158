"""The routes of the replica: which address answers with what. The answers themselves are made in the other modules."""

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from aiohttp import web

from demo.bodies import respond_with
from demo.faults import Faults
from demo.gbif.derived_datasets import DerivedDataset, DerivedDatasets, RefusedError
from demo.gbif.download import Download, Downloads, TooManyDownloadsError
from demo.gbif.facets import DATASET_KEY, PredicateError
from demo.gbif.search import INTERPRETED, Index, SearchError, occurrence_json, page
from demo.gbif.species import DATASET_DOI, Names, dataset_document
from demo.photos import PhotoHost, too_many_requests
from demo.records import Source

USER = "replica"
PASSWORD = "replica"  # noqa: S105 - the replica's published account, it guards nothing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class Replica:
    """One replica: what it serves and how it behaves.

    Attributes:
        open_release: Gives the source of a release.
        release: The release that is served.
        source_name: What the source is; decides which kept downloads are known.
        public_url: Scheme and host of media addresses; None for those of each request.
        state: Folder of the downloads that were asked for, or None.
        faults: Names of faults that are switched on.
        step: Seconds that a download is PREPARING, and RUNNING.
    """

    open_release: Callable[[int], Source]
    release: int = 1
    source_name: str = ""
    public_url: str | None = None
    state: Path | None = None
    faults: frozenset[str] = frozenset()
    step: float = 0.2
    _indices: dict[int, Index] = field(default_factory=dict, init=False)
    _requests: Counter[str] = field(default_factory=Counter, init=False)
    _photos_open: int = field(default=0, init=False)
    _photos_most: int = field(default=0, init=False)

    def index(self, release: int) -> Index:
        """The occurrences of a release, opened once."""
        if release not in self._indices:
            self._indices[release] = Index(self.open_release(release))
        return self._indices[release]

    @cached_property
    def _faults(self) -> Faults:
        return Faults(self.faults)

    @cached_property
    def _photo_host(self) -> PhotoHost:
        return PhotoHost(source=self.index(self.release).source, faults=self._faults)

    @cached_property
    def _names(self) -> Names:
        return Names(self.index(self.release))

    @cached_property
    def downloads(self) -> Downloads:
        """The downloads that were asked for, those of earlier runs included."""
        return Downloads(
            open_index=self.index,
            release=self.release,
            source=self.source_name,
            state=self.state,
            step=self.step,
        )

    @cached_property
    def derived_datasets(self) -> DerivedDatasets:
        """The derived datasets that were registered, those of earlier runs included."""
        return DerivedDatasets(
            is_dataset=lambda key: key in {DATASET_KEY, DATASET_DOI},
            is_download=lambda doi: self.downloads.find_doi(doi) is not None,
            state=None if self.state is None else self.state / "derived_datasets",
        )

    def application(self) -> web.Application:
        """The web application with all routes."""
        application = web.Application(middlewares=[self._counting], client_max_size=12 * 1024**2)
        download, derived = "/v1/occurrence/download", "/v1/derivedDataset"
        application.add_routes(
            [
                web.get("/v1/occurrence/search", self._search),
                web.post(f"{download}/request", self._request_download),
                web.get(f"{download}/request/{{key}}.zip", self._archive),
                web.delete(f"{download}/request/{{key}}", self._cancel),
                web.get(f"{download}/user/{{user}}", self._listing),
                web.get(f"{download}/{{key}}", self._status),
                web.delete(f"{download}/{{key}}", self._cancel),
                web.get(f"{download}/{{key}}/citation", self._citation),
                web.get("/v1/occurrence/{key}", self._occurrence),
                web.get("/v1/dataset/{key}", self._dataset),
                web.post(derived, self._register_derived),
                web.get(f"{derived}/user/{{user}}", self._listing_derived),
                web.get(f"{derived}/{{prefix}}/{{suffix}}", self._derived),
                web.get(f"{derived}/{{prefix}}/{{suffix}}/citation", self._derived_citation),
                web.get("/v1/species/match", self._match),
                web.get("/photos/{photo_id}/{size}.{ending}", self._photograph),
                web.get("/_replica/stats", self._stats),
            ]
        )
        return application

    @property
    def _counting(self) -> Any:  # noqa: ANN401 - aiohttp's middleware type is not exported
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            kind = request.match_info.handler.__name__.removeprefix("_")
            self._requests[kind] += 1
            return await handler(request)

        return count

    def _base(self, request: web.Request) -> str:
        return (self.public_url or str(request.url.origin())).rstrip("/")

    async def _search(self, request: web.Request) -> web.Response:
        if self._faults.strike_search():
            return too_many_requests()
        query = {name: request.query.getall(name) for name in request.query}
        try:
            found = await asyncio.to_thread(page, self.index(self.release), query, base=self._base(request))
        except SearchError as error:
            return web.Response(status=400, text=str(error))
        return web.json_response(found)

    async def _occurrence(self, request: web.Request) -> web.Response:
        occurrence = self.index(self.release).by_key.get(request.match_info["key"])
        if occurrence is None:
            return web.Response(status=404, text=f"Entity not found for uri: {request.path}")
        return web.json_response(occurrence_json(occurrence, base=self._base(request)))

    async def _request_download(self, request: web.Request) -> web.Response:
        refused = _unauthorised(request)
        if refused is not None:
            return refused
        try:
            download = self.downloads.create(json.loads(await request.read()))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return web.Response(status=400, text=f"The request is not JSON: {error}")
        except PredicateError as error:
            return web.Response(status=400, text=str(error))
        except TooManyDownloadsError as error:
            reason = f"A download limitation is exceeded:\nUser {USER} has too many simultaneous downloads: {error}.\n"
            return web.Response(status=420, reason="Enhance Your Calm", text=reason)
        return web.Response(status=201, text=download.key)

    def _download(self, request: web.Request) -> Download:
        download = self.downloads.find(request.match_info["key"])
        if download is None:
            raise web.HTTPNotFound(text="Download was not found")
        return download

    async def _status(self, request: web.Request) -> web.Response:
        download = self._download(request)
        document = await asyncio.to_thread(
            self.downloads.document, download, host=str(request.url.origin()), base=self._base(request)
        )
        return web.json_response(document)

    async def _listing(self, request: web.Request) -> web.Response:
        refused = _unauthorised(request)
        if refused is not None:
            return refused
        if request.match_info["user"] != USER:
            return web.Response(status=403, text="Access denied")
        limit, offset = _page(request)
        page_of_downloads = await asyncio.to_thread(
            self.downloads.listing,
            limit=limit,
            offset=offset,
            host=str(request.url.origin()),
            base=self._base(request),
        )
        return web.json_response(page_of_downloads)

    async def _cancel(self, request: web.Request) -> web.Response:
        refused = _unauthorised(request)
        if refused is not None:
            return refused
        self.downloads.cancel(self._download(request))
        return web.Response(status=204)

    async def _archive(self, request: web.Request) -> web.Response:
        download = self._download(request)
        body = await asyncio.to_thread(self.downloads.archive, download, base=self._base(request))
        if body is None:
            return web.Response(status=404, text="Download is not ready")
        name = f'attachment; filename="{download.key}.zip"'
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Content-Disposition": name}
        return respond_with(request, body, content_type="application/octet-stream", headers=headers)

    async def _citation(self, request: web.Request) -> web.Response:
        download = self._download(request)
        moment = datetime.fromtimestamp(download.created, tz=UTC)
        date = f"{moment.day} {moment:%B %Y}"
        return web.Response(text=f"GBIF.org ({date}) GBIF Occurrence Download https://doi.org/{download.doi}\n")

    async def _dataset(self, request: web.Request) -> web.Response:
        if request.match_info["key"] != DATASET_KEY:
            return web.Response(status=404, text=f"Entity not found for uri: {request.path}")
        return web.json_response(dataset_document(modified=INTERPRETED))

    async def _register_derived(self, request: web.Request) -> web.Response:
        refused = _unauthorised(request)
        if refused is not None:
            return refused
        try:
            made = self.derived_datasets.create(json.loads(await request.read()), user=USER, now=time.time())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return web.Response(status=400, text=f"The request is not JSON: {error}")
        except RefusedError as error:
            return web.Response(status=error.status, text=str(error))
        return web.json_response(made.document(), status=201)

    async def _listing_derived(self, request: web.Request) -> web.Response:
        refused = _unauthorised(request)
        if refused is not None:
            return refused
        user = request.match_info["user"]
        if user != USER:
            return web.Response(status=403, text="Request denied to user")
        limit, offset = _page(request)
        return web.json_response(self.derived_datasets.listing(user=user, limit=limit, offset=offset))

    def _derived_dataset(self, request: web.Request) -> DerivedDataset:
        found = self.derived_datasets.find(f"{request.match_info['prefix']}/{request.match_info['suffix']}")
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _derived(self, request: web.Request) -> web.Response:
        return web.json_response(self._derived_dataset(request).document())

    async def _derived_citation(self, request: web.Request) -> web.Response:
        return web.Response(text=self._derived_dataset(request).citation)

    async def _match(self, request: web.Request) -> web.Response:
        query = request.query
        name = query.get("name") or query.get("scientificName", "")
        found = await asyncio.to_thread(
            self._names.match, name, rank=query.get("rank", ""), kingdom=query.get("kingdom", "")
        )
        return web.json_response(found)

    async def _photograph(self, request: web.Request) -> web.StreamResponse:
        self._photos_open += 1
        self._photos_most = max(self._photos_most, self._photos_open)
        try:
            return await self._photo_host.answer(request)
        finally:
            self._photos_open -= 1

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "requests": dict(self._requests),
                "photo_requests": self._requests["photograph"],
                "max_concurrent_photos": self._photos_most,
            }
        )


def _page(request: web.Request) -> tuple[int, int]:
    """How many entries of a list are asked for, and from which on."""
    try:
        limit, offset = int(request.query.get("limit", "20")), int(request.query.get("offset", "0"))
    except ValueError as error:
        raise web.HTTPBadRequest(text="limit and offset must be numbers") from error
    return max(0, limit), max(0, offset)


def _unauthorised(request: web.Request) -> web.Response | None:
    """401 unless the request carries the replica's account, in the words that GBIF has for it."""
    headers = {"WWW-Authenticate": 'Basic realm="GBIF"'}
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        given = ""
    user, _, password = given.partition(":")
    if scheme.lower() != "basic" or not user:
        text = "Full authentication is required to access this resource"
        return web.Response(status=401, text=text, headers=headers)
    if (user, password) != (USER, PASSWORD):
        return web.Response(status=401, text=f"Failed to authenticate user {user}\r\n", headers=headers)
    return None
