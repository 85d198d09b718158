"""GBIF's downloads and searches on a real local server, as recorded in shared/data/gbif, with memory and faults."""

import contextlib
import datetime as dt
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.config.settings import Settings
from pipeline.gbif.client import Api, Credentials
from pipeline.gbif.source import SourceRecord, fetch_source
from tests.pipeline.archives import MEDIA, META, described

KEA = {"mode": "download", "taxon_keys": ["Q2M4"], "country": "NZ", "years": [2015, 2020]}
"""The section `source` for Kea of New Zealand, by download."""


def archive(*, value: str = "7\n") -> bytes:
    """A Darwin Core Archive of real size; the values do not matter here."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as members:
        members.writestr("occurrence.txt", "gbifID\n" + value * 150_000)
        members.writestr("multimedia.txt", "gbifID\ttype\tformat\tidentifier\n")
        members.writestr("meta.xml", META.format(location="occurrence.txt", core="", media=described(MEDIA)))
    return stream.getvalue()


class Gbif(ThreadingHTTPServer):
    """GBIF's downloads and searches, as recorded in shared/data/gbif, with a memory of what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive = archive()
        self.states = ["PREPARING", "RUNNING", "SUCCEEDED"]
        self.known: dict[str, list[str]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.archive_ranges: list[str] = []
        self.pages: list[dict[str, list[str]]] = []
        self.cut_after: int | None = None
        self.count = 0
        self.busy: list[tuple[int, dict[str, str]]] = []
        """Answers to requests for a download before one is accepted."""
        self.loses_answers = 0
        """Requests that are accepted, their answer lost."""
        self.created: dict[str, str] = {}
        self.versions = {"ETag": '"one"'}
        """Headers that tell the archive from a later one."""
        self.heeds_conditions = True
        self.serves_ranges = True
        self.announced: int | None = None
        self.user = "kea"
        self.archive_status: int | None = None
        """What the archive's address answers, in place of the archive."""
        self.silent = False
        """Whether connections end without an answer."""
        self.shift_after: int | None = None
        """From this record on, one page of a search begins a record too early, once."""
        self.modified: str | None = "2026-11-20T00:00:00.000+00:00"
        """When the dataset was changed."""
        self.asked: list[str] = []
        """Methods and paths, in order."""

    @property
    def api(self) -> Api:
        account = Credentials(user="kea", password="secret", email="kea@example.org")
        url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        return Api(url, credentials=account, poll_seconds=(0.01, 0.02))


class Handler(BaseHTTPRequestHandler):
    server: Gbif

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        if not self.headers.get("Authorization", "").startswith("Basic "):
            self._answer(401, b"Unauthorized")
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.busy:
            status, headers = self.server.busy.pop(0)
            self._answer(status, b"A download limitation is exceeded", headers)
            return
        self.server.bodies.append(body)
        key = f"{len(self.server.bodies):07}-261100000000000"
        self.server.known[key] = list(self.server.states)
        self.server.created[key] = dt.datetime.now(tz=dt.UTC).isoformat(timespec="milliseconds")
        if self.server.loses_answers:
            self.server.loses_answers -= 1
            self.close_connection = True
            return
        self._answer(201, key.encode())

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if self.server.silent:
            self.close_connection = True
            return
        self.server.asked.append(f"GET {path.path}")
        name = path.path.rsplit("/", 1)[-1]
        if name == "search":
            self._page(parse_qs(path.query))
        elif name.endswith(".zip"):
            self._archive()
        elif name == "citation":
            self._answer(200, b"GBIF.org (23 November 2026) GBIF Occurrence Download https://doi.org/10.5072/dl.1")
        elif path.path.startswith("/v1/dataset/"):
            self._answer(
                200, json.dumps({"key": name, "title": "a dataset", "modified": self.server.modified}).encode()
            )
        elif "/download/user/" in path.path:
            self._listing(name)
        elif name in self.server.known:
            states = self.server.known[name]
            state = states.pop(0) if len(states) > 1 else states[0]
            size = (self.server.announced or len(self.server.archive)) if state == "SUCCEEDED" else 0
            document = {"key": name, "doi": "10.5072/dl.1", "status": state, "size": size, "totalRecords": 3}
            self._answer(200, json.dumps({**document, "license": "CC-BY-NC", "created": "2026-11-23"}).encode())
        else:
            self._answer(404, b"Download was not found")

    def _page(self, query: dict[str, list[str]]) -> None:
        self.server.pages.append(query)
        offset, limit = int(query.get("offset", ["0"])[0]), int(query["limit"][0])
        if offset + limit > 100_000:
            self._answer(400, b"Max offset of 100001 exceeded: 100000 + 300")
            return
        early = int(self.server.shift_after is not None and offset >= self.server.shift_after)
        self.server.shift_after = None if early else self.server.shift_after
        keys = range(offset - early, min(offset + limit, self.server.count) - early)
        records = [{"key": str(key), "media": []} for key in keys]
        page = {"count": self.server.count, "endOfRecords": offset + limit >= self.server.count, "results": records}
        self._answer(200, json.dumps(page).encode())

    def _listing(self, user: str) -> None:
        """As recorded: the latest first, the request with what GBIF adds to it."""
        if not self.headers.get("Authorization", "").startswith("Basic ") or unquote(user) != self.server.user:
            self._answer(401, f"Failed to authenticate user {user}\r\n".encode())
            return
        results = [
            {
                "key": key,
                "request": {**body, "predicate": _as_listed(body["predicate"]), "verbatimExtensions": []},
                "created": self.server.created[key],
                "status": self.server.known[key][0],
            }
            for key, body in zip(self.server.known, self.server.bodies, strict=False)
        ]
        page = {"offset": 0, "limit": 100, "endOfRecords": True, "count": len(results), "results": results[::-1]}
        self._answer(200, json.dumps(page).encode())

    def _archive(self) -> None:
        if self.server.archive_status is not None:
            self._answer(self.server.archive_status, b"no archive")
            return
        self.server.archive_ranges.append(self.headers.get("Range", ""))
        known = self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since")
        if self.server.heeds_conditions and known is not None and known in self.server.versions.values():
            self._answer(304, b"")
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        meant = self.headers.get("If-Range")
        if not self.server.serves_ranges or (meant is not None and meant not in self.server.versions.values()):
            start = 0
        body = self.server.archive[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.versions.items():
            self.send_header(name, value)
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, None
        self.wfile.write(body[:cut])

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def gbif_server() -> Iterator[Gbif]:
    """A server for the time of the block."""
    with Gbif() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(settings: Settings, gbif: Gbif) -> SourceRecord:
    """What the asset does, in silence."""
    return fetch_source(settings, api=gbif.api, log=lambda _: None)


def _as_listed(predicate: dict[str, Any]) -> dict[str, Any]:
    """GBIF repeats a predicate with `matchCase` in its leaves."""
    if "predicates" in predicate:
        return {**predicate, "predicates": [_as_listed(each) for each in predicate["predicates"]]}
    return {**predicate, "matchCase": False} if "key" in predicate else predicate
